"""How plots look. No colour stands alone: the two sides differ in sign and dash too.

Custom properties would be shorter, but librsvg, Inkscape and the viewers of mail programs do not know them; those that
do not know `prefers-color-scheme` show the light picture, which has its own background.

Both palettes are Okabe and Ito's blue and vermilion, darkened or lightened until they have a contrast of 4.5 : 1
to the paper.
"""

from __future__ import annotations

from typing import Final

FONTS: Final = 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Roboto, sans-serif'

_LIGHT: Final = {
    "paper": "#ffffff",
    "ink": "#1c2127",
    "quiet": "#57606a",
    "grid": "#e3e7eb",
    "axis": "#8c959f",
    "a": "#0a5fa8",
    "b": "#b34700",
    "load": "#3d6b35",
}
_DARK: Final = {
    "paper": "#14181d",
    "ink": "#e6eaee",
    "quiet": "#a3adb8",
    "grid": "#2b323a",
    "axis": "#6b7683",
    "a": "#6db6f2",
    "b": "#ff9a57",
    "load": "#8fc985",
}

_SHAPES: Final = f"""
.b-text, .b-quiet, .b-title, .b-head {{ font-family: {FONTS}; font-size: 12px; }}
.b-title {{ font-size: 15px; font-weight: 600; }}
.b-head {{ font-size: 20px; font-weight: 600; }}
.b-line, .b-grid, .b-axis {{ fill: none; stroke-width: 1; }}
.b-line {{ stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }}
.b-thin {{ stroke-width: 1.2; }}
.b-dash {{ stroke-dasharray: 8 5; stroke-linecap: butt; }}
.b-dots {{ stroke-dasharray: 2 4; stroke-linecap: butt; }}
.b-long {{ stroke-dasharray: 12 4 3 4; stroke-linecap: butt; }}
.b-hollow {{ fill: none; stroke-width: 1.4; }}
.b-many {{ opacity: 0.45; }}
.b-box {{ fill-opacity: 0.14; stroke-width: 1.4; }}
"""


def _colours(palette: dict[str, str]) -> str:
    return f"""
.b-paper {{ fill: {palette["paper"]}; }}
.b-text, .b-title, .b-head {{ fill: {palette["ink"]}; }}
.b-quiet {{ fill: {palette["quiet"]}; }}
.b-grid {{ stroke: {palette["grid"]}; }}
.b-axis {{ stroke: {palette["axis"]}; }}
.b-a.b-mark, .b-a.b-box {{ fill: {palette["a"]}; }}
.b-b.b-mark, .b-b.b-box {{ fill: {palette["b"]}; }}
.b-a.b-line, .b-a.b-hollow, .b-a.b-box {{ stroke: {palette["a"]}; }}
.b-b.b-line, .b-b.b-hollow, .b-b.b-box {{ stroke: {palette["b"]}; }}
.b-load.b-line {{ stroke: {palette["load"]}; }}
.b-out.b-hollow {{ stroke: {palette["quiet"]}; }}
"""


PLOT_STYLE: Final = (
    f"{_SHAPES}{_colours(_LIGHT)}@media (prefers-color-scheme: dark) {{{_colours(_DARK)}}}\n"
)
"""A stylesheet for all plots of a document."""

PAPER: Final = {"light": _LIGHT, "dark": _DARK}
"""The palettes, for the page around the plots."""
