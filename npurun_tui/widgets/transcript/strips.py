"""Rows as strips: for painting, with a selection, and for finding what is under the mouse.

Painted strips carry no offsets, so that building and caching them is cheap. When Textual asks which character is
under the mouse it renders that one row outside a paint; then every cell says which character of the logical text it
stands for, decoration included, which counts as the nearest text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.strip import Strip

from npurun_tui.widgets.transcript.lines import CODE_BAR, DECORATION, PARTING, Line, Run
from npurun_tui.widgets.transcript.wrapping import cells

if TYPE_CHECKING:
    from npurun_tui.widgets.transcript.document import Row
    from npurun_tui.widgets.transcript.palette import Palette

GUTTER: Final = 2
MARGIN: Final = 1
CURSOR: Final = "▌"
_CACHED: Final = 1000


class Painter:
    """Draws rows in the colours of a palette."""

    def __init__(self, palette: Palette) -> None:
        self._palette = palette
        # By the line itself (they compare by identity), which therefore cannot go away while it is cached.
        self._strips: LRUCache[tuple[Line, int, bool], Strip] = LRUCache(_CACHED)

    def clear(self) -> None:
        """Forget all strips, because the colours changed."""
        self._strips.clear()
        self._palette.clear()

    def strip(self, row: Row, width: int, *, marked: bool) -> Strip:
        """A row as it is painted, exactly `width` cells."""
        key = (row.line, width, marked)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._fit(self._segments(row.line, marked=marked), row.line, width)
            self._strips[key] = strip
        return strip

    def selected(
        self, row: Row, width: int, span: tuple[int, int], style: Style, *, marked: bool
    ) -> Strip:
        """A row with the characters `span` (start, end or -1 for all the rest) of its section selected."""
        start, end = span
        line = row.line
        segments = [self._gutter(marked=marked and line is not PARTING)]
        for run, plain in self._styled(line):
            if run.at == DECORATION:
                segments.append(Segment(run.text, plain))
                continue
            left = max(0, start - run.at)
            right = len(run.text) if end < 0 else max(left, end - run.at)
            parts = (
                (run.text[:left], plain),
                (run.text[left:right], plain + style),
                (run.text[right:], plain),
            )
            segments.extend(Segment(text, painted) for text, painted in parts if text)
        return self._fit(segments, line, width)

    def located(self, row: Row) -> Strip:
        """A row in which every cell knows its offset, for finding what is under the mouse."""
        segments: list[Segment] = []
        at = row.line.at
        for text, offset in _cells_and_text(row.line):
            at = at if offset == DECORATION else offset
            segments.append(Segment(text, Style.from_meta({"offset": (at, row.key)})))
            at += len(text) if offset != DECORATION else 0
        segments.append(Segment("", Style.from_meta({"offset": (at, row.key)})))
        return Strip(segments)

    def blank(self, width: int) -> Strip:
        """A row below everything."""
        return Strip.blank(width, self._palette.style(""))

    def hint(self, strip: Strip, text: str, width: int) -> Strip:
        """`strip` with a short text over its right end."""
        text = f" {text} "
        left = max(0, width - cells(text) - MARGIN)
        right = Strip.blank(MARGIN, self._palette.style(""))
        label = Strip([Segment(text, self._palette.style("hint"))])
        return Strip.join([strip.crop(0, left), label, right]).crop(0, width)

    def _gutter(self, *, marked: bool) -> Segment:
        if marked:
            return Segment(CURSOR.ljust(GUTTER), self._palette.style("cursor"))
        return Segment(" " * GUTTER, self._palette.style(""))

    def _segments(self, line: Line, *, marked: bool) -> list[Segment]:
        gutter = self._gutter(marked=marked and line is not PARTING)
        return [gutter, *(Segment(run.text, style) for run, style in self._styled(line))]

    def _styled(self, line: Line) -> Iterator[tuple[Run, Style]]:
        """The runs with their styles. The background of code begins at its bar, not left of it."""
        fill = ""
        for run in line.runs:
            if run.style == CODE_BAR:
                fill = line.fill
            yield run, self._palette.style(run.style, fill)

    def _fit(self, segments: list[Segment], line: Line, width: int) -> Strip:
        plain = self._palette.style("")
        strip = Strip(segments)
        if line.fill:
            strip = strip.adjust_cell_length(width - MARGIN, self._palette.style(line.fill))
        return strip.adjust_cell_length(width, plain)


def _cells_and_text(line: Line) -> Iterator[tuple[str, int]]:
    """The gutter and all decoration cell by cell, text run by run, with offsets."""
    yield from ((" ", DECORATION) for _ in range(GUTTER))
    for run in line.runs:
        if run.at == DECORATION:
            yield from ((character, DECORATION) for character in run.text)
        else:
            yield run.text, run.at
