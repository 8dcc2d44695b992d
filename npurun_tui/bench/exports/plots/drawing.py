"""SVG elements as text. Every text passes `safe`; every number is short."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, Literal
from xml.sax.saxutils import quoteattr

from npurun_tui.bench.exports.markup import plain, safe

Point = tuple[float, float]
Shape = Literal["circle", "diamond", "square", "cross"]
Anchor = Literal["start", "middle", "end"]

SIZES: Final = {"b-title": 15.0, "b-head": 20.0}
"""Of those text classes that are not of the usual size; `style` has the same."""
USUAL: Final = 12.0
_ROUGH_WIDTH: Final = 0.6
"""Of a character, by its height, with a sans serif that is wider than most (DejaVu Sans)."""


def number(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough."""
    text = f"{value:.1f}"
    return "0" if text == "-0.0" else text.removesuffix(".0")


def width_of(text: str, css: str = "") -> float:
    """About how wide `text` is drawn, in pixels; wide letters (East Asian) count for more."""
    letters = sum(1.7 if unicodedata.east_asian_width(sign) in "WF" else 1.0 for sign in text)
    return letters * _ROUGH_WIDTH * SIZES.get(css, USUAL)


def fitted(text: str, width: float, css: str = "") -> str:
    """`text`, cut where it is wider than `width` pixels."""
    if width_of(text, css) <= width:
        return text
    while text and width_of(f"{text}…", css) > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def wrapped(text: str, width: float, css: str = "", *, most: int = 3) -> list[str]:
    """`text` in at most `most` lines of `width` pixels; what has no room after that is cut off."""
    lines = [""]
    for word in plain(text).split():
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and width_of(longer, css) > width and len(lines) < most:
            lines.append(word)
        else:
            lines[-1] = longer
    return [fitted(line, width, css) for line in lines]


def written(at: Point, text: str, css: str = "b-text", anchor: Anchor = "start") -> str:
    """A text whose base line begins, is centred or ends at `at`."""
    x, y = at
    place = f'x="{number(x)}" y="{number(y)}" class={quoteattr(css)}'
    if anchor != "start":
        place += f' text-anchor="{anchor}"'
    return f"<text {place}>{safe(text)}</text>"


def line(begin: Point, end: Point, css: str) -> str:
    """A straight line."""
    return f'<path class={quoteattr(css)} d="M{_place(begin)}L{_place(end)}"/>'


def polyline(parts: Iterable[Sequence[Point]], css: str) -> str:
    """Lines through points; each part is on its own, so that a gap stays one. A part of one point is a dot."""
    path = "".join(_through(part) for part in parts if part)
    return f'<path class={quoteattr(css)} d="{path}"/>' if path else ""


def box(corner: Point, width: float, height: float, css: str) -> str:
    """A rectangle from its upper left corner."""
    x, y = corner
    size = f'width="{number(width)}" height="{number(height)}"'
    return f'<rect x="{number(x)}" y="{number(y)}" {size} class={quoteattr(css)}/>'


def marks(points: Iterable[Point], shape: Shape, radius: float, css: str) -> str:
    """A sign at each point, all in one element: a thousand of them stay small."""
    path = "".join(_sign(point, shape, radius) for point in points)
    return f'<path class={quoteattr(css)} d="{path}"/>' if path else ""


def _place(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"


def _through(points: Sequence[Point]) -> str:
    if len(points) == 1:
        return f"M{_place(points[0])}h0.1"
    return f"M{_place(points[0])}L{' '.join(map(_place, points[1:]))}"


def _sign(point: Point, shape: Shape, radius: float) -> str:
    x, y = point
    r, d = number(radius), number(2 * radius)
    if shape == "circle":
        return f"M{number(x - radius)} {number(y)}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0"
    if shape == "square":
        return f"M{number(x - radius)} {number(y - radius)}h{d}v{d}h-{d}z"
    if shape == "diamond":
        wide = radius * 1.35
        w = number(wide)
        return f"M{number(x - wide)} {number(y)}l{w}-{w} {w} {w}-{w} {w}z"
    return f"M{number(x - radius)} {number(y - radius)}l{d} {d}m0-{d}l-{d} {d}"  # an upright cross is a tick


IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9-]*")
"""What an element may be called; names are ours and never a session's."""
