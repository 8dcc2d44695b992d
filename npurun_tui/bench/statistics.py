"""What many runs come to: percentiles and their like, and how far the two clocks are apart.

Only plain lists of numbers in here; which differences count is `compare`'s business.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeGuard

from npurun_tui.bench.records import Clock, Run, Session

Figure = Literal["ttft_ms", "decode_tps", "prefill_tps"]
"""A headline figure: a field of `records.Clock`."""

FIGURES: Final[tuple[Figure, ...]] = ("ttft_ms", "decode_tps", "prefill_tps")

NAMES: Final[dict[Figure, str]] = {
    "ttft_ms": "TTFT",
    "decode_tps": "Decode",
    "prefill_tps": "Prefill",
}
"""As a sentence begins with them."""

_LARGEST: Final = 1e15

UNITS: Final[dict[Figure, str]] = {"ttft_ms": "ms", "decode_tps": "tok/s", "prefill_tps": "tok/s"}


@dataclass(frozen=True, slots=True)
class Summary:
    """Values of one figure, in its unit."""

    n: int
    """How many there are. Of few, p99 is next to `max`, and says no more than that."""
    p50: float
    p90: float
    p99: float
    min: float
    max: float
    mean: float
    stdev: float
    """Of the sample (n - 1); 0 of a single value."""


def usable(value: float | None) -> TypeGuard[float]:
    """Whether it is a measured time or rate. Sessions are read from files too, so NaN and the like do come, and numbers
    whose sum is none any more."""
    return value is not None and 0 < value < _LARGEST


def figure_of(run: Run, figure: Figure) -> float | None:
    """On the host's clock; None where the run has measured nothing that can be used."""
    return _on(run.host, figure)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `ordered` lies, interpolated between neighbours.

    Type 7 of Hyndman & Fan (Sample Quantiles in Statistical Packages, The American Statistician 50, 1996), which is
    what numpy, R and spreadsheets do unless told otherwise, so that who recomputes an export finds the same figure.

    Raises:
        ValueError: there are no values.
    """
    if not ordered:
        raise ValueError("a percentile of nothing")
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def summarise(values: Iterable[float | None]) -> Summary | None:
    """Of what can be used of `values`: None, NaN, infinities and what is not above zero have measured nothing.
    None where nothing is left."""
    ordered = sorted(value for value in values if usable(value))
    if not ordered:
        return None
    return Summary(
        n=len(ordered),
        p50=percentile(ordered, 0.5),
        p90=percentile(ordered, 0.9),
        p99=percentile(ordered, 0.99),
        min=ordered[0],
        max=ordered[-1],
        mean=statistics.fmean(ordered),
        stdev=statistics.stdev(ordered) if len(ordered) > 1 else 0.0,
    )


def summaries(session: Session, key: str = "a") -> dict[Figure, Summary | None]:
    """Each headline figure of a side, over all runs that count, on the host's clock."""
    runs = session.counted(key)
    return {figure: summarise(figure_of(run, figure) for run in runs) for figure in FIGURES}


def clock_gap(session: Session, key: str = "a") -> dict[Figure, float | None]:
    """By how many percent the host's clock is above the runtime's own: the median over the runs that have both, so that
    one run which the system held up does not speak for all. None where no run has both."""
    runs = session.counted(key)
    return {figure: _gap(runs, figure) for figure in FIGURES}


def _gap(runs: Sequence[Run], figure: Figure) -> float | None:
    gaps: list[float] = []
    for run in runs:
        host, engine = _on(run.host, figure), _on(run.engine, figure)
        if host is not None and engine is not None:
            gaps.append((host / engine - 1) * 100)
    return statistics.median(gaps) if gaps else None


def _on(clock: Clock, figure: Figure) -> float | None:
    match figure:
        case "ttft_ms":
            value = clock.ttft_ms
        case "decode_tps":
            value = clock.decode_tps
        case "prefill_tps":
            value = clock.prefill_tps
    return value if usable(value) else None
