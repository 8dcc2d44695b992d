"""Which differences between two sets of runs are more than noise. docs/bench-statistics.md tells the method in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from npurun_tui.bench.records import Run, Session
from npurun_tui.bench.statistics import Figure

Verdict = Literal["faster", "slower", "no difference"]

REGRESSION: Final = 0.03
"""Slower by more than this share, and more than noise, is a regression."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one figure, `b` against `a`: new against old, or baseline against what is measured."""

    figure: Figure
    ratio: float
    """b / a in the figure's own unit: below 1 is slower for a rate, and faster for a time."""
    low: float
    """The 95 % interval of `ratio`."""
    high: float
    n_a: int
    """Runs that were compared."""
    n_b: int
    verdict: Verdict
    """Of b."""
    regression: bool
    detectable: float
    """The change, as a share, from which on these runs could tell one: half the interval's width."""
    paired: bool
    """Whether runs of the same repeat were held against each other, so that drift cancels."""


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
    raise NotImplementedError


def compare_sides(session: Session) -> dict[Figure, Difference]:
    """The baseline (`b`) against what is measured (`a`), paired by repeat; empty where there is no baseline."""
    raise NotImplementedError


def compare_sessions(old: Session, new: Session, key: str = "a") -> Comparison:
    """One side of both. It compares whatever it is given, and says what is not the same."""
    raise NotImplementedError
