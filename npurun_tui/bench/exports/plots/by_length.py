"""How the time to the first token grows with the prompt, and the rate falls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from npurun_tui.bench.exports.plots.chart import LEFT, RIGHT, WIDTH, Chart, Key, Plot
from npurun_tui.bench.exports.plots.drawing import Point, Shape, marks, polyline
from npurun_tui.bench.exports.plots.scales import (
    LOG_FROM,
    Scale,
    for_lengths,
    for_times,
    from_values,
)
from npurun_tui.bench.exports.plots.series import (
    drawable,
    label,
    medians,
    radius_for,
    side_key,
    thinned,
    value_of,
)
from npurun_tui.bench.records import Session
from npurun_tui.bench.statistics import Figure

Series = tuple[Key, list[tuple[float, float]]]

_HEIGHT = 240
_LOOKS: Final[tuple[tuple[str, Shape], ...]] = (
    ("", "circle"),
    ("b-dash", "square"),
    ("b-dots", "diamond"),
    ("b-long", "circle"),
)


def ttft_by_length(session: Session) -> Plot | None:
    """Runs that begin a conversation, against all tokens of their prompts; None where none of them is known."""
    found = _series(session, "ttft_ms")
    lengths, times = _both(found)
    if not lengths:
        return None
    chart = Chart("by-length", "Time to first token by prompt length")
    chart.head([key for key, _ in found])
    top, bottom = chart.frame(_HEIGHT, "ms")
    up = for_times(times, bottom, top, log=_far_apart(lengths))
    _draw(chart, found, up, top, bottom)
    return chart.plot(_summary(found, "ms"))


def decode_by_length(session: Session) -> Plot | None:
    """What a long context costs each token; None where the prompts are about as long as each other."""
    found = _series(session, "decode_tps")
    lengths, rates = _both(found)
    if not lengths or not _far_apart(lengths):
        return None
    chart = Chart("decode-by-length", "Decode rate by prompt length")
    chart.head([key for key, _ in found])
    top, bottom = chart.frame(_HEIGHT, "tok/s")
    _draw(chart, found, from_values(rates, bottom, top), top, bottom)
    return chart.plot(_summary(found, "tok/s"))


def _draw(chart: Chart, found: Sequence[Series], up: Scale, top: float, bottom: float) -> None:
    lengths, _ = _both(found)
    across = for_lengths(lengths, LEFT, WIDTH - RIGHT)
    chart.rows(up)
    chart.columns(across, top, bottom, "prompt, tokens")
    radius = radius_for(len(lengths))
    for key, pairs in found:
        way = [(across.at(x), up.at(y)) for x, y in medians(pairs)]
        if len(way) > 1:
            chart.parts.append(polyline([way], key.line_css))
        places: list[Point] = [(across.at(x), up.at(y)) for x, y in thinned(pairs)]
        css = key.mark_css(many=len(pairs) > 100)
        chart.parts.append(marks(places, key.shape or "circle", radius, css))


def _both(found: Sequence[Series]) -> tuple[list[float], list[float]]:
    pairs = [pair for _, series in found for pair in series]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _far_apart(lengths: Sequence[float]) -> bool:
    return max(lengths) / min(lengths) >= LOG_FROM


def _series(session: Session, figure: Figure) -> list[Series]:
    """Each side, and each of its windows where there are several, with its points."""
    found: list[Series] = []
    for index, side in enumerate(session.sides):
        runs = [run for run in session.counted(side.key) if run.turn == 0]
        windows = sorted({run.context for run in runs})
        for place, window in enumerate(windows):
            pairs = [
                (float(run.prompt_tokens), value)
                for run in runs
                if run.context == window
                and drawable(run.prompt_tokens)
                and run.prompt_tokens > 0
                and (value := value_of(run, figure)) is not None
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


def _summary(found: Sequence[Series], unit: str) -> str:
    parts = []
    for key, pairs in found:
        (short, first), (long, last) = medians(pairs)[0], medians(pairs)[-1]
        parts.append(f"{key.text}: {_short(first)} {unit} at {short:,.0f} tokens")
        if long > short:
            parts[-1] += f", {_short(last)} {unit} at {long:,.0f}"
    return f"One sign a run, a line through the medians. {'; '.join(parts)}."


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
