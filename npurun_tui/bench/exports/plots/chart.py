"""What all plots have: a frame with axes, a legend, and a description for those who do not see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from npurun_tui.bench.exports.markup import safe
from npurun_tui.bench.exports.plots.drawing import (
    Point,
    Shape,
    fitted,
    line,
    marks,
    width_of,
    written,
)
from npurun_tui.bench.exports.plots.scales import Scale, tick_texts

WIDTH: Final = 760
"""Of every plot, in pixels of its own; pages scale it."""
LEFT: Final = 68
RIGHT: Final = 24
_TITLE_AT: Final = 24
_LEGEND_AT: Final = 46
_ROW: Final = 18
_SAMPLE: Final = 30
_CAPTION: Final = 18


@dataclass(frozen=True, slots=True)
class Key:
    """How one series is drawn, and what the legend says of it."""

    text: str
    css: str
    """`b-a`, `b-b`, `b-load` or `b-out`."""
    shape: Shape | None = None
    hollow: bool = False
    dash: str | None = None
    """A class of `style`; empty for an unbroken line, None for no line."""

    @property
    def line_css(self) -> str:
        """Of its line."""
        return f"b-line {self.css} {self.dash or ''}".rstrip()

    def mark_css(self, *, many: bool = False) -> str:
        """Of its signs; those of many runs let through what lies below."""
        return f"{self.css} {'b-hollow' if self.hollow else 'b-mark'}{' b-many' if many else ''}"


@dataclass(frozen=True, slots=True)
class Plot:
    """A finished picture of `WIDTH` by `height`."""

    name: str
    """For ids; ours, never a session's."""
    title: str
    summary: str
    """What is to be seen, in a sentence or two."""
    height: float
    body: str


@dataclass(slots=True)
class Chart:
    """A plot being drawn: `head` first, then frames from top to bottom, then `plot`."""

    name: str
    title: str
    parts: list[str] = field(default_factory=list)
    bottom: float = 0.0
    """Below all that is drawn."""

    def head(self, keys: Sequence[Key]) -> None:
        """Title and legend; entries wrap."""
        self.parts.append(written((16, _TITLE_AT), self.title, "b-title"))
        x, y = 16.0, float(_LEGEND_AT)
        most = WIDTH - 32 - _SAMPLE
        for key in keys:
            text = fitted(key.text, most)
            wide = _SAMPLE + width_of(text) + 18
            if x > 16 and x + wide > WIDTH:
                x, y = 16.0, y + _ROW
            self._entry(key, (x, y), text)
            x += wide
        self.bottom = y + 8 if keys else _TITLE_AT + 6

    def _entry(self, key: Key, at: Point, text: str) -> None:
        x, y = at
        if key.dash is not None:
            self.parts.append(line((x, y - 4), (x + 22, y - 4), key.line_css))
        if key.shape:
            self.parts.append(marks([(x + 11, y - 4)], key.shape, 3.4, key.mark_css()))
        self.parts.append(written((x + _SAMPLE, y), text))

    def frame(self, height: float, unit: str) -> tuple[float, float]:
        """Room for a frame below what is there, under its unit; where its upper and its lower edge lie."""
        top = self.bottom + _CAPTION + 12
        self.parts.append(written((16, self.bottom + _CAPTION), unit, "b-quiet"))
        self.bottom = top + height
        return top, top + height

    def rows(self, scale: Scale) -> None:
        """The y axis: a line across for each tick, with its value."""
        for tick, text in zip(scale.ticks, tick_texts(scale.ticks), strict=True):
            y = scale.at(tick)
            self.parts.append(line((LEFT, y), (WIDTH - RIGHT, y), "b-grid"))
            self.parts.append(written((LEFT - 8, y + 4), text, "b-quiet", "end"))

    def columns(self, scale: Scale, top: float, bottom: float, caption: str = "") -> None:
        """The x axis along `bottom`; with a caption it names its ticks, without one it only shows where they are."""
        self.parts.append(line((LEFT, bottom), (WIDTH - RIGHT, bottom), "b-axis"))
        last = -1.0
        for tick, text in zip(scale.ticks, tick_texts(scale.ticks), strict=True):
            x = scale.at(tick)
            self.parts.append(line((x, top), (x, bottom + (5 if caption else 0)), "b-grid"))
            half = width_of(text) / 2
            if caption and x - half > last:
                self.parts.append(written((x, bottom + 19), text, "b-quiet", "middle"))
                last = x + half + 6
        if caption:
            middle = (LEFT + WIDTH - RIGHT) / 2
            self.parts.append(written((middle, bottom + 38), caption, "b-quiet", "middle"))
            self.bottom = bottom + 42

    def plot(self, summary: str) -> Plot:
        """What was drawn."""
        return Plot(self.name, self.title, summary, self.bottom + 4, "\n".join(self.parts))


def svg_element(plot: Plot, *, css: str = "", y: float = 0.0, outer: bool = True) -> str:
    """The plot as an `svg` element: `outer` in a page, else inside another picture at `y`."""
    ids = f"b-{plot.name}"
    size = f'viewBox="0 0 {WIDTH} {plot.height:.0f}"'
    if outer:
        size = f'xmlns="http://www.w3.org/2000/svg" {size}'
    else:
        size = f'{size} y="{y:.0f}" width="{WIDTH}" height="{plot.height:.0f}"'
    return (
        f'<svg {size} role="img" aria-labelledby="{ids}-title {ids}-desc">\n'
        f'<title id="{ids}-title">{safe(plot.title)}</title>\n'
        f'<desc id="{ids}-desc">{safe(plot.summary)}</desc>\n'
        f"{css}{plot.body}\n</svg>"
    )
