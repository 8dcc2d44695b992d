"""What plots share of a session: how its sides look, and how many points are drawn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final, TypeGuard, TypeVar

from npurun_tui.bench.exports.markup import plain
from npurun_tui.bench.exports.plots.chart import Key
from npurun_tui.bench.records import Run, Session, Side
from npurun_tui.bench.statistics import Figure, figure_of

T = TypeVar("T")

MOST_POINTS: Final = 3000
"""Of one series: more can't be told apart, and make a file of megabytes."""
_LARGEST: Final = 1e12
_SMALLEST: Final = 1e-6
_MODEL: Final = 34
_DEVICE: Final = 26


def label(side: Side) -> str:
    """A side in a legend: of a long model name less is left than of where it runs, which tells two sides apart."""
    model = plain(side.model, _MODEL)
    return f"{model} · {plain(side.device, _DEVICE)}" if side.device else model


def side_key(first: bool, text: str) -> Key:
    """How a side is drawn: the model's own runs as filled circles, a baseline's as hollow diamonds."""
    if first:
        return Key(text, "b-a", "circle", dash="")
    return Key(text, "b-b", "diamond", hollow=True, dash="b-dash")


def radius_for(count: int) -> float:
    """Of a sign, where `count` of them are drawn."""
    if count <= 60:
        return 3.4
    return 2.6 if count <= 300 else 1.8


def thinned(points: Sequence[T], most: int = MOST_POINTS) -> list[T]:
    """At most `most` of them, evenly spread; the first and the last are kept."""
    if len(points) <= most:
        return list(points)
    step = (len(points) - 1) / (most - 1)
    return [points[round(index * step)] for index in range(most)]


def drawable(value: float | None) -> TypeGuard[float]:
    """Whether a number can lie on an axis. Sessions come from files too, and 1e308 leaves no room for an axis' own
    arithmetic; nothing that was measured is near the limits."""
    return value is not None and abs(value) <= _LARGEST


def value_of(run: Run, figure: Figure) -> float | None:
    """A run's figure on the host's clock, where it can be drawn."""
    value = figure_of(run, figure)
    return value if drawable(value) and value >= _SMALLEST else None


def values_of(session: Session, key: str, figure: Figure) -> list[float]:
    """A side's values of a figure, in the order in which they were measured."""
    found = (value_of(run, figure) for run in session.counted(key))
    return [value for value in found if value is not None]


def medians(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """For each x the median of its ys, in the order of the xs."""
    by_x: dict[float, list[float]] = {}
    for x, y in pairs:
        by_x.setdefault(x, []).append(y)
    return [(x, statistics.median(ys)) for x, ys in sorted(by_x.items())]


def middle_s(run: Run) -> float:
    """When a run's answer was half generated, on the session's clock."""
    ttft = (run.host.ttft_ms or 0.0) / 1000
    total = run.total_ms / 1000
    return run.began_s + (min(ttft, total) + total) / 2
