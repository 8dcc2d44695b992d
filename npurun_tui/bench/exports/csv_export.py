"""Runs as CSV, a line at a time while a bench goes, or a whole session at once.

RFC 4180 as the Rust program writes it: UTF-8, commas, quotes where they are needed, lines that end with LF.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
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
    """Appends runs to a file: its header is written once, where the file is new or empty, and each line is with the
    system before `write` returns, so that a bench that is killed keeps what it had.

    A file of the Rust program, or of an older version of this one, goes on with the columns that it has. Blocking.
    """

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            UsageError: its folder is missing, or it is a file of something else.
            DiskFull, ExportFailed: it cannot be written.
        """
        check_folder(path)
        self._path = path
        with writing(path):
            heads, ragged = _heads_of(path)
            self._columns = heads or tuple(COLUMNS)
            self._file = path.open("ab", buffering=0)
            try:
                if ragged:  # its last writer was ended in the middle of a line
                    self._put(b"\n")
                if not heads:
                    self._put(_line(self._columns))
            except BaseException:
                self._file.close()
                raise

    def write(self, run: Run, side: Side) -> None:
        """One line. `side` is the run's. Warm-ups and answers that were cut off are left out of the Rust program's
        files: its columns cannot mark them, so that they would stand there as measured.

        Raises:
            DiskFull, ExportFailed: it is not there; what was, still is.
        """
        cut = run.outcome in ("aborted", "failed")
        if (run.warmup and "warmup" not in self._columns) or (
            cut and "outcome" not in self._columns
        ):
            return
        cells = [COLUMNS[name](run, side) if name in COLUMNS else "" for name in self._columns]
        with writing(self._path):
            self._put(_line(cells))

    def _put(self, data: bytes) -> None:
        """All of `data`, or nothing: half a line would spoil the next one."""
        before = os.fstat(self._file.fileno()).st_size
        try:
            written = self._file.write(data)
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError:
            with suppress(OSError):
                self._file.truncate(before)
            raise

    def close(self) -> None:
        """Nothing is lost by not calling it but a file descriptor."""
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
