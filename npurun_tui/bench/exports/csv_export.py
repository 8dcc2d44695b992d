"""Runs as CSV, a line at a time while a bench goes, or a whole session at once.

RFC 4180 as the Rust program writes it: UTF-8, commas, quotes where they are needed, lines that end with LF.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from npurun_tui.bench.exports.csv_columns import COLUMNS, SEED_COLUMNS
from npurun_tui.bench.exports.csv_import import read_csv, read_rows
from npurun_tui.bench.exports.writing import check_folder, shown, writing
from npurun_tui.bench.records import Run, Session, Side
from npurun_tui.errors import UsageError

__all__ = ["CsvWriter", "append_csv", "csv_text", "read_csv", "read_rows"]

_HEAD_LIMIT: Final = 64 << 10


class CsvWriter:
    """Appends runs to a file: its header is written once, with the first run, where the file is new or empty, and each
    line is with the system before `write` returns, so that a bench that is killed keeps what it had.

    A file of the Rust program, or of an older version of this one, goes on with the columns that it has. Blocking.
    """

    def __init__(self, path: Path) -> None:
        """See that it can be written to. A bench that measures nothing leaves no file, and changes none.

        Raises:
            UsageError: its folder is missing, or it is a file of something else.
            DiskFull, ExportFailed: it cannot be written.
        """
        check_folder(path)
        self._path = path
        self._columns: tuple[str, ...] = ()
        self._before = b""
        """What goes before the first line."""
        self._file: FileIO | None = None
        with writing(path):
            _heads_of(path)
            if path.exists() and not path.is_file():
                self._opened()  # whoever reads a pipe would take closing it for its end
            else:
                _try(path)

    def write(self, run: Run, side: Side) -> None:
        """One line. `side` is the run's. Warm-ups and answers that were cut off are left out of the Rust program's
        files: its columns cannot mark them, so that they would stand there as measured.

        Raises:
            DiskFull, ExportFailed: it is not there; what was, still is.
        """
        cut = run.outcome in ("aborted", "failed")
        with writing(self._path):
            if not self._columns:
                self._columns, self._before = _beginning(self._path)
            if (run.warmup and "warmup" not in self._columns) or (
                cut and "outcome" not in self._columns
            ):
                return
            cells = [COLUMNS[name](run, side) if name in COLUMNS else "" for name in self._columns]
            _put(self._opened(), self._before + _line(cells))
            self._before = b""

    def _opened(self) -> FileIO:
        if self._file is None:
            self._file = self._path.open("ab", buffering=0)
        return self._file

    def close(self) -> None:
        """Nothing is lost by not calling it but a file descriptor."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _try(path: Path) -> None:
    """See whether a file can be written to, and leave it as it is. Nothing but opening it tells that everywhere."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        path.open("ab").close()
    else:
        path.unlink()


def _put(file: FileIO, data: bytes) -> None:
    """All of `data`, or nothing: half a line would spoil the next one."""
    before = os.fstat(file.fileno()).st_size
    try:
        written = file.write(data)
        while written < len(data):
            written += file.write(data[written:])
    except OSError:
        with suppress(OSError):
            file.truncate(before)
        raise


def append_csv(path: Path, session: Session, runs: Iterable[Run] | None = None) -> None:
    """Append `runs`, or all of the session's.

    Raises:
        UsageError, DiskFull, ExportFailed: as `CsvWriter`.
    """
    sides = {side.key: side for side in session.sides}
    with CsvWriter(path) as writer:
        for run in session.runs if runs is None else runs:
            writer.write(run, sides[run.side])


def csv_text(session: Session) -> str:
    """The whole session as one file."""
    sides = {side.key: side for side in session.sides}
    lines = [_line(tuple(COLUMNS))]
    lines += [
        _line([cell(run, sides[run.side]) for cell in COLUMNS.values()]) for run in session.runs
    ]
    return b"".join(lines).decode()


def _line(cells: Sequence[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().encode("utf-8", "replace")


def _beginning(path: Path) -> tuple[tuple[str, ...], bytes]:
    """The columns of the file at `path`, and what comes before the next line: a header where it is new or empty, the
    end of a line whose writer was ended in its middle."""
    heads, ragged = _heads_of(path)
    if heads:
        return heads, b"\n" if ragged else b""
    return tuple(COLUMNS), _line(tuple(COLUMNS))


def _heads_of(path: Path) -> tuple[tuple[str, ...], bool]:
    """The columns of the file at `path`, none where it is new or empty, and whether its last line has no end.

    Devices and pipes have no beginning to read.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return (), False
    with path.open("rb") as file:
        first = file.readline(_HEAD_LIMIT)
        file.seek(-1, os.SEEK_END)
        ragged = file.read(1) != b"\n"
    heads = tuple(first.decode("utf-8-sig", "replace").strip().split(","))
    if heads[: len(SEED_COLUMNS)] != SEED_COLUMNS:
        raise UsageError(
            f"{shown(path)} is no CSV of a bench, so nothing was added to it.",
            mend="Name another file.",
        )
    return heads, ragged
