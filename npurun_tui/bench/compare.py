"""Which differences between two sets of runs are more than noise. docs/bench-statistics.md tells the method in full."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from npurun_tui.bench.bootstrap import interval
from npurun_tui.bench.differing import what_differs
from npurun_tui.bench.records import Run, Session
from npurun_tui.bench.statistics import FIGURES, Figure
from npurun_tui.bench.strata import by_stratum, matched
from npurun_tui.text import one_line
from npurun_tui.units import count

Verdict = Literal["faster", "slower", "no difference"]

REGRESSION: Final = 0.03
"""Slower by more than this share, and more than noise, is a regression."""

APART: Final = 0.015
"""The standard deviation of what two sessions differ by although nothing has changed, as a share: where files lie in
memory, how warm the machine was, what ran beside. It is assumed, since one session of each cannot show it, however many
runs it has (Kalibera & Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013); left out, every other pair would
differ. It bounds what two sessions can tell to about 3 %. A baseline that takes turns has no such bound."""


_LARGEST: Final = 20.0
"""Of a ratio's logarithm: a factor of 500 million."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one figure, `b` against `a`: new against old, or baseline against what is measured."""

    figure: Figure
    ratio: float
    """b / a in the figure's own unit: below 1 is slower for a rate, and faster for a time."""
    low: float
    """The 95 % interval of `ratio`."""
    high: float
    median_a: float
    """Of the runs that were compared, in the figure's own unit. `ratio` is worked out question by question, and is not
    exactly that of the two."""
    median_b: float
    n_a: int
    """Runs that were compared."""
    n_b: int
    verdict: Verdict
    """Of b."""
    regression: bool
    detectable: float
    """The change, as a share, that so many runs with so much noise would find in 4 of 5 cases."""
    paired: bool
    """Whether runs of the same repeat were held against each other, so that drift cancels."""
    unlike: str = ""
    """What those that were held against each other do not share, in words: `context window`; mostly empty."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of two sessions, new against old."""

    figures: Mapping[Figure, Difference]
    """Without those that cannot be compared: nothing measured on both sides, or too few runs."""
    differs: tuple[str, ...] = ()
    """What is not the same in the two, one sentence each; a difference may come from it."""
    notes: tuple[str, ...] = field(default=())
    """What else weakens the comparison, one sentence each."""

    @property
    def regressions(self) -> list[Difference]:
        """Those that should be looked at."""
        return [difference for difference in self.figures.values() if difference.regression]


def compare_runs(
    a: Sequence[Run], b: Sequence[Run], figure: Figure, *, paired: bool = False
) -> Difference | None:
    """Runs of `b` against those of `a`; those that do not count are left out. `paired` is for the two sides of one
    session, which took turns. None where nothing was measured on both sides, or once only."""
    found = matched(a, b, figure, paired=paired)
    if found is None:
        return None
    within = interval(found.sides, apart=0.0 if found.paired else APART, wider=found.wider)
    if within is None:
        return None
    ratio, low, high = map(_factor, (within.centre, within.low, within.high))
    verdict = _verdict(within.low, within.high, figure)
    return Difference(
        figure=figure,
        ratio=ratio,
        low=low,
        high=high,
        median_a=found.medians[0],
        median_b=found.medians[1],
        n_a=found.n_a,
        n_b=found.n_b,
        verdict=verdict,
        regression=verdict == "slower" and abs(ratio - 1) > REGRESSION,
        detectable=_factor(within.detectable) - 1,
        paired=found.paired,
        unlike=found.unlike,
    )


def compare_sides(session: Session) -> dict[Figure, Difference]:
    """The baseline (`b`) against what is measured (`a`), paired by repeat; empty where there is no baseline."""
    found = (
        compare_runs(session.counted("a"), session.counted("b"), figure, paired=True)
        for figure in FIGURES
    )
    return {difference.figure: difference for difference in found if difference is not None}


def compare_sessions(old: Session, new: Session, key: str = "a") -> Comparison:
    """One side of both. It compares whatever it is given, and says what is not the same."""
    before, after = old.counted(key), new.counted(key)
    found = [compare_runs(before, after, figure) for figure in FIGURES]
    figures = {difference.figure: difference for difference in found if difference is not None}
    return Comparison(
        figures, tuple(what_differs(old, new, key)), tuple(_notes(old, new, key, figures))
    )


def _factor(logarithm: float) -> float:
    """Files may hold rates that no machine has; what comes of them must still be a number that JSON can write."""
    return math.exp(min(max(logarithm, -_LARGEST), _LARGEST))


def _verdict(low: float, high: float, figure: Figure) -> Verdict:
    """Of the interval's ends as logarithms. Below a millionth it is the arithmetic that differs, not the machine."""
    if max(low, -high) < 1e-6:
        return "no difference"
    return "faster" if (low > 0) == (figure != "ttft_ms") else "slower"


def _notes(
    old: Session, new: Session, key: str, figures: Mapping[Figure, Difference]
) -> Iterator[str]:
    for name, session in (("old", old), ("new", new)):
        if not session.complete:
            yield f"The {name} bench is not complete: {one_line(session.reason) or 'it was ended'}."
    if not figures:
        yield "Nothing can be compared: no prompt was asked in both benches, or each only once."
        return
    strata = [by_stratum(session.counted(key), "ttft_ms").keys() for session in (old, new)]
    for name, ours, theirs in (("old", strata[0], strata[1]), ("new", strata[1], strata[0])):
        alone = len(ours - theirs)
        if alone and ours & theirs:
            yield f"Only the {name} bench asked {count(alone, 'question')} more; left out."
    unlike = {difference.unlike for difference in figures.values()} - {""}
    for what in sorted(unlike):
        yield f"No question was asked alike in both: those of another {what} were held against each other."
