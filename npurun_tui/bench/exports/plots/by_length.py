"""How the time to the first token grows with the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from npurun_tui.bench.exports.plots.chart import LEFT, RIGHT, WIDTH, Chart, Key, Plot
from npurun_tui.bench.exports.plots.drawing import Point, Shape, marks, polyline
from npurun_tui.bench.exports.plots.scales import LOG_FROM, for_lengths, for_times
from npurun_tui.bench.exports.plots.series import label, medians, radius_for, side_key, thinned
from npurun_tui.bench.records import Session
from npurun_tui.bench.statistics import figure_of

_HEIGHT = 240
_LOOKS: Final[tuple[tuple[str, Shape], ...]] = (
    ("", "circle"),
    ("b-dash", "square"),
    ("b-dots", "diamond"),
    ("b-long", "cross"),
)


def ttft_by_length(session: Session) -> Plot | None:
    """Runs that begin a conversation, against all tokens of their prompts; None where none of them is known."""
    found = _series(session)
    points = [pair for _, pairs in found for pair in pairs]
    if not points:
        return None
    lengths, times = [x for x, _ in points], [y for _, y in points]
    log = min(lengths) > 0 and max(lengths) / min(lengths) >= LOG_FROM
    chart = Chart("by-length", "Time to first token by prompt length")
    chart.head([key for key, _ in found])
    top, bottom = chart.frame(_HEIGHT, "ms")
    across = for_lengths(lengths, LEFT, WIDTH - RIGHT)
    up = for_times(times, bottom, top, log=log)
    chart.rows(up)
    chart.columns(across, top, bottom, "prompt, tokens")
    radius = radius_for(len(points))
    for key, pairs in found:
        way = [(across.at(x), up.at(y)) for x, y in medians(pairs)]
        if len(way) > 1:
            chart.parts.append(polyline([way], key.line_css))
        places: list[Point] = [(across.at(x), up.at(y)) for x, y in thinned(pairs)]
        css = key.mark_css(many=len(pairs) > 100)
        chart.parts.append(marks(places, key.shape or "circle", radius, css))
    return chart.plot(_summary(found))


def _series(session: Session) -> list[tuple[Key, list[tuple[float, float]]]]:
    """Each side, and each of its windows where there are several, with its points."""
    found: list[tuple[Key, list[tuple[float, float]]]] = []
    for index, side in enumerate(session.sides):
        runs = [run for run in session.counted(side.key) if run.turn == 0]
        windows = sorted({run.context for run in runs})
        for place, window in enumerate(windows):
            pairs = [
                (float(run.prompt_tokens), value)
                for run in runs
                if run.context == window
                and run.prompt_tokens
                and run.prompt_tokens > 0
                and (value := figure_of(run, "ttft_ms")) is not None
            ]
            if not pairs:
                continue
            text = label(side)
            key = side_key(index == 0, text)
            if len(windows) > 1:
                dash, shape = _LOOKS[place % len(_LOOKS)]
                text = f"{text}, window {window:,}"
                key = replace(key, text=text, dash=dash, shape=shape)
            found.append((key, pairs))
    return found


def _summary(found: Sequence[tuple[Key, list[tuple[float, float]]]]) -> str:
    parts = []
    for key, pairs in found:
        (short, first), (long, last) = medians(pairs)[0], medians(pairs)[-1]
        parts.append(f"{key.text}: {first:,.0f} ms at {short:,.0f} tokens")
        if long > short:
            parts[-1] += f", {last:,.0f} ms at {long:,.0f}"
    return f"One sign a run, a line through the medians. {'; '.join(parts)}."
