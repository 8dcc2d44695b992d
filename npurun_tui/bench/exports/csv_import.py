"""Runs from CSV: ours, and the Rust program's."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, get_args

from npurun_tui.bench.exports.csv_columns import SEED_COLUMNS, unguarded
from npurun_tui.bench.exports.reading import read_text
from npurun_tui.bench.exports.writing import shown
from npurun_tui.bench.records import NOT_TIMED, Clock, Outcome, Run
from npurun_tui.errors import BenchFileInvalid
from npurun_tui.text import one_line

ESTIMATED: Final = (
    "The Rust program estimates tokens from words, so its counts and rates are estimates too."
)
_LARGEST: Final = 1e12
"""Milliseconds, tokens or tokens a second: nothing that was measured comes near."""


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A line."""

    model: str
    run: Run


@dataclass(frozen=True, slots=True)
class CsvRows:
    """A file."""

    rows: tuple[CsvRow, ...]
    note: str = ""
    """What to know of its figures; empty for our own files."""


class _Line:
    """The cells of one line, by the names of their columns."""

    def __init__(self, cells: Mapping[str, str], where: str) -> None:
        self._cells = cells
        self._where = where

    def text(self, name: str) -> str:
        return unguarded(self._cells.get(name, ""))

    def number(self, name: str) -> float | None:
        """None where the cell is empty or the column is missing."""
        cell = self._cells.get(name, "").strip()
        if not cell:
            return None
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not 0 <= value <= _LARGEST:  # also false for nan
            raise self._wrong(name, cell)
        return value

    def whole(self, name: str) -> int | None:
        value = self.number(name)
        return None if value is None else round(value)

    def flag(self, name: str) -> bool:
        return self._cells.get(name, "") == "true"

    def outcome(self, otherwise: Outcome) -> Outcome:
        cell = self._cells.get("outcome", "") or otherwise
        for outcome in get_args(Outcome):
            if cell == outcome:
                found: Outcome = outcome
                return found
        raise self._wrong("outcome", cell)

    def _wrong(self, name: str, cell: str) -> BenchFileInvalid:
        return BenchFileInvalid(f"{self._where}: {name} cannot be {one_line(cell, 40)}.")


def read_csv(path: Path) -> list[Run]:
    """The runs in the file at `path`; `read_rows` says whose they are. Blocking.

    Raises:
        BenchFileInvalid: it cannot be read, is no CSV of a bench, or has a cell that cannot be.
    """
    return [row.run for row in read_rows(path).rows]


def read_rows(path: Path) -> CsvRows:
    """The lines of the file at `path`, with their models. Blocking. Raises as `read_csv`.

    The Rust program leaves the first query of a bench out of its figures (`--skip-first`, which is always on) and does
    not mark it; it is marked as a warm-up here, unless it was the only one.
    """
    lines = list(_lines(path))
    if not lines:
        return CsvRows(())
    if all(seed for _, seed in lines):
        rows = _first_marked([_seed_row(line) for line, _ in lines])
        return CsvRows(tuple(rows), ESTIMATED)
    # A file of ours that the Rust program has appended to has lines with its columns only.
    rows = [_seed_row(line) if seed else _own_row(line) for line, seed in lines]
    return CsvRows(tuple(rows), ESTIMATED if any(seed for _, seed in lines) else "")


def _lines(path: Path) -> Iterator[tuple[_Line, bool]]:
    """Each line, and whether it has the Rust program's columns only."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        heads = [head.strip() for head in next(reader, [])]
        if tuple(heads[: len(SEED_COLUMNS)]) != SEED_COLUMNS:
            raise BenchFileInvalid(
                f"{shown(path)} is no CSV of a bench.",
                mend=f"One begins with the line {','.join(SEED_COLUMNS)}.",
            )
        for cells in reader:
            where = f"{shown(path)}, line {reader.line_num}"
            if not cells:
                continue
            if len(cells) not in (len(heads), len(SEED_COLUMNS)):
                raise BenchFileInvalid(
                    f"{where}: it has {len(cells)} cells, where {len(heads)} belong."
                )
            by_name = dict(zip(heads, cells, strict=False))
            yield _Line(by_name, where), len(cells) == len(SEED_COLUMNS)
    except csv.Error as error:
        raise BenchFileInvalid(
            f"{shown(path)}, line {reader.line_num}: {one_line(str(error), 80)}."
        ) from error


def _seed_row(line: _Line) -> CsvRow:
    tokens = line.whole("tokens")
    rate = line.number("tps_post_ttft")
    run = Run(
        side="a",
        prompt=line.text("prompt"),
        context=line.whole("ctx") or 0,
        repeat=max(0, (line.whole("repeat") or 1) - 1),
        warmup=False,
        began_s=0.0,
        total_ms=line.number("total_ms") or 0.0,
        # It writes 0.000 where nothing was generated after the first token.
        host=Clock(line.number("ttft_ms"), None, rate or None),
        engine=NOT_TIMED,
        prompt_tokens=None,
        cached_tokens=None,
        completion_tokens=tokens,
        outcome="stop" if tokens else "empty",
    )
    return CsvRow(line.text("model"), run)


def _own_row(line: _Line) -> CsvRow:
    run = Run(
        side=line.text("side") or "a",
        prompt=line.text("prompt"),
        context=line.whole("ctx") or 0,
        repeat=max(0, (line.whole("repeat") or 1) - 1),
        warmup=line.flag("warmup"),
        began_s=line.number("began_s") or 0.0,
        total_ms=line.number("total_ms") or 0.0,
        host=Clock(
            line.number("ttft_ms"), line.number("prefill_tps"), line.number("tps_post_ttft")
        ),
        engine=Clock(
            line.number("engine_ttft_ms"),
            line.number("engine_prefill_tps"),
            line.number("engine_decode_tps"),
        ),
        prompt_tokens=line.whole("prompt_tokens"),
        cached_tokens=line.whole("cached_tokens"),
        completion_tokens=line.whole("tokens"),
        outcome=line.outcome("stop"),
        fault=line.text("fault"),
        turn=line.whole("turn") or 0,
        reuse=line.flag("reuse"),
        max_tokens=line.whole("max_tokens") or 0,
    )
    return CsvRow(line.text("model"), run)


def _first_marked(rows: list[CsvRow]) -> list[CsvRow]:
    """A bench begins where the model or the window changes, or a repeat comes again."""
    begins: list[int] = []
    seen: set[tuple[int, str]] = set()
    for index, row in enumerate(rows):
        last = rows[index - 1] if index else None
        asked = (row.run.repeat, row.run.prompt)
        if last is None or _is_other(last, row) or asked in seen:
            begins.append(index)
            seen.clear()
        seen.add(asked)
    marked = list(rows)
    for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True):
        if end - begin > 1:
            first = rows[begin]
            marked[begin] = replace(first, run=replace(first.run, warmup=True))
    return marked


def _is_other(last: CsvRow, row: CsvRow) -> bool:
    return (
        row.model != last.model
        or row.run.context != last.run.context
        or row.run.repeat < last.run.repeat
    )
