"""How the values of a figure are spread: each run, and a box from the first quartile to the third."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from npurun_tui.bench.exports.plots.chart import LEFT, RIGHT, WIDTH, Chart, Key, Plot
from npurun_tui.bench.exports.plots.drawing import box, fitted, line, marks, written
from npurun_tui.bench.exports.plots.scales import LOG_FROM, Scale, close, for_times
from npurun_tui.bench.exports.plots.series import (
    label,
    radius_for,
    side_key,
    thinned,
    values_of,
)
from npurun_tui.bench.records import Session
from npurun_tui.bench.statistics import NAMES, UNITS, Figure, percentile

_ROW: Final = 62
_BOX: Final = 26
_BOXED_FROM: Final = 5
"""Quartiles of fewer values are the values themselves."""
_GOLDEN: Final = 0.6180339887498949
"""Its multiples, modulo 1, fill a row evenly and look like no pattern; chance would draw another picture each time."""
_TITLES: Final = {
    "decode_tps": "Spread of the decode rate",
    "ttft_ms": "Spread of the time to first token",
}


def spread(session: Session, figure: Figure) -> Plot | None:
    """None where nothing was measured. Times and rates of all prompts stand in one row: where prompts differ in length,
    `by_length` tells more."""
    sides = [(side, values_of(session, side.key, figure)) for side in session.sides]
    found = [(side, values, index == 0) for index, (side, values) in enumerate(sides) if values]
    if not found:
        return None
    unit = UNITS[figure]
    chart = Chart(f"spread-{figure.replace('_', '-')}", _TITLES.get(figure, NAMES[figure]))
    chart.head([])
    top, bottom = chart.bottom + 8, chart.bottom + 8 + _ROW * len(found)
    across = _scale([value for _, values, _ in found for value in values])
    chart.columns(across, top, bottom, unit)
    for row, (side, values, first) in enumerate(found):
        key = side_key(first, "")
        text = _words(label(side), values, unit)
        at = top + _ROW * row
        chart.parts.append(written((LEFT, at + 14), fitted(text, WIDTH - LEFT - RIGHT)))
        chart.parts += _row(values, across, at + 23 + _BOX / 2, key)
    described = "; ".join(_words(label(side), values, unit) for side, values, _ in found)
    return chart.plot(f"One sign a run; a box holds the middle half of them. {described}.")


def _scale(values: Sequence[float]) -> Scale:
    """Times of long and of short prompts are decades apart."""
    if min(values) > 0 and max(values) / min(values) >= LOG_FROM:
        return for_times(values, LEFT, WIDTH - RIGHT, log=True)
    return close(values, LEFT, WIDTH - RIGHT, most=8)


def _words(text: str, values: Sequence[float], unit: str) -> str:
    ordered = sorted(values)
    runs = "1 run" if len(values) == 1 else f"{len(values):,} runs"
    return f"{text}: median {percentile(ordered, 0.5):,.1f} {unit}, {runs}"


def _row(values: Sequence[float], across: Scale, middle: float, key: Key) -> list[str]:
    ordered = sorted(values)
    parts: list[str] = []
    if len(ordered) >= _BOXED_FROM:
        left, right = (across.at(percentile(ordered, share)) for share in (0.25, 0.75))
        parts.append(box((left, middle - _BOX / 2), right - left, _BOX, f"{key.css} b-box"))
    median = across.at(percentile(ordered, 0.5))
    ends = (median, middle - _BOX / 2 - 3), (median, middle + _BOX / 2 + 3)
    parts.append(line(*ends, f"b-line {key.css}"))
    signs = [
        (across.at(value), middle + ((index * _GOLDEN) % 1 - 0.5) * (_BOX - 8))
        for index, value in enumerate(thinned(values))
    ]
    if len(signs) == 1:
        signs = [(signs[0][0], middle)]
    radius = radius_for(len(signs))
    parts.append(marks(signs, key.shape or "circle", radius, key.mark_css(many=len(signs) > 60)))
    return parts
