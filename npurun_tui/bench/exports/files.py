"""A session from a file, whichever of the readable forms it has: JSON of ours, a CSV of ours or of the Rust program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from npurun_tui.bench.exports.csv_import import read_rows
from npurun_tui.bench.exports.json_import import read_session
from npurun_tui.bench.exports.writing import shown
from npurun_tui.bench.records import Machine, Session, Side
from npurun_tui.errors import BenchFileInvalid


def _csv_session(path: Path) -> Session:
    """All that the file has of each side as one bench, appended runs too; it knows nothing of the machine."""
    found = read_rows(path)
    models: dict[str, str] = {}
    for row in found.rows:
        if models.setdefault(row.run.side, row.model) != row.model:
            raise BenchFileInvalid(
                f"{shown(path)} has runs of several models.",
                mend="Keep the lines of one in a file of its own.",
            )
    if "a" not in models:
        raise BenchFileInvalid(f"{shown(path)} has no run.")
    try:
        began = path.stat().st_mtime
    except OSError as error:
        raise BenchFileInvalid(f"{shown(path)} cannot be read.") from error
    return Session(
        id=path.name,
        began=began,
        seconds=0.0,
        complete=True,
        reason="",
        machine=Machine(),
        plan={},
        sides=tuple(Side(key, model, "", "") for key, model in sorted(models.items())),
        runs=tuple(row.run for row in found.rows),
        notes=(found.note,) if found.note else (),
    )


_READERS: Final[dict[str, Callable[[Path], Session]]] = {
    ".json": read_session,
    ".csv": _csv_session,
}


def is_file(name: str) -> bool:
    """Whether `name` is that of a file that can be read, and not a kept bench's: those have no dot."""
    return Path(name).suffix.lower() in _READERS


def read_file(path: Path) -> Session:
    """The bench in the file at `path`, by its ending. Blocking.

    Raises:
        BenchFileInvalid: it cannot be read, or holds no bench.
    """
    return _READERS[path.suffix.lower()](path)
