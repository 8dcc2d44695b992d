"""The decode rate of one run after the other: how much it varies, and whether it drifts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from npurun_tui.bench.exports.plots.chart import LEFT, RIGHT, WIDTH, Chart, Key, Plot
from npurun_tui.bench.exports.plots.drawing import Point, line, marks
from npurun_tui.bench.exports.plots.scales import Scale, counting, from_values
from npurun_tui.bench.exports.plots.series import (
    label,
    radius_for,
    side_key,
    thinned,
    value_of,
    values_of,
)
from npurun_tui.bench.records import Run, Session, Side
from npurun_tui.units import rate

_HEIGHT = 220
_WARM = Key("warm-up", "b-out", "circle", hollow=True)
_NONE = Key("no rate", "b-out", "cross", hollow=True)


def decode_by_run(session: Session) -> Plot | None:
    """None where no run has a rate."""
    runs = list(enumerate(session.runs, start=1))
    rates = [value for _, run in runs if (value := value_of(run, "decode_tps")) is not None]
    if not rates:
        return None
    warm = [(at, run) for at, run in runs if run.warmup and value_of(run, "decode_tps")]
    lost = [at for at, run in runs if value_of(run, "decode_tps") is None]
    measured = {side.key: values_of(session, side.key, "decode_tps") for side in session.sides}
    keys = {
        side.key: side_key(index == 0, _entry(side, measured[side.key]))
        for index, side in enumerate(session.sides)
        if measured[side.key]
    }
    chart = Chart("by-run", "Decode rate by run")
    chart.head([*keys.values(), *([_WARM] if warm else []), *([_NONE] if lost else [])])
    top, bottom = chart.frame(_HEIGHT, "tok/s")
    across = counting(len(runs), LEFT, WIDTH - RIGHT)
    up = from_values(rates, bottom, top)
    chart.rows(up)
    chart.columns(across, top, bottom, "run, in the order in which they were made")
    for side, key in keys.items():
        y = up.at(statistics.median(measured[side]))
        chart.parts.append(line((LEFT, y), (WIDTH - RIGHT, y), f"{key.line_css} b-thin"))
    many = len(runs) > 300
    radius = radius_for(len(runs))
    for side, key in keys.items():
        own = [(at, run) for at, run in runs if run.side == side and run.counts]
        points = _points(own, across, up)
        chart.parts.append(marks(points, key.shape or "circle", radius, key.mark_css(many=many)))
    chart.parts.append(marks(_points(warm, across, up), "circle", radius, _WARM.mark_css()))
    crosses = [(across.at(at), bottom - 6) for at in thinned(lost)]
    chart.parts.append(marks(crosses, "cross", 3.0, _NONE.mark_css()))
    return chart.plot(_summary(session, measured))


def _points(runs: Sequence[tuple[int, Run]], across: Scale, up: Scale) -> list[Point]:
    found = [
        (across.at(at), up.at(value))
        for at, run in runs
        if (value := value_of(run, "decode_tps")) is not None
    ]
    return thinned(found)


def _entry(side: Side, rates: Sequence[float]) -> str:
    return f"{label(side)}, median {rate(statistics.median(rates))}" if rates else label(side)


def _summary(session: Session, measured: dict[str, list[float]]) -> str:
    parts = [
        f"{_entry(side, found)}, from {rate(min(found))} to {rate(max(found))} in {len(found)} runs"
        for side in session.sides
        if (found := measured[side.key])
    ]
    return f"Tokens a second after the first token, one sign a run. {'; '.join(parts)}."
