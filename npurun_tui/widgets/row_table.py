"""A table of rows with a cursor, drawn line by line: one widget, no cell objects, nothing measured.

`DataTable` as it comes selects on a single click, which in a table of downloads would start one, and it paints its
first rows a frame late, after measuring every cell: that alone was a fifth of the time to the first paint. What is
left out here (cell cursors, tall rows) is not needed; who fills the table sorts it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.events import Click, Leave, MouseMove, Resize
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

_HEADER: Final = 1
_GAP: Final = 2
_LEFT: Final = 1
"""The left mouse button."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `width` cells; numbers stand to the `right`. Where room lacks, the highest `rank` goes first."""

    title: str
    width: int
    right: bool = False
    rank: int = 0


class Cell(NamedTuple):
    """One printable line of text, and the component class that colours it (empty: none)."""

    text: str
    look: str = ""


Row = Sequence[Cell]


class RowTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows by key, in the order in which they are given."""

    ALLOW_SELECT = False
    ALLOW_MAXIMIZE = False
    COMPONENT_CLASSES = {  # noqa: RUF012 - Textual's way
        "row-table--header",
        "row-table--cursor",
        "row-table--hover",
        "row-table--strong",
        "row-table--quiet",
        "row-table--good",
        "row-table--warning",
        "row-table--error",
    }
    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("enter", "select", "Select", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g,ctrl+home", "move(-1000000)", "Top", show=False),
        Binding("end,G,ctrl+end", "move(1000000)", "Bottom", show=False),
    ]

    cursor: reactive[int] = reactive(0)
    hover: reactive[int] = reactive(-1)

    @dataclass
    class Moved(Message):
        """The cursor is on another row, or the row under it is another one."""

        key: str

    @dataclass
    class Selected(Message):
        """Enter was pressed on a row, or it was clicked twice."""

        key: str

    @dataclass
    class HeaderClicked(Message):
        """The header of a column was clicked."""

        title: str

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._rows: dict[str, Row] = {}
        self._keys: list[str] = []
        self._columns: tuple[Column, ...] = ()
        self._places: tuple[int, ...] = ()
        """Of each column that is shown: which cell of a row is in it."""
        self._mark = ("", "")
        self._last_clicked = ""
        """The row that the last click was on."""

    # --- what is in it -------------------------------------------------------------------------

    @property
    def keys(self) -> Sequence[str]:
        """The rows' keys in their order."""
        return self._keys

    @property
    def columns(self) -> Sequence[Column]:
        """The columns that fit."""
        return self._columns

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor; None where there is no row."""
        return self._keys[self.cursor] if self._keys else None

    def row(self, key: str) -> Row:
        """The cells of a row. Raises KeyError."""
        return self._rows[key]

    def fit(self, columns: Sequence[Column], width: int, *, grower: int = 0) -> None:
        """Lay out `columns` in `width` cells: the one at `grower` grows, the others give way by their rank.

        Of equal ranks the last goes first; two columns always stay, and the one that grows must be among them. One of
        no width is not shown. One cell is left for the scroll bar.
        """
        room = width - 1
        chosen = {place: column for place, column in enumerate(columns) if column.width}
        while len(chosen) > 2 and _needed(chosen.values()) > room:
            del chosen[max(chosen, key=lambda place: (chosen[place].rank, place))]
        wider = max(8, chosen[grower].width + room - _needed(chosen.values()))
        chosen[grower] = replace(chosen[grower], width=wider)
        if tuple(chosen.values()) != self._columns:
            self._columns, self._places = tuple(chosen.values()), tuple(chosen)
            self.refresh()

    def mark(self, title: str, sign: str) -> None:
        """Put `sign` into the header of the column `title`: what the rows are sorted by."""
        if (title, sign) != self._mark:
            self._mark = (title, sign)
            self.refresh_line(0)

    def show(self, rows: Mapping[str, Row]) -> None:
        """Show `rows`; the cursor stays on its key, or near where that was. Redraws only what differs."""
        before, key, old = self._keys, self.cursor_key, self._rows
        self._rows, self._keys = dict(rows), list(rows)
        if self._keys == before:
            for index, name in enumerate(self._keys):
                if self._rows[name] != old[name]:
                    self.refresh_line(index + _HEADER)
            return
        self.virtual_size = Size(0, len(self._keys) + _HEADER)
        self.refresh()
        place = self._keys.index(key) if key in self._rows else self.validate_cursor(self.cursor)
        if place == self.cursor:
            self._tell()
        self.cursor = place

    def go_to(self, key: str) -> None:
        """Put the cursor on a row. Raises ValueError where there is no such row."""
        self.cursor = self._keys.index(key)

    # --- the cursor ----------------------------------------------------------------------------

    def validate_cursor(self, cursor: int) -> int:
        """The cursor is on a row wherever there is one."""
        return max(0, min(cursor, len(self._keys) - 1))

    def watch_cursor(self, before: int, now: int) -> None:
        """Redraw two lines, bring the row into view, tell."""
        self.refresh_line(before + _HEADER)
        self.refresh_line(now + _HEADER)
        self._show_cursor()
        self._tell()

    def on_resize(self, _event: Resize) -> None:
        """A table that has become lower would have its cursor below its last line."""
        self._show_cursor()

    def _show_cursor(self) -> None:
        row, top, height = self.cursor, self.scroll_offset.y, self.size.height - _HEADER
        if row < top:
            self.scroll_to(y=row, animate=False)
        elif row >= top + height > 0:
            self.scroll_to(y=row - height + 1, animate=False)

    def watch_hover(self, before: int, now: int) -> None:
        """Redraw two lines."""
        self.refresh_line(before + _HEADER)
        self.refresh_line(now + _HEADER)

    def _tell(self) -> None:
        if (key := self.cursor_key) is not None:
            self.post_message(self.Moved(key))

    def action_move(self, rows: int) -> None:
        """Move the cursor by so many rows."""
        self.cursor += rows

    def action_page(self, pages: int) -> None:
        """Move the cursor by so many screens."""
        self.cursor += pages * max(1, self.size.height - _HEADER - 1)

    def action_select(self) -> None:
        """Act on the row under the cursor."""
        if (key := self.cursor_key) is not None:
            self.post_message(self.Selected(key))

    def _row_at(self, y: int) -> int:
        """The index of the row drawn in line `y` of the widget; -1 where there is none."""
        index = y - _HEADER + self.scroll_offset.y
        return index if y >= _HEADER and index < len(self._keys) else -1

    def _title_at(self, x: int) -> str:
        """The title of the column at `x`, its gap included; empty right of the last one."""
        end = 1
        for column in self._columns:
            end += column.width + _GAP
            if x < end:
                return column.title
        return ""

    def on_click(self, event: Click) -> None:
        """One click moves the cursor, a double click selects; a click on a header is told. Other buttons do nothing."""
        if event.button != _LEFT:
            return
        if event.y < _HEADER:
            if title := self._title_at(event.x):
                self.post_message(self.HeaderClicked(title))
        elif (index := self._row_at(event.y)) >= 0:
            # Two clicks at one place are on two rows where the rows have moved between them.
            again = self._keys[index] == self._last_clicked
            self._last_clicked = self._keys[index]
            self.cursor = index
            if event.chain == 2 and again:
                self.action_select()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Mark the row under the pointer."""
        self.hover = self._row_at(event.y)

    def on_leave(self, _event: Leave) -> None:
        """No row is under the pointer."""
        self.hover = -1

    # --- drawing -------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """The line `y` of the widget."""
        base = self.rich_style
        if y == 0:
            base += self.get_component_rich_style("row-table--header", partial=True)
            return self._strip([Cell(self._heading(column)) for column in self._columns], base)
        index = self._row_at(y)
        if index < 0:
            return Strip.blank(self.size.width, base)
        over = Style()
        if index == self.cursor:
            over = self.get_component_rich_style("row-table--cursor", partial=True)
        elif index == self.hover:
            over = self.get_component_rich_style("row-table--hover", partial=True)
        cells = self._rows[self._keys[index]]
        return self._strip([cells[place] for place in self._places], base, over)

    def _heading(self, column: Column) -> str:
        title, sign = self._mark
        if column.title != title:
            return column.title
        # In a column that is just as wide as its title, the sign takes the last letter's place.
        return column.title[: column.width - cell_len(sign)] + sign

    def _strip(self, cells: Sequence[Cell], base: Style, over: Style | None = None) -> Strip:
        over = over or Style()
        plain = base + over
        segments = [Segment(" ", plain)]
        for column, cell in zip(self._columns, cells, strict=False):
            style = plain
            if cell.look:
                look = f"row-table--{cell.look}"
                style = base + self.get_component_rich_style(look, partial=True) + over
            segments.append(Segment(_fitted(cell.text, column), style))
            segments.append(Segment(" " * _GAP, plain))
        return Strip(segments).adjust_cell_length(self.size.width, plain)


def _needed(columns: Collection[Column]) -> int:
    return 1 + sum(column.width + _GAP for column in columns)


def _fitted(text: str, column: Column) -> str:
    """`text` in exactly the column's width; a cut is marked."""
    length = cell_len(text)
    if length > column.width:
        return set_cell_size(text, column.width - 1) + "…"
    padding = " " * (column.width - length)
    return padding + text if column.right else text + padding
