"""The part of a document that is on the screen: scrolling, painting, selecting.

The place of the top row is the truth; the number that Textual scrolls by follows from it, because rows above may
turn out to be more or fewer than estimated. The scroll position and the size are therefore set without their
watchers, so that neither causes a layout of the screen; only rows that changed are painted.
"""

from __future__ import annotations

from itertools import groupby, zip_longest
from typing import ClassVar, Final

from textual.events import MouseDown, Resize
from textual.geometry import Offset, Region, Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollDown, ScrollTo, ScrollUp
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from npurun_tui.widgets.transcript.document import Document, Mark, Place, Row
from npurun_tui.widgets.transcript.palette import COMPONENTS, Palette
from npurun_tui.widgets.transcript.selecting import selected_text
from npurun_tui.widgets.transcript.strips import GUTTER, MARGIN, Painter

HINT: Final = "↓ new text below · End"
_ENDLESS: Final = 1 << 30


class DocumentWindow(ScrollView):
    """Shows a document. While its end is visible it stays at the end (`following`)."""

    ALLOW_SELECT = True
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENTS
    DEFAULT_CSS = """
    DocumentWindow {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._document = Document()
        self._painter = Painter(Palette(self))
        self._rows: list[Row] = []
        self._top: Place | None = None
        self._y = 0
        self._viewport = Size(0, 0)
        self._marked: int | None = None  # the message with the bar at its left
        self._following = True
        self._unseen = False  # text arrived below what is shown
        self._hinted = False
        self._mark: Mark | None = None  # what stood at the top before a series of resizes
        self._mark_place: Place | None = None
        self._painting = False
        self._pressed = 0

    @property
    def following(self) -> bool:
        """Whether new text at the end scrolls into view."""
        return self._following

    # --- which rows are shown ------------------------------------------------------------------

    def show_end(self) -> None:
        """Go to the end and stay there as text arrives."""
        self._following = True
        self._lay_out()

    def show_place(self, place: Place) -> None:
        """Put a row at the top."""
        self._following = False
        self._lay_out(place)

    def _lay_out(self, top: Place | None = None) -> None:
        """Find the rows to show, from `top` or where the top was, and paint those that changed."""
        height = self._viewport.height
        if not height:
            return
        document = self._document
        rows: list[Row] = []
        if document.messages:
            if not self._following:
                top = document.clamp(top or self._top or Place(0, 0, 0))
                rows = document.window(top, height)
            if len(rows) < height:  # the end is in sight
                top = document.move(document.end(), 1 - height)
                rows = document.window(top, height)
                self._following = True
            elif top is not None and self._is_end(top):
                self._following = True
            if self._following:
                self._unseen = False
        self._top = top if rows else None
        self._place_scroll()
        self._paint_changes(rows)

    def _is_end(self, top: Place) -> bool:
        document = self._document
        return document.move(top, self._viewport.height - 1) == document.end()

    def _place_scroll(self) -> None:
        """Tell Textual the size and position that follow from the rows, without a layout."""
        total = self._document.rows
        self._y = self._document.row_of(self._top) if self._top is not None else 0
        self.set_reactive(Widget.virtual_size, Size(self._viewport.width, total))
        self.set_reactive(Widget.scroll_y, float(self._y))
        self.set_reactive(Widget.scroll_target_y, float(self._y))
        bar = self.vertical_scrollbar
        bar.window_virtual_size = max(total, self._viewport.height)
        bar.window_size = self._viewport.height
        bar.position = self._y

    def _paint_changes(self, rows: list[Row]) -> None:
        """Paint the rows that look different now: the others keep their strips."""
        before, self._rows = self._rows, rows
        hinted, self._hinted = self._hinted, self._unseen
        changed = {
            y
            for y, (new, old) in enumerate(zip_longest(rows, before))
            if new is None or old is None or new.line is not old.line or new.serial != old.serial
        }
        if hinted != self._hinted:
            changed.add(self._viewport.height - 1)
        for _, group in groupby(enumerate(sorted(changed)), lambda pair: pair[1] - pair[0]):
            ys = [y for _, y in group]
            self.refresh(Region(0, ys[0], self._viewport.width, len(ys)))

    # --- scrolling -----------------------------------------------------------------------------

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Somebody scrolled: the wheel, a key, the scrollbar, a drag beyond the edge."""
        del old_value
        y = round(new_value)
        if y == self._y or self._top is None:
            return
        self._following = y >= self.max_scroll_y
        height = self._viewport.height
        near = abs(y - self._y) <= 2 * height  # row by row, which does not depend on estimates
        document = self._document
        self._lay_out(document.move(self._top, y - self._y) if near else document.place_at(y))

    def scroll_rows(self, rows: int) -> None:
        """Scroll down (or up, negative) at once: an animation aims at a row number, and those may change."""
        if self._top is not None:
            self._following = False
            self._lay_out(self._document.move(self._top, rows))

    def action_scroll_up(self) -> None:
        """A row up."""
        self.scroll_rows(-1)

    def action_scroll_down(self) -> None:
        """A row down."""
        self.scroll_rows(1)

    def action_page_up(self) -> None:
        """A page up, less a row to find one's place by."""
        self.scroll_rows(1 - self._viewport.height)

    def action_page_down(self) -> None:
        """A page down, less a row."""
        self.scroll_rows(self._viewport.height - 1)

    def on_scroll_up(self, event: ScrollUp) -> None:
        """A click above the thumb of the scrollbar."""
        event.stop()
        event.prevent_default()
        self.action_page_up()

    def on_scroll_down(self, event: ScrollDown) -> None:
        """A click below the thumb."""
        event.stop()
        event.prevent_default()
        self.action_page_down()

    def on_scroll_to(self, event: ScrollTo) -> None:
        """The thumb was dragged."""
        event.stop()
        event.prevent_default()
        if event.y is not None:
            self.scroll_y = event.y

    def action_scroll_home(self) -> None:
        """Go to the first row."""
        self.show_place(Place(0, 0, 0))

    def action_scroll_end(self) -> None:
        """Go to the end and follow."""
        self.show_end()

    def on_resize(self, event: Resize) -> None:
        """Another width keeps what stands at the top at the top."""
        del event
        size = self.scrollable_content_region.size
        if size == self._viewport:
            return
        document = self._document
        width = size.width - GUTTER - MARGIN
        self._viewport = size
        top = self._top
        if width != document.width:
            # A series of resizes goes by what stood there at first, or each one would move it a little.
            if self._mark is None or top != self._mark_place:
                self._mark = document.mark(top) if top is not None else None
            document.set_width(width)
            top = document.find(self._mark) if self._mark is not None else None
        self._rows = []
        self._lay_out(top)
        self._mark_place = self._top
        self.refresh()

    # --- painting ------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        """Another theme or state: the colours are looked up again for what is visible."""
        super().notify_style_update()
        self._painter.clear()
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Paint rows (see `render_line`)."""
        self._painting = True
        try:
            return super().render_lines(crop)
        finally:
            self._painting = False

    def render_line(self, y: int) -> Strip:
        """One row. Outside a paint Textual asks what is under the mouse, and gets offsets."""
        width = self._viewport.width
        if y >= len(self._rows):
            strip = self._painter.blank(width)
        elif not self._painting:
            return self._painter.located(self._rows[y])
        else:
            strip = self._row_strip(self._rows[y], width)
        if self._hinted and y == self._viewport.height - 1:
            strip = self._painter.hint(strip, HINT, width)
        return strip

    def _row_strip(self, row: Row, width: int) -> Strip:
        marked = row.serial == self._marked
        selection = self.text_selection
        span = selection.get_span(row.key) if selection is not None else None
        if span is None:
            return self._painter.strip(row, width, marked=marked)
        style = self.screen.get_component_rich_style("screen--selection")
        return self._painter.selected(row, width, span, style, marked=marked)

    # --- selecting -----------------------------------------------------------------------------

    def selection_updated(self, selection: Selection | None) -> None:
        """Paint the selection."""
        del selection
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What a selection copies: soft wraps undone, no borders, no padding."""
        start, end = selection
        text = selected_text(
            self._document,
            (start.y, start.x) if start is not None else None,
            (end.y, end.x) if end is not None else None,
        )
        return (text, "\n") if text else None

    def on_mouse_down(self, event: MouseDown) -> None:
        """Remember the row, for a double click."""
        self._pressed = event.y

    def text_select_all(self) -> None:
        """Select the paragraph, item or code that was double-clicked."""
        if self._pressed < len(self._rows):
            key = self._rows[self._pressed].key
            self.screen.selections = {self: Selection(Offset(0, key), Offset(_ENDLESS, key))}
