"""The decode rate over the length of a bench, and below it, along the same time, what the machine did."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, NamedTuple

from npurun_tui.bench.exports.plots.chart import LEFT, RIGHT, WIDTH, Chart, Key, Plot
from npurun_tui.bench.exports.plots.drawing import Point, line, marks, polyline
from npurun_tui.bench.exports.plots.scales import Scale, close, exact, from_values, span
from npurun_tui.bench.exports.plots.series import (
    drawable,
    label,
    middle_s,
    radius_for,
    side_key,
    thinned,
    value_of,
)
from npurun_tui.bench.exports.wording import duration
from npurun_tui.bench.records import Sample, Session, Side
from npurun_tui.bench.throttling import throttling

_RATE_HEIGHT = 190
_PANEL_HEIGHT = 62
_BUCKETS: Final = 400
"""Of a line: more than one value for each two pixels is a smear."""
_MINUTES_FROM: Final = 240.0
_LONGEST: Final = 1e8
"""Seconds that a bench may have lasted: three years."""
_SILENCE: Final = 6.0
"""Times the usual distance between two samples: so long a pause is a gap, such as of a machine asleep."""

Pairs = list[tuple[float, float]]


class _Load(NamedTuple):
    words: str
    unit: str
    of: Callable[[Sample], float | None]
    percent: bool = False
    """Of a whole, so that the axis ends there."""
    from_zero: bool = True


_LOADS: Final = (
    _Load("temperature", "°C", lambda sample: sample.temperature_c, from_zero=False),
    _Load("power", "W", lambda sample: sample.watts),
    _Load("processor", "%", lambda sample: sample.cpu_percent, percent=True),
    _Load("NPU", "%", lambda sample: sample.npu_percent, percent=True),
    _Load("NPU memory", "MB", lambda sample: sample.npu_memory_mb),
    _Load("the engine's memory", "MB", lambda sample: sample.rss_mb),
    _Load("battery", "%", lambda sample: sample.battery_percent, percent=True),
)


def rate_over_time(session: Session) -> Plot | None:
    """None where nothing was measured at two moments at least."""
    sides = [(side, _rates(session, side.key)) for side in session.sides]
    rates = [pair for _, pairs in sides for pair in pairs]
    loads = [(load, _pairs(session.samples, load)) for load in _LOADS]
    loads = [(load, pairs) for load, pairs in loads if len(pairs) > 1]
    moments = [x for x, _ in rates] + [x for _, pairs in loads for x, _ in pairs]
    if not rates or len(set(moments)) < 2:
        return None
    # A file may say 1 s and hold samples of hours.
    end = max(session.seconds if _within(session.seconds) else 0.0, *moments)
    across, caption = _time(end)
    per = 60.0 if caption.endswith("min") else 1.0
    chart = Chart("over-time", "Decode rate over time")
    halves = {side.key: _halves(session, side.key) for side, _ in sides}
    keys = [_key(index == 0, side, halves[side.key]) for index, (side, _) in enumerate(sides)]
    chart.head([key for key, (_, pairs) in zip(keys, sides, strict=True) if pairs])
    top, bottom = chart.frame(_RATE_HEIGHT, "tok/s")
    up = from_values([y for _, y in rates], bottom, top)
    chart.rows(up)
    chart.columns(across, top, bottom, "" if loads else caption)
    for key, (side, pairs) in zip(keys, sides, strict=True):
        points: list[Point] = [(across.at(x / per), up.at(y)) for x, y in thinned(pairs)]
        css = key.mark_css(many=len(rates) > 150)
        chart.parts.append(marks(points, key.shape or "circle", radius_for(len(rates)), css))
        chart.parts += _half_lines(halves[side.key], key, up, across)
    for index, (load, pairs) in enumerate(loads):
        last = index == len(loads) - 1
        _panel(chart, load, pairs, across, per, caption if last else "")
    return chart.plot(_summary(session, loads))


def _time(end: float) -> tuple[Scale, str]:
    if end >= _MINUTES_FROM:
        return exact(0.0, end / 60, LEFT, WIDTH - RIGHT), "time since the bench began, min"
    return exact(0.0, end, LEFT, WIDTH - RIGHT), "time since the bench began, s"


def _halves(session: Session, side: str) -> list[float]:
    """In stress mode, the rates of the two halves that the verdict on throttling compares."""
    found = throttling(session, side) if session.plan.get("duration_s") else None
    return [found.first_tps, found.second_tps] if found else []


def _key(first: bool, side: Side, halves: Sequence[float]) -> Key:
    """Where there are no lines, the legend promises none."""
    key = side_key(first, label(side))
    if not halves:
        return replace(key, dash=None)
    return replace(key, text=f"{key.text}; lines: rate of each half")


def _half_lines(halves: Sequence[float], key: Key, up: Scale, across: Scale) -> list[str]:
    middle = (across.begin + across.end) / 2
    ends = ((across.begin, middle), (middle, across.end))
    return [
        line((begin, up.at(rate)), (end, up.at(rate)), key.line_css)
        for rate, (begin, end) in zip(halves, ends, strict=False)
        if up.low <= rate <= up.high
    ]


def _panel(
    chart: Chart, load: _Load, pairs: Pairs, across: Scale, per: float, caption: str
) -> None:
    top, bottom = chart.frame(_PANEL_HEIGHT, f"{load.words}, {load.unit}")
    values = [y for _, y in pairs]
    if load.percent:
        up = span(0.0, max(100.0, *values), bottom, top, most=2)
    else:
        up = (from_values if load.from_zero else close)(values, bottom, top, most=3)
    chart.rows(up)
    chart.columns(across, top, bottom, caption)
    parts = [
        [(across.at(x / per), up.at(y)) for x, y in part] for part in _bucketed(_unbroken(pairs))
    ]
    chart.parts.append(polyline(parts, "b-line b-load"))


def _rates(session: Session, key: str) -> Pairs:
    return [
        (middle_s(run), value)
        for run in session.counted(key)
        if (value := value_of(run, "decode_tps")) is not None and _within(middle_s(run))
    ]


def _pairs(samples: Sequence[Sample], load: _Load) -> Pairs:
    found = [
        (sample.at_s, value)
        for sample in samples
        if drawable(value := load.of(sample)) and _within(sample.at_s)
    ]
    return sorted(found)


def _within(seconds: float) -> bool:
    return 0 <= seconds <= _LONGEST


def _bucketed(parts: Sequence[Pairs]) -> list[Pairs]:
    """The means of neighbours, where there are more than can be drawn. No mean reaches over a gap."""
    size = -(-sum(map(len, parts)) // _BUCKETS)
    if size == 1:
        return list(parts)
    return [[_mean(part[at : at + size]) for at in range(0, len(part), size)] for part in parts]


def _mean(pairs: Pairs) -> tuple[float, float]:
    return statistics.fmean(x for x, _ in pairs), statistics.fmean(y for _, y in pairs)


def _unbroken(pairs: Pairs) -> list[Pairs]:
    """Parted where nothing was read for long: a line across would claim that something was."""
    steps = [b[0] - a[0] for a, b in pairwise(pairs)]
    usual = statistics.median(steps) if steps else 0.0
    parts = [pairs[:1]]
    for step, pair in zip(steps, pairs[1:], strict=True):
        if step > _SILENCE * usual:
            parts.append([])
        parts[-1].append(pair)
    return parts


def _summary(session: Session, loads: Sequence[tuple[_Load, Pairs]]) -> str:
    text = f"One sign a run, over {duration(session.seconds)}."
    for load, pairs in loads:
        values = [y for _, y in pairs]
        text += f" {load.words.capitalize()}: {min(values):,.1f} to {max(values):,.1f} {load.unit}."
    return text
