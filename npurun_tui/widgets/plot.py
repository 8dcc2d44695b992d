"""A plot of lines or points with its axes, drawn line by line by one widget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.strip import Strip
from textual.widget import Widget

from npurun_tui.widgets.plot_cells import Canvas, Cell, Frame, Series, frame_of

_LOOKS: Final = ("plot--first", "plot--second")
_AROUND: Final = 2
"""Lines for the title and the axis below."""


class Plot(Widget):
    """Title, canvas, axes. It has a fixed height, so that new points cost a repaint and never a layout."""

    COMPONENT_CLASSES = {  # noqa: RUF012 - Textual's way
        "plot--title",
        "plot--axis",
        "plot--first",
        "plot--second",
    }

    def __init__(
        self,
        title: str,
        *,
        x_words: Callable[[float], str],
        y_words: Callable[[float], str] = "{:.3g}".format,
        nothing: str = "",
        id: str | None = None,  # noqa: A002 - Textual's word
    ) -> None:
        """`x_words` and `y_words` write a number at an axis; `nothing` is shown while there are no points."""
        super().__init__(id=id)
        self._title = title
        self._x_words = x_words
        self._y_words = y_words
        self._nothing = nothing
        self._series: Sequence[Series] = ()
        self._frame: Frame | None = None
        self._lines: list[tuple[str, list[Cell]]] | None = None

    def show(self, series: Sequence[Series]) -> None:
        """Show these; the plot is drawn when it is next painted, and only where somebody sees it."""
        if series != self._series:
            self._series = series
            self._lines = None
            self.refresh()

    def on_resize(self, _event: Resize) -> None:
        """Another size is another picture."""
        self._lines = None

    @property
    def text(self) -> str:
        """All lines as they are seen."""
        return "\n".join(self.render_line(y).text for y in range(self.size.height))

    # --- drawing -------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """The line `y` of the widget."""
        if self._lines is None:
            self._draw()
        base, width = self.rich_style, self.size.width
        if y == 0:
            return self._strip(self._heading(base), base, width)
        axis = base + self.get_component_rich_style("plot--axis", partial=True)
        lines = self._lines or []
        if not lines:
            words = self._nothing if y == 1 else ""
            return self._strip([Segment(f" {words}", axis)], base, width)
        if y - 1 < len(lines):
            label, cells = lines[y - 1]
            return self._strip([Segment(label, axis), *self._segments(cells, base)], base, width)
        below = self._below(len(lines[0][0])) if y - 1 == len(lines) else ""
        return self._strip([Segment(below, axis)], base, width)

    def _strip(self, segments: list[Segment], base: Style, width: int) -> Strip:
        return Strip(segments).adjust_cell_length(width, base)

    def _heading(self, base: Style) -> list[Segment]:
        title = base + self.get_component_rich_style("plot--title", partial=True)
        segments = [Segment(f" {self._title}", title)]
        for number, one in enumerate(self._series if len(self._series) > 1 else ()):
            segments.append(Segment(f"  {one.sign or '⠶'} {one.name}", self._look(number, base)))
        return segments

    def _look(self, number: int, base: Style) -> Style:
        if not 0 <= number < len(_LOOKS):
            return base
        return base + self.get_component_rich_style(_LOOKS[number], partial=True)

    def _segments(self, cells: list[Cell], base: Style) -> list[Segment]:
        return [
            Segment("".join(sign for sign, _ in group), self._look(number, base))
            for number, group in groupby(cells, key=lambda cell: cell[1])
        ]

    def _draw(self) -> None:
        self._lines = []
        height = self.size.height - _AROUND
        self._frame = frame = frame_of(self._series)
        if frame is None or height < 1:
            return
        labels = self._labels(frame, height)
        canvas = Canvas(self.size.width - cell_len(labels[0]) - 1, height, frame)
        for number, one in enumerate(self._series):
            canvas.draw(number, one)
        self._lines = list(zip(labels, canvas.rows(), strict=True))

    def _labels(self, frame: Frame, height: int) -> list[str]:
        """What stands left of each line: the axis, and numbers at its ends and in the middle."""
        words = [""] * height
        words[0] = self._y_words(frame.top)
        if height > 2:
            middle = height // 2
            words[middle] = self._y_words((frame.top + frame.bottom) / 2)
        if height > 1:
            words[-1] = self._y_words(frame.bottom)
        width = max(map(len, words))
        return [f" {word:>{width}} {'┤' if word else '│'}" for word in words]

    def _below(self, indent: int) -> str:
        """The axis below, with the numbers at its ends."""
        frame = self._frame
        if frame is None:
            return ""
        left, right = self._x_words(frame.left), self._x_words(frame.right)
        room = self.size.width - indent - 1 - len(left)
        return " " * indent + left + (f"{right:>{room}}" if left != right and room > 0 else "")
