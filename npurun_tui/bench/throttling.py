"""Whether a machine gets slower while it works."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from npurun_tui.bench.bootstrap import Cell, interval
from npurun_tui.bench.records import Run, Session
from npurun_tui.bench.statistics import Summary, figure_of, summarise
from npurun_tui.bench.strata import by_stratum, logarithm

LIMIT_PERCENT: Final = 5.0
"""From npurun's `bench --duration`, so that both programs call the same machine throttling."""

ADVISED_S: Final = 300.0
"""npurun's documentation: what is shorter may end before the machine is warm."""

_MANY_CYCLES: Final = 4


@dataclass(frozen=True, slots=True)
class Throttling:
    """A session's second half against its first, by time."""

    first_tps: float
    """Tokens after the first by the time they took, over all runs of the half."""
    second_tps: float
    degradation: float
    """Percent; negative where the second half was faster."""
    low: float
    """The 95 % interval of `degradation`."""
    high: float
    probable: bool
    """Slower by more than 5 %."""
    certain: bool
    """And the interval excludes 0: more than noise."""
    rate: Summary
    """Decode rates of all runs, tok/s."""
    seconds: float
    """From the first run's begin to the last one's end."""


def throttling(session: Session, key: str = "a") -> Throttling | None:
    """Of a stress run; None for others, and where a half has no run, or no question was asked twice in it."""
    if not _stress(session):
        return None
    runs = [
        run
        for run in session.counted(key)
        if _seconds(run) > 0 and math.isfinite(run.began_s) and math.isfinite(run.total_ms)
    ]
    rate = summarise(figure_of(run, "decode_tps") for run in runs)
    if rate is None:
        return None
    seconds = max(map(_ended, runs)) - min(run.began_s for run in runs)
    first, second = _halves(runs)
    if not first or not second:
        return None
    rates = _rate(first), _rate(second)
    change = math.log(rates[1] / rates[0])
    within = interval([_cells(first, -1), _cells(second, 1)], centre=change)
    if within is None:
        return None
    low, high = (-100 * math.expm1(end) for end in (within.high, within.low))
    degradation = -100 * math.expm1(change)
    probable = degradation > LIMIT_PERCENT
    return Throttling(*rates, degradation, low, high, probable, probable and low > 0, rate, seconds)


def _stress(session: Session) -> bool:
    duration = session.plan.get("duration_s")
    return isinstance(duration, int | float) and duration > 0


def _seconds(run: Run) -> float:
    """From the first token to the last; 0 where that is not known."""
    rate = figure_of(run, "decode_tps")
    return max(0, (run.completion_tokens or 0) - 1) / rate if rate is not None else 0.0


def _halves(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Whole cycles, each in the half of the time that its middle is in: both halves have asked the same, so that a
    prompt that is slower than the others weighs the same in both. The last cycle, broken off when the time was up, is
    left out unless it is one of few."""
    cycles: defaultdict[int, list[Run]] = defaultdict(list)
    for run in runs:
        cycles[run.repeat].append(run)
    ordered = [cycles[repeat] for repeat in sorted(cycles)]
    if len(ordered) >= _MANY_CYCLES and len(ordered[-1]) < max(map(len, ordered)):
        ordered.pop()
    began = min(run.began_s for cycle in ordered for run in cycle)
    ended = max(_ended(run) for cycle in ordered for run in cycle)
    first: list[Run] = []
    second: list[Run] = []
    for cycle in ordered:
        middle = (min(run.began_s for run in cycle) + max(map(_ended, cycle))) / 2
        (first if middle < (began + ended) / 2 else second).extend(cycle)
    return first, second


def _ended(run: Run) -> float:
    return run.began_s + run.total_ms / 1000


def _rate(runs: Sequence[Run]) -> float:
    """All tokens by all seconds, as npurun has it: a long answer counts more than a short one."""
    return sum((run.completion_tokens or 0) - 1 for run in runs) / math.fsum(map(_seconds, runs))


def _cells(runs: Sequence[Run], sign: int) -> list[Cell]:
    """A half's runs by question. A run that is slower by one percent moves the half's rate by its share of the time."""
    total = math.fsum(map(_seconds, runs))
    strata: Mapping[Hashable, Sequence[Run]] = by_stratum(runs, "decode_tps")
    return [
        Cell(
            [logarithm(run, "decode_tps") for run in asked],
            [run.repeat for run in asked],
            sign * math.fsum(map(_seconds, asked)) / total,
        )
        for asked in strata.values()
    ]
