"""Files of results that somebody hands us: bounded, and refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from npurun_tui import units
from npurun_tui.bench.exports.writing import shown
from npurun_tui.errors import BenchFileInvalid

LIMIT: Final = 64 << 20
"""Bytes. A day of runs and samples is a tenth of it."""


def read_bytes(path: Path) -> bytes:
    """What is in the file. Blocking.

    Raises:
        BenchFileInvalid: it cannot be read, or is too large to be results.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BenchFileInvalid(f"{shown(path)} could not be read: {reason}.") from error
    if len(data) > LIMIT:
        raise BenchFileInvalid(
            f"{shown(path)} is larger than {units.size(LIMIT)}, so it holds no bench results."
        )
    return data


def read_text(path: Path) -> str:
    """What is in the file, as text. Blocking. Raises as `read_bytes`, and where it is not UTF-8."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BenchFileInvalid(f"{shown(path)} is not text in UTF-8.") from error
