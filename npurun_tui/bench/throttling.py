"""Whether a machine gets slower while it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from npurun_tui.bench.records import Session
from npurun_tui.bench.statistics import Summary

LIMIT_PERCENT: Final = 5.0


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
    """Slower by more than 5 %: the rule of npurun's `bench --duration`."""
    certain: bool
    """And the interval excludes 0: more than noise."""
    rate: Summary
    """Decode rates of all runs, tok/s."""


def throttling(session: Session, key: str = "a") -> Throttling | None:
    """None below two runs in either half."""
    raise NotImplementedError
