"""What keeping the KV cache saves: the time to the first token, turn by turn of a conversation."""

from __future__ import annotations

from dataclasses import replace

from npurun_tui.bench.exports.plots.chart import LEFT, RIGHT, WIDTH, Chart, Key, Plot
from npurun_tui.bench.exports.plots.drawing import marks, polyline
from npurun_tui.bench.exports.plots.scales import counting, from_values
from npurun_tui.bench.exports.plots.series import label, medians, radius_for, side_key, value_of
from npurun_tui.bench.records import Session, Side

_HEIGHT = 220
_MOST_TURNS = 10_000  # of a file that says more, nothing is meant

Pairs = list[tuple[float, float]]


def ttft_by_turn(session: Session) -> Plot | None:
    """None where no conversation was measured."""
    found = [
        (key, pairs)
        for index, side in enumerate(session.sides)
        for key, pairs in _kinds(session, side, first=index == 0)
        if pairs
    ]
    points = [pair for _, pairs in found for pair in pairs]
    if not points:
        return None
    chart = Chart("by-turn", "Time to first token by turn")
    chart.head([key for key, _ in found])
    top, bottom = chart.frame(_HEIGHT, "ms")
    across = counting(max(1, round(max(x for x, _ in points))), LEFT, WIDTH - RIGHT)
    up = from_values([0.0, *(y for _, y in points)], bottom, top)
    chart.rows(up)
    chart.columns(across, top, bottom, "turn of the conversation")
    for key, pairs in found:
        way = [(across.at(x), up.at(y)) for x, y in medians(pairs)]
        chart.parts.append(polyline([way], key.line_css))
        signs = [(across.at(x), up.at(y)) for x, y in pairs]
        css = key.mark_css(many=len(pairs) > 100)
        chart.parts.append(marks(signs, key.shape or "circle", radius_for(len(points)), css))
    return chart.plot(_summary(found))


def _kinds(session: Session, side: Side, *, first: bool) -> list[tuple[Key, Pairs]]:
    key = side_key(first, "")
    kept = replace(key, text=f"{label(side)}, cache kept", dash="")
    anew = replace(key, text=f"{label(side)}, prefilled anew", dash="b-dash")
    anew = replace(anew, hollow=True, shape="square")
    return [
        (kept, _pairs(session, side.key, reuse=True)),
        (anew, _pairs(session, side.key, reuse=False)),
    ]


def _pairs(session: Session, key: str, *, reuse: bool) -> Pairs:
    return [
        (float(run.turn), value)
        for run in session.counted(key)
        if 0 < run.turn <= _MOST_TURNS
        and run.reuse is reuse
        and (value := value_of(run, "ttft_ms")) is not None
    ]


def _summary(found: list[tuple[Key, Pairs]]) -> str:
    parts = []
    for key, pairs in found:
        turn, last = medians(pairs)[-1]
        parts.append(f"{key.text}: {last:,.0f} ms in turn {turn:.0f}")
    return f"One sign a run, a line through the medians. {'; '.join(parts)}."
