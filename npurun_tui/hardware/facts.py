"""A fact about the machine, or in words why it is not known."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from npurun_tui.text import one_line

PROBE_TIMEOUT: Final = 20.0
"""Seconds: a cold PowerShell with its CIM modules takes up to ten on a busy laptop."""


@dataclass(frozen=True, slots=True)
class Fact:
    """`text` is the value where `found`, otherwise why there is none: words that can be shown either way."""

    text: str
    found: bool = True

    @property
    def value(self) -> str | None:
        """The value for programs; None where there is none."""
        return self.text if self.found else None


NOT_FOUND: Final = Fact("not found", found=False)


def fact(text: str) -> Fact:
    """`text` as a fact fit for a terminal; NOT_FOUND where it is empty."""
    line = one_line(text)
    return Fact(line) if line else NOT_FOUND


def unasked(why: str) -> Fact:
    """The fact that the system could not be asked."""
    return Fact(f"could not be asked ({one_line(why, 120)})", found=False)


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine in words."""

    system: Fact
    soc: Fact
    npu: Fact
    driver_version: Fact
    driver_date: Fact
    npu_blocked: str = ""
    """Why this user cannot use the NPU that is there, with the mend; empty otherwise."""


class Silent(Exception):
    """A probe's command gave nothing that can be used; the text says why."""


def ask(command: Sequence[str], timeout: float = PROBE_TIMEOUT) -> str:
    """What `command` prints.

    Raises:
        Silent: it is not there, fails, or takes longer than `timeout` seconds.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise Silent(f"{name} did not answer in {timeout:.0f} s") from error
    except OSError as error:
        raise Silent(f"{name}: {error.strerror or error}") from error
    if done.returncode:
        text = done.stderr.decode("utf-8", "replace").strip()
        raise Silent(f"{name}: {text}" if text else f"{name} ended with {done.returncode}")
    return done.stdout.decode("utf-8-sig", "replace")
