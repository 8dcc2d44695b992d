"""Points drawn with characters: eight dots in each cell (braille), or one sign in it. Knows no Textual.

What a plot costs goes by its size, not by how many points there are: those of one column of dots become their mean
before anything is drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

Point = tuple[float, float | None]
"""x and y; no y breaks the line."""

_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Unicode's braille block: the bit of each dot, by row and column."""
_BRAILLE: Final = 0x2800
_STEPS: Final = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_LEVELS: Final = "▁▂▃▄▅▆▇█"

BOTH: Final = "◉"
"""A sign that lies over another series' point."""

Cell = tuple[str, int]
"""A character, and the number of the series that it is of; -1 for none."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one cloud of points."""

    name: str
    points: Sequence[Point]
    """By x."""
    sign: str = ""
    """Drawn for each point in place of dots, so that two series are told apart without colours."""
    joined: bool = True
    """Neighbours are joined by lines of dots; a series of signs never is."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is in view; the ends are included."""

    left: float
    right: float
    top: float
    bottom: float = 0.0


def nice_top(most: float) -> float:
    """A round number that is not below `most`, for the top of an axis."""
    if (
        most < sys.float_info.min
    ):  # what is smaller has no power of ten below it: it is drawn as nothing
        return 1.0
    size = 1.0
    while size * 10 <= most:
        size *= 10
    while size > most:
        size /= 10
    return next(step * size for step in _STEPS if step * size >= most * 0.999999)


def frame_of(series: Iterable[Series]) -> Frame | None:
    """A frame that holds all points, from zero up; None where there are none."""
    points = [(x, y) for one in series for x, y in one.points if y is not None]
    if not points:
        return None
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    return Frame(left, right, nice_top(max(y for _, y in points)))


def sparkline(values: Sequence[float | None], width: int, top: float) -> str:
    """The last `width` values as a line of blocks; what is not known is a space."""
    shown = values[-width:] if width > 0 else ()
    return "".join(" " if value is None else _level(value, top) for value in shown)


def _level(value: float, top: float) -> str:
    share = min(1.0, max(0.0, value / top)) if top > 0 else 0.0
    return _LEVELS[round(share * (len(_LEVELS) - 1))]


class Canvas:
    """`width` times `height` cells, drawn on by series; a later one lies over an earlier one."""

    def __init__(self, width: int, height: int, frame: Frame) -> None:
        self._width = max(1, width)
        self._height = max(1, height)
        self._frame = frame
        self._bits = [[0] * self._width for _ in range(self._height)]
        self._owner = [[-1] * self._width for _ in range(self._height)]
        self._signs: dict[tuple[int, int], str] = {}

    def draw(self, number: int, series: Series) -> None:
        """Draw a series; its cells are marked with `number`."""
        if series.sign:
            self._draw_signs(number, series)
            return
        before: tuple[int, int] | None = None
        for place in self._thinned(series.points):
            if place is not None:
                line = _line(before, place) if before and series.joined else (place,)
                for x, y in line:
                    self._dot(number, x, y)
            before = place

    def rows(self) -> list[list[Cell]]:
        """From the top."""
        return [
            [self._cell(row, column) for column in range(self._width)]
            for row in range(self._height)
        ]

    def _cell(self, row: int, column: int) -> Cell:
        sign = self._signs.get((row, column))
        bits = self._bits[row][column]
        return sign or (chr(_BRAILLE + bits) if bits else " "), self._owner[row][column]

    def _draw_signs(self, number: int, series: Series) -> None:
        for x, y in self._places(series.points, self._width, self._height):
            taken = self._owner[y][x] not in (-1, number)
            if taken:
                self._signs[y, x] = BOTH
            else:
                self._signs.setdefault((y, x), series.sign)
            self._owner[y][x] = number

    def _places(
        self, points: Iterable[Point], columns: int, rows: int
    ) -> Iterable[tuple[int, int]]:
        for x, y in points:
            if y is not None:
                yield self._column(x, columns), self._row(y, rows)

    def _thinned(self, points: Iterable[Point]) -> Iterable[tuple[int, int] | None]:
        """One point for each column of dots; None where the line breaks."""
        column, sum_y, count = -1, 0.0, 0
        for x, y in points:
            at = self._column(x, self._width * 2)
            if count and (y is None or at != column):
                yield column, self._row(sum_y / count, self._height * 4)
                sum_y, count = 0.0, 0
            if y is None:
                yield None
            else:
                column, sum_y, count = at, sum_y + y, count + 1
        if count:
            yield column, self._row(sum_y / count, self._height * 4)

    def _column(self, x: float, columns: int) -> int:
        frame = self._frame
        share = (x - frame.left) / (frame.right - frame.left) if frame.right > frame.left else 0.5
        return min(columns - 1, max(0, int(share * columns)))

    def _row(self, y: float, rows: int) -> int:
        frame = self._frame
        share = (y - frame.bottom) / (frame.top - frame.bottom) if frame.top > frame.bottom else 0.0
        return rows - 1 - min(rows - 1, max(0, int(share * rows)))

    def _dot(self, number: int, x: int, y: int) -> None:
        row, column = y // 4, x // 2
        self._bits[row][column] |= _DOTS[y % 4][x % 2]
        self._owner[row][column] = number


def _line(start: tuple[int, int], end: tuple[int, int]) -> Iterable[tuple[int, int]]:
    """The dots between two dots, both included."""
    (x0, y0), (x1, y1) = start, end
    steps = max(abs(x1 - x0), abs(y1 - y0), 1)
    for step in range(steps + 1):
        yield round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)
