"""The table of the Models tab: fixed columns, cells changed one by one, a click that only chooses.

`DataTable` as it comes selects a row on a single click, which here would start a download; and it measures every cell
of a column whose width is automatic at each change (a busy table then costs most of a core).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text
from textual.binding import Binding
from textual.events import Click
from textual.widgets import DataTable

Cells = tuple[Text, ...]

_CELL_PADDING: Final = 2
_SCROLLBAR: Final = 1  # as `styles/models.tcss` has it


class ModelTable(DataTable[Text]):
    """Rows by key; `show` brings the screen to what is wanted with the fewest changes."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("j", "cursor_down", "Cursor down", show=False),
        Binding("k", "cursor_up", "Cursor up", show=False),
        Binding("g,home", "scroll_top", "Top", show=False),
        Binding("G,end", "scroll_bottom", "Bottom", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._shown: dict[str, Cells] = {}
        self._layout: tuple[tuple[str, int], ...] = ()

    def fit(self, columns: Sequence[tuple[str, int]], width: int) -> None:
        """Lay out `columns` (title, cells) in `width` cells: the first grows, the last ones give way.

        A column that does not fit is left out; `show` must then be called with the same number of cells.
        """
        room = width - _SCROLLBAR
        chosen = list(columns)
        while len(chosen) > 2 and sum(cells + _CELL_PADDING for _, cells in chosen) > room:
            chosen.pop()
        spare = room - sum(cells + _CELL_PADDING for _, cells in chosen)
        title, cells = chosen[0]
        chosen[0] = (title, max(8, cells + spare))
        layout = tuple(chosen)
        if layout == self._layout:
            return
        key, rows = self.cursor_key, self._shown
        self._layout = layout
        self._shown = {}
        self.clear(columns=True)
        for title, cells in layout:
            self.add_column(Text(title), width=cells, key=title)
        self.show(rows, key)

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor."""
        if not self.is_valid_row_index(self.cursor_row):
            return None
        return self.ordered_rows[self.cursor_row].key.value

    def show(self, rows: dict[str, Cells], cursor: str | None = None) -> None:
        """Show `rows` in their order, the cursor on row `cursor` (default: where it is)."""
        if not self._layout:
            self._shown = rows  # not laid out yet: `fit` shows them
            return
        wanted = cursor or self.cursor_key
        if list(rows) == list(self._shown):
            self._change_cells(rows)
        else:
            self._replace_all(rows)
        if wanted in rows:
            self.move_cursor(row=list(rows).index(wanted), animate=False)

    def _change_cells(self, rows: dict[str, Cells]) -> None:
        for key, cells in rows.items():
            before = self._shown[key]
            for (title, _), old, new in zip(self._layout, before, cells, strict=False):
                if old != new or old.style != new.style:
                    self.update_cell(key, title, new)
        self._shown = rows

    def _replace_all(self, rows: dict[str, Cells]) -> None:
        with self.app.batch_update():
            self.clear()
            for key, cells in rows.items():
                self.add_row(*cells[: len(self._layout)], key=key)
        self._shown = rows

    def on_click(self, event: Click) -> None:
        """One click moves the cursor, a double click selects."""
        row = event.style.meta.get("row", -1)
        event.prevent_default()
        if self.is_valid_row_index(row):
            self.move_cursor(row=row, animate=False)
            if event.chain == 2:
                self.action_select_cursor()
