"""Tables: columns fitted to the width, cells wrapped, copied as tab-separated rows without the borders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from npurun_tui.widgets.transcript.lines import DECORATION, Builder, Piece, Run
from npurun_tui.widgets.transcript.wrapping import cells, wrap

_LEAST: Final = 4
_BORDER: Final = " │ "


@dataclass(slots=True)
class Table:
    """Rows of cells of styled pieces; the first row is the header. `aligns` holds left, center or right."""

    rows: list[list[list[Piece]]]
    aligns: list[str]


def render_table(table: Table, builder: Builder) -> bool:
    """Add the table to `builder`; false (and nothing added) when its columns cannot fit."""
    widths = _fit(table, builder.room)
    if widths is None:
        return False
    for number, row in enumerate(table.rows):
        _row(row, widths, table.aligns, builder)
        if number == 0:
            rule = "─┼─".join("─" * width for width in widths)
            builder.fixed([Run(rule, "border", DECORATION)])
    return True


def _fit(table: Table, room: int) -> list[int] | None:
    """Column widths within `room`: what each needs, the widest ones narrowed first."""
    columns = max(len(row) for row in table.rows)
    room -= len(_BORDER) * (columns - 1)
    if room < columns * _LEAST:
        return None
    widths = [_LEAST] * columns
    for row in table.rows:
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], sum(cells(text) for text, _ in cell))
    while (excess := sum(widths) - room) > 0:
        widest = max(widths)
        second = max((width for width in widths if width < widest), default=_LEAST)
        wide = [column for column, width in enumerate(widths) if width == widest]
        step = max(1, min(widest - max(second, _LEAST), -(-excess // len(wide))))
        for column in wide:
            cut = min(step, sum(widths) - room)
            widths[column] -= max(0, cut)
    return widths


def _row(
    row: Sequence[list[Piece]], widths: list[int], aligns: list[str], builder: Builder
) -> None:
    columns: list[list[list[Run]]] = []
    builder.newline()
    for column, width in enumerate(widths):
        if column:
            builder.mark("\t")
        cell = row[column] if column < len(row) else []
        columns.append(_cell(cell, width, builder))
    for level in range(max(len(column) for column in columns)):
        runs: list[Run] = []
        for column, width in enumerate(widths):
            if column:
                runs.append(Run(_BORDER, "border", DECORATION))
            part = columns[column][level] if level < len(columns[column]) else []
            last = column == len(widths) - 1
            align = aligns[column] if column < len(aligns) else ""
            runs.extend(_padded(part, width, align, last=last))
        builder.fixed(runs)


def _cell(cell: list[Piece], width: int, builder: Builder) -> list[list[Run]]:
    """The wrapped lines of a cell; its text goes into the logical text here."""
    text = "".join(part for part, _ in cell)
    base = builder.mark(text)
    lines: list[list[Run]] = []
    for start, end in wrap(text, width):
        runs: list[Run] = []
        position = 0
        for part, style in cell:
            left, right = max(start, position), min(end, position + len(part))
            if left < right:
                runs.append(Run(part[left - position : right - position], style, base + left))
            position += len(part)
        lines.append(runs)
    return lines


def _padded(runs: list[Run], width: int, align: str, *, last: bool) -> list[Run]:
    space = width - sum(cells(run.text) for run in runs)
    left = {"right": space, "center": space // 2}.get(align, 0)
    right = 0 if last else space - left
    before = [Run(" " * left, "", DECORATION)] if left > 0 else []
    after = [Run(" " * right, "", DECORATION)] if right > 0 else []
    return [*before, *runs, *after]
