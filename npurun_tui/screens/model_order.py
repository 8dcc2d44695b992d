"""Sorting and filtering the Models tab's rows. Knows no Textual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from npurun_tui.screens.model_row import Kind, ModelRow

_GROUPS: Final = {Kind.INSTALLED: 0, Kind.IMPORTING: 0, Kind.BROKEN: 1}
"""What is here stands first. A pull that begins or ends does not move its row: it is in the same group before."""

_Key = Callable[[ModelRow], str | int]

_KEYS: Final[dict[str, _Key]] = {
    "State": lambda row: _GROUPS.get(row.kind, 2),
    "Model": lambda row: row.label,
    "Runs": lambda row: {"✓ yes": 0, "?": 1, "✗ no": 2}.get(row.runs, 3),
    "Size": lambda row: row.count,
    "On": lambda row: row.backend,
    "Quant": lambda row: row.quant.lower(),
    "Context": lambda row: row.tokens,
}
"""Column title -> what it is sorted by. The first one is the order at the start."""

COLUMNS: Final = tuple(_KEYS)
"""What the table can be sorted by, in the order of the columns but for the first."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the table is sorted by."""

    column: str = "State"
    reverse: bool = False

    @property
    def sign(self) -> str:
        """For the column's header."""
        return "▼" if self.reverse else "▲"

    def next(self) -> Order:
        """By the next column."""
        return Order(COLUMNS[(COLUMNS.index(self.column) + 1) % len(COLUMNS)])

    def reversed(self) -> Order:
        """The other way round."""
        return replace(self, reverse=not self.reverse)

    def clicked(self, column: str) -> Order:
        """By the column whose header was clicked; the same one again reverses."""
        if column == self.column:
            return self.reversed()
        return Order(column) if column in _KEYS else self


def arranged(rows: Sequence[ModelRow], order: Order, wanted: str) -> list[ModelRow]:
    """The rows that have every word of `wanted` in them, in this order; equal ones stay as they were."""
    words = wanted.lower().split()
    left = [row for row in rows if all(word in row.searched for word in words)]
    return sorted(left, key=_KEYS[order.column], reverse=order.reverse)
