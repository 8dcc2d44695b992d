"""The top line: the program's name and its tabs, each with the digit that opens it.

One widget that draws one line. Textual's `Tabs` is seven widgets, two lines and an animated underline, all of which a
terminal over SSH has to pay for; what it adds for the keyboard the main screen's own keys do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class TabBar(Widget):
    """A row of titles; the active one is marked by a sign and by its colours."""

    COMPONENT_CLASSES = {"tab-bar--name", "tab-bar--tab", "tab-bar--active"}  # noqa: RUF012 - Textual's way

    active: reactive[int] = reactive(0)

    @dataclass
    class Chosen(Message):
        """A title was clicked; `index` counts from 0."""

        index: int

    def __init__(self, name: str, titles: Sequence[str], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._program = f" {name}  "
        self._titles = titles

    def _cells(self) -> Iterator[str]:
        for index, title in enumerate(self._titles):
            sign = "▸" if index == self.active else " "
            yield f" {sign}{index + 1} {title} "

    def render(self) -> Content:
        """The line, cut at the terminal's width by Textual."""
        parts = [self._styled(self._program, "tab-bar--name")]
        for index, cell in enumerate(self._cells()):
            active = index == self.active
            parts.append(self._styled(cell, "tab-bar--active" if active else "tab-bar--tab"))
        line = Content.assemble(*parts)
        hint = f"Alt+1…{len(self._titles)} "
        room = self.size.width - line.cell_length - len(hint)
        if room > 0:
            line = Content.assemble(line, " " * room, self._styled(hint, "tab-bar--name"))
        return line

    def _styled(self, text: str, component: str) -> Content:
        return Content.styled(text, self.get_visual_style(component))

    def on_click(self, event: Click) -> None:
        """Find the title under the pointer."""
        position = event.x - len(self._program)
        for index, cell in enumerate(self._cells()):
            if 0 <= position < len(cell):
                self.post_message(self.Chosen(index))
                return
            position -= len(cell)
