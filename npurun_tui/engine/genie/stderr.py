"""What native code wrote to stderr during a call.

Genie reports why a call failed only there: an exception's text goes to stderr, and the caller gets a number. In the
engine process fd 2 is the engine log, a regular file that is only appended to; so the text of a call is what the file
has grown by, nothing has to be redirected, and what a crashing library said last is in the log all the same. Where
fd 2 is something else (a terminal, a pipe), it is sent to a file for the length of the call and copied on afterwards.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

LONGEST: Final = 4000
"""Bytes that are kept of a call's text, the last ones: the reason stands at the end."""

STDERR: Final = 2


class Heard:
    """The text, once the call is over."""

    def __init__(self) -> None:
        self.text = ""


@contextmanager
def listening() -> Iterator[Heard]:
    """Collect what is written to fd 2 in the block. One block at a time."""
    heard = Heard()
    end = _end_of_log()
    if end is None:
        with _redirected(heard):
            yield heard
        return
    try:
        yield heard
    finally:
        with suppress(OSError):
            heard.text = _decode(_read_from(STDERR, end))


def _end_of_log() -> int | None:
    """The size of the regular, readable file that fd 2 is; None where it is none."""
    try:
        status = os.fstat(STDERR)
        if not stat.S_ISREG(status.st_mode):
            return None
        _read_from(STDERR, status.st_size)
    except OSError:  # closed, or open for writing only
        return None
    return status.st_size


def _read_from(fd: int, offset: int) -> bytes:
    """What stands behind `offset`, the last part of it where it is long."""
    size = os.fstat(fd).st_size
    start = max(offset, size - LONGEST)
    if hasattr(os, "pread"):
        return os.pread(fd, LONGEST, start)
    # Windows: the position is shared with the library's own stderr, which writes where it stands.
    os.lseek(fd, start, os.SEEK_SET)
    try:
        return os.read(fd, LONGEST)
    finally:
        os.lseek(fd, 0, os.SEEK_END)


@contextmanager
def _redirected(heard: Heard) -> Iterator[None]:
    """Words are worth having, and no reason to lose a call over: where they cannot be had there are none."""
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, on every way
        before = os.dup(STDERR)
    except OSError:  # a full disk, no descriptors left, no stderr at all
        yield
        return
    with file:
        os.dup2(file.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(before, STDERR)
            with suppress(OSError):
                data = _read_from(file.fileno(), 0)
                heard.text = _decode(data)
                os.write(before, data)
            os.close(before)


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()
