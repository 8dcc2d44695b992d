"""What a source of readings is: something that can be asked a few times a second how the machine is."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final, Protocol, TypedDict

WHOLE_MACHINE: Final = "the whole machine"
PACKAGE: Final = "the processor package"
BATTERY: Final = "Battery"
"""The name of a source that tells power only while the charger is away."""

_LARGEST: Final = 4096


class Readings(TypedDict, total=False):
    """One reading. What could not be read this time is left out. The first seven are `records.Sample`'s."""

    cpu_percent: float
    rss_mb: float
    temperature_c: float
    watts: float
    npu_percent: float
    npu_memory_mb: float
    battery_percent: float
    joules: float
    """A counter of energy that only rises, from any zero."""
    on_mains: bool


class SourceAbsent(Exception):
    """This machine does not have it, or this user may not read it; the text says which, with the mend."""


class Source(Protocol):
    """One kind of reading. Everything is called in one thread, `open` first and `close` last."""

    name: str
    """For people."""
    covers: str
    """What its `watts` or `joules` are the power of, in words, final once it is open; empty where it tells no power."""

    def open(self) -> None:
        """Get ready.

        Raises:
            SourceAbsent: there is nothing to read.
        """

    def read(self, pids: Collection[int]) -> Readings:
        """How it is now; `pids` are the processes whose load is asked for. Any exception counts as one error.

        Raises:
            SourceAbsent: now it turns out that there is nothing to read, or it has gone.
        """

    def close(self) -> None:
        """Let go. Also called after `open` has failed, and twice."""


class Counter:
    """A counter of energy that wraps around, as one that does not."""

    def __init__(self, reach: int = 0) -> None:
        """`reach` is the largest value before it begins again at 0; with 0 it never should."""
        self._reach = reach
        self._last: int | None = None
        self._total = 0

    def total(self, raw: int) -> int | None:
        """Energy since the first call, in the counter's own unit; None where the counter began again unforeseen."""
        step = 0 if self._last is None else raw - self._last
        self._last = raw
        if step < 0:
            step += self._reach
            # Half the range takes minutes at least: a step of more is a counter that began anew, as in a sleep.
            if not 0 <= step <= self._reach / 2:
                return None
        self._total += step
        return self._total


def text_of(file: Path) -> str:
    """What a file of sysfs says, without the newline; one system call each for opening, reading and closing.

    Raises:
        OSError: it cannot be read, or not any more.
    """
    handle = os.open(file, os.O_RDONLY)
    try:
        return os.read(handle, _LARGEST).decode("utf-8", "replace").strip("\0\n ")
    finally:
        os.close(handle)


def text_or(file: Path, other: str = "") -> str:
    """The same, or `other`."""
    try:
        return text_of(file)
    except OSError:
        return other


def number_in(file: Path) -> int:
    """A whole number in a file of sysfs.

    Raises:
        OSError, ValueError: there is none.
    """
    return int(text_of(file))
