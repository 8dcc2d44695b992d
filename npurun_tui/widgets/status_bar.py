"""The line that is always there: which model, on what, in which state, who has it, what is measured, served and pulled.

It has a fixed height and draws its own line, so a change costs one repaint of one row and never a layout.
"""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

_GAP = 2


class StatusBar(Widget):
    """Texts on one line: the engine on the left, the bench, the server and downloads on the right."""

    def __init__(self, engine: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._engine = self._engine_short = engine
        self._bench = self._server = ""
        self._pulls = ("", "")

    def show_engine(self, text: str, short: str = "") -> None:
        """Replace the left part; `short` is used where `text` does not fit."""
        if (text, short or text) != (self._engine, self._engine_short):
            self._engine, self._engine_short = text, short or text
            self.refresh()

    def show_bench(self, text: str) -> None:
        """Replace what stands left of the server; empty where no bench runs."""
        if text != self._bench:
            self._bench = text
            self.refresh()

    def show_server(self, text: str) -> None:
        """Replace what stands left of the downloads; empty where nothing is served."""
        if text != self._server:
            self._server = text
            self.refresh()

    def show_pulls(self, text: str, short: str) -> None:
        """Replace the right part; `short` is used where `text` would hide the left part."""
        if (text, short) != self._pulls:
            self._pulls = (text, short)
            self.refresh()

    def render(self) -> Content:
        """The line for the present width; the left part gives way, never the right one."""
        width = self.size.width
        engine = Content(self._engine)
        long, short = map(self._right, self._pulls)
        right = long
        if engine.cell_length + _GAP + right.cell_length > width:
            right = short
        room = width - right.cell_length - (_GAP if right else 0)
        if engine.cell_length > room:
            engine = Content(self._engine_short)
        left = engine.truncate(max(0, room), ellipsis=True, pad=True)
        return Content.assemble(left, " " * _GAP, right) if right else left

    def _right(self, pulls: str) -> Content:
        parts = (self._bench, self._server, pulls)
        return Content((" " * _GAP).join(part for part in parts if part))
