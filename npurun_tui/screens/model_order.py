"""Sorting and filtering the Models tab's rows. Knows no Textual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from npurun_tui.screens.model_row import Kind, ModelRow

_GROUPS: Final = {Kind.INSTALLED: 0, Kind.IMPORTING: 0, Kind.BROKEN: 1, Kind.AVAILABLE: 3}
_BEGUN: Final = 2
"""Pulls that run, wait, are paused or have failed. After a restart, too, what is half here is above what is not, where
even a low terminal shows it; the price is that a row moves once when its pull begins, and the cursor with it."""


def _group(row: ModelRow) -> int:
    """What is here stands first, then what was begun, also by another program, then what can be."""
    group = _GROUPS.get(row.kind, _BEGUN)
    return min(group, _BEGUN) if row.elsewhere else group


_Key = Callable[[ModelRow], str | int]

_KEYS: Final[dict[str, _Key]] = {
    "State": _group,
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
