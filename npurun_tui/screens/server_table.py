"""The table of requests: new ones come in at the top, and the one that a person looks at stays where it is."""

from __future__ import annotations

from collections.abc import Mapping

from textual.events import Click

from npurun_tui.widgets.row_table import Row, RowTable


class RequestTable(RowTable):
    """Follows the newest request until the cursor is moved away from the top; Home follows again."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self.follows = True
        """The cursor goes to each new request."""

    def update_rows(self, rows: Mapping[str, Row]) -> None:
        """Show `rows`; the cursor's row keeps its line on the screen, unless the newest is followed."""
        line = self.cursor - self.scroll_offset.y
        self.show(rows)
        if self.follows:
            self.cursor = 0
        else:
            self.scroll_to(y=max(0, self.cursor - line), animate=False)

    def action_move(self, rows: int) -> None:
        """Move the cursor by so many rows."""
        super().action_move(rows)
        self.follows = self.cursor == 0

    def action_page(self, pages: int) -> None:
        """Move the cursor by so many screens."""
        super().action_page(pages)
        self.follows = self.cursor == 0

    def on_click(self, _event: Click) -> None:
        """Once `RowTable`, which handles the same click, has moved the cursor."""
        self.call_later(self._follow_top)

    def _follow_top(self) -> None:
        self.follows = self.cursor == 0
