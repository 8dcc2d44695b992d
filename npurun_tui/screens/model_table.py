"""The Models tab's columns, a model's cells in them, and the line that filters the rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from textual.binding import Binding

from npurun_tui.screens.model_row import Kind, ModelRow
from npurun_tui.screens.model_words import WAITING
from npurun_tui.widgets.row_table import Cell, Column
from npurun_tui.widgets.safe_input import SafeInput

_ABOUT_IT: Final = (
    Column("Runs", 5, rank=2),
    Column("Size", 8, right=True, rank=1),
    Column("On", 3, rank=3),
    Column("Quant", 6, rank=4),
    Column("Context", 7, right=True, rank=5),
)
WITH_PACE: Final = (Column("Model", 21), Column("State", 14), Column("Pace", 17), *_ABOUT_IT)
"""While something is on its way; in 60 columns these are the first three, in 80 the first five."""
WITHOUT_PACE: Final = (Column("Model", 24), Column("State", 14), Column("Pace", 0), *_ABOUT_IT)

_LOOKS: Final = {
    Kind.INSTALLED: "strong",
    Kind.BROKEN: "error",
    Kind.FAILED: "error",
    Kind.IMPORTING: "good",
    Kind.PULLING: "good",
    Kind.QUEUED: "warning",
    Kind.PAUSED: "warning",
    Kind.AVAILABLE: "quiet",
}
_STATES: Final = {"✗": "error", WAITING: "warning"}
_SIGNS: Final = {"✓": "good", "✗": "error"}


def cells(row: ModelRow) -> tuple[Cell, ...]:
    """One for each column."""
    look = next((look for start, look in _STATES.items() if row.state.startswith(start)), "")
    return (
        Cell(row.label, "strong" if row.kind is Kind.INSTALLED else ""),
        Cell(row.state, look or _LOOKS[row.kind]),
        Cell(row.pace),
        Cell(row.runs, _SIGNS.get(row.runs[:1], "")),
        Cell(row.size),
        Cell(row.backend),
        Cell(row.quant),
        Cell(row.context),
    )


class MadeCells:
    """The cells of the rows that are shown; of a row that is the very one from before they are not made again."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[ModelRow, tuple[Cell, ...]]] = {}

    def of(self, rows: Iterable[ModelRow]) -> dict[str, tuple[Cell, ...]]:
        """By the rows' names, in their order."""
        before, self._made = self._made, {}
        for row in rows:
            made = before.get(row.name)
            self._made[row.name] = made if made and made[0] is row else (row, cells(row))
        return {name: made for name, (_, made) in self._made.items()}


class FilterInput(SafeInput):
    """The line that filters the table; Enter and Down go back to the rows."""

    BINDINGS = [Binding("down", "submit", "To the rows", show=False)]  # noqa: RUF012 - Textual's way
