"""One line with something at its left and something at its right."""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import RenderResult
from textual.content import Content
from textual.widget import Widget

from npurun_tui.text import one_line


class Sides(Widget):
    """A line of fixed height, so that new words cost no layout; the left side gives way where both do not fit."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._left = ""
        self._right = ""

    def show(self, left: str, right: str) -> None:
        """Show these words; anything but text in them is made visible."""
        sides = (one_line(left), one_line(right))
        if sides != (self._left, self._right):
            self._left, self._right = sides
            self.refresh()

    def render(self) -> RenderResult:
        """Both sides, with the space between them."""
        width = self.content_size.width
        room = max(width - cell_len(self._right) - 1, 0)
        left = Content(self._left).truncate(room, ellipsis=True)
        return Content("").join(
            [
                left.pad_right(max(width - left.cell_length - cell_len(self._right), 0)),
                Content(self._right),
            ]
        )
