"""From a trace of power to joules a token above the idle machine, or in words why not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from npurun_tui import units
from npurun_tui.bench.energy.edges import open_joules
from npurun_tui.bench.energy.traces import Part, Span, Stretch, Trace, part_of
from npurun_tui.bench.energy.uncertainty import difference, mean_of
from npurun_tui.bench.records import Energy

SMALLEST_DIFFERENCE: Final = 0.5
"""Watts: below it the seed's energy script warns, too."""
FEW_READINGS: Final = 10
_COVERED: Final = 0.98
"""Of the busy time that has to be measured. Tokens that came unmeasured would look free."""
_SHORTEST_REST: Final = 1.0


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without readings."""

    start: float
    end: float
    asleep: bool
    """The machine slept, so nothing was generated; else it may have been."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose energy."""

    side: str
    idle: Sequence[Span]
    busy: Sequence[Span]
    tokens: int


def account(asked: Asked, trace: Trace, gaps: Sequence[Gap], interval: float) -> Energy | str:
    """The energy by `trace`, which was asked every `interval` seconds; a string says why it cannot be told."""
    pieces = trace.stretches()
    idle, busy = part_of(pieces, asked.idle), part_of(pieces, asked.busy)
    awake = _awake(asked.busy, gaps)
    if why := _refusal(asked, trace, idle, busy, awake):
        return why
    # A counter that has moved has something new, also where the power was the same.
    resting, working = (mean_of(each.pieces, repeats=not trace.counts) for each in (idle, busy))
    more = busy.watts - idle.watts
    left_open = sum(
        open_joules(trace, pieces, spans, interval) / part.seconds**2
        for spans, part in ((asked.idle, idle), (asked.busy, busy))
    )
    margin = difference(working, resting, left_open)
    if margin is None:
        return (
            f"{trace.source} told one power at rest and one at work, and nothing of how much they vary; "
            "longer rest and more repeats would tell"
        )
    joules = more * busy.seconds
    return Energy(
        side=asked.side,
        source=f"{trace.source}: {trace.covers}",
        idle_watts=idle.watts,
        busy_watts=busy.watts,
        joules=joules,
        tokens=asked.tokens,
        joules_per_token=joules / asked.tokens,
        uncertainty=margin.half * busy.seconds / asked.tokens,
        seconds=busy.seconds,
        warning=_warning(trace, min(resting.effective, working.effective), idle, busy, margin.half),
    )


def _awake(spans: Sequence[Span], gaps: Sequence[Gap]) -> float:
    """Seconds of `spans` that the machine was not asleep."""
    asleep = [Stretch(gap.start, gap.end, 0.0) for gap in gaps if gap.asleep]
    return sum(end - start for start, end in spans) - sum(
        gap.within(span) for gap in asleep for span in spans
    )


def _refusal(asked: Asked, trace: Trace, idle: Part, busy: Part, awake: float) -> str:
    if asked.tokens <= 0:
        return "no tokens were generated"
    if not asked.idle:
        return "the idle machine was not measured"
    if idle.seconds < _SHORTEST_REST:
        return f"{trace.source} told nothing of the idle machine"
    if awake <= 0 or busy.seconds == 0:
        return f"{trace.source} told nothing while the model worked"
    if busy.seconds < _COVERED * awake:
        return (
            f"{trace.source} told the power of only {units.duration(busy.seconds)} of the "
            f"{units.duration(awake)} that the model worked"
        )
    return ""


def _warning(trace: Trace, effective: float, idle: Part, busy: Part, half: float) -> str:
    said = []
    more = busy.watts - idle.watts
    if more < 0:
        said.append(
            f"The machine took {-more:.2f} W less than at rest: it did not rest, or something else has ended since."
        )
    elif more < SMALLEST_DIFFERENCE:
        said.append(
            f"The machine took only {more:.2f} W more than at rest: less than {SMALLEST_DIFFERENCE} W says little."
        )
    if abs(more) <= half:
        said.append("The interval includes 0: whether it cost anything cannot be told.")
    readings = min(idle.readings, busy.readings)
    if readings < FEW_READINGS:
        said.append(f"There are only {units.count(readings, 'reading')} of one of the two powers.")
    elif effective < 3 and not math.isnan(effective):
        said.append(
            f"{trace.source} tells something new so seldom that the interval is rough: rest and repeat longer."
        )
    return " ".join(said)
