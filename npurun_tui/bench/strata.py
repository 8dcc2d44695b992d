"""Runs sorted into strata, so that only like is held against like.

A session's runs differ far more by prompt, window and turn than by anything that a comparison looks for. What one side
alone has asked is left out, or the mix of prompts would be taken for a difference in speed.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from npurun_tui.bench.bootstrap import Cell
from npurun_tui.bench.records import Run
from npurun_tui.bench.statistics import Figure, figure_of

HALF_WEIGHT: Final = 16
"""Tokens at which a stratum counts half as much as one of very many.

The time of a token is read off a clock that the system delays by something: over many tokens that averages out, so the
variance of a rate is about 1 + 16 / tokens of what it is at best. An answer of three tokens ("391") would else bring as
much noise as the others together, and count as much as they do.
"""

_FEWEST_FOR_DRIFT, _MOST_FOR_DRIFT = 3, 20
"""Repeats."""

_LOOSER: Final[tuple[tuple[str, Callable[[Run], Hashable]], ...]] = (
    ("", lambda run: (run.prompt, run.turn, run.reuse, run.max_tokens, run.context)),
    ("context window", lambda run: (run.prompt, run.turn, run.reuse, run.max_tokens)),
    ("context window and limit of the answer", lambda run: (run.prompt, run.turn, run.reuse)),
)
"""What two runs must share. An endpoint does not tell its window, and an older session may have had another: rather
than compare nothing, the next one is taken where nothing is alike, and said."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Two sets of runs that can be compared."""

    sides: tuple[tuple[Cell, ...], ...]
    """Of a and of b, or of their differences; the sum of share x mean is the logarithm of b / a."""
    n_a: int
    n_b: int
    paired: bool
    unlike: str
    """What the runs of one stratum do not share, in words; mostly empty."""
    medians: tuple[float, float]
    """Of those runs of a and of b, in the figure's unit: for people, since a ratio says nothing of how large it is."""
    wider: float = 1.0
    """By what factor the interval is wider since a drift was taken out that is not known exactly."""


@dataclass(frozen=True, slots=True)
class _Stratum:
    """Logarithms by repeat."""

    a: Mapping[int, Sequence[float]]
    b: Mapping[int, Sequence[float]]
    weight: float

    @property
    def repeats(self) -> list[int]:
        """Those that both sides have."""
        return [repeat for repeat in self.a if repeat in self.b]


def matched(a: Sequence[Run], b: Sequence[Run], figure: Figure, *, paired: bool) -> Matched | None:
    """What `a` and `b` have in common; `paired` by repeat where they share one. None where they have nothing."""
    for unlike, key in _LOOSER:
        ours, theirs = by_stratum(a, figure, key), by_stratum(b, figure, key)
        common = [(ours[stratum], theirs[stratum]) for stratum in ours if stratum in theirs]
        if not common:
            continue
        drift = _drift([side for sides in common for side in sides], figure) if paired else 0.0
        strata = [_stratum(*sides, figure, drift) for sides in common]
        if paired and any(stratum.repeats for stratum in strata):
            medians = _medians([_of_both(*sides) for sides in common], figure)
            return _pairs([stratum for stratum in strata if stratum.repeats], unlike, medians)
        return _apart(strata, unlike, _medians(common, figure))
    return None


def _of_both(a: Sequence[Run], b: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Those of the repeats that both sides have."""
    both = {run.repeat for run in a} & {run.repeat for run in b}
    return [run for run in a if run.repeat in both], [run for run in b if run.repeat in both]


def _medians(
    common: Sequence[tuple[Sequence[Run], Sequence[Run]]], figure: Figure
) -> tuple[float, float]:
    def median(side: int) -> float:
        values = [figure_of(run, figure) for sides in common for run in sides[side]]
        return statistics.median([value for value in values if value is not None])

    return median(0), median(1)


def by_stratum(
    runs: Sequence[Run], figure: Figure, key: Callable[[Run], Hashable] = _LOOSER[0][1]
) -> dict[Hashable, list[Run]]:
    """The runs that count and have measured `figure`."""
    found: defaultdict[Hashable, list[Run]] = defaultdict(list)
    for run in runs:
        if run.counts and figure_of(run, figure) is not None and math.isfinite(run.began_s):
            found[key(run)].append(run)
    return found


def logarithm(run: Run, figure: Figure) -> float:
    """Of the figure, which the run must have measured."""
    value = figure_of(run, figure)
    return math.log(value) if value is not None else math.nan


def _drift(cells: Sequence[Sequence[Run]], figure: Figure) -> float:
    """By how much the logarithm rises in a second. In A B A B the second side is always later by half a round, so
    pairing alone leaves that much of a steady drift in the difference.

    The median of the slopes between any two runs of a cell (Theil 1950, Sen 1968), which disturbed runs do not move. 0
    where there are too few repeats to see a drift, or so many that half a round is next to nothing.
    """
    if not _FEWEST_FOR_DRIFT <= max(map(len, cells)) <= _MOST_FOR_DRIFT:
        return 0.0
    slopes = [
        (logarithm(late, figure) - logarithm(early, figure)) / (late.began_s - early.began_s)
        for runs in cells
        for place, early in enumerate(runs)
        for late in runs[place + 1 :]
        if late.began_s > early.began_s
    ]
    return statistics.median(slopes) if slopes else 0.0


def _stratum(a: Sequence[Run], b: Sequence[Run], figure: Figure, drift: float) -> _Stratum:
    tokens = statistics.median([_tokens(run, figure) for run in (*a, *b)])
    weight = tokens / (tokens + HALF_WEIGHT)
    return _Stratum(_by_repeat(a, figure, drift), _by_repeat(b, figure, drift), weight)


def _tokens(run: Run, figure: Figure) -> int:
    """That the figure is a mean over. At least 1, also where nobody has counted."""
    if figure == "decode_tps":
        return max(1, (run.completion_tokens or 0) - 1)
    return max(1, (run.prompt_tokens or 0) - (run.cached_tokens or 0))


def _by_repeat(runs: Sequence[Run], figure: Figure, drift: float) -> Mapping[int, Sequence[float]]:
    found: defaultdict[int, list[float]] = defaultdict(list)
    for run in runs:
        found[run.repeat].append(logarithm(run, figure) - drift * run.began_s)
    return found


def _pairs(strata: Sequence[_Stratum], unlike: str, medians: tuple[float, float]) -> Matched:
    """Each repeat's difference is one value: what moved both sides alike has gone from it."""
    total = math.fsum(stratum.weight * len(stratum.repeats) for stratum in strata)
    cells = [
        Cell(
            [
                statistics.fmean(stratum.b[repeat]) - statistics.fmean(stratum.a[repeat])
                for repeat in stratum.repeats
            ],
            stratum.repeats,
            stratum.weight * len(stratum.repeats) / total,
            stratum.weight,
        )
        for stratum in strata
    ]
    n_a = sum(len(stratum.a[repeat]) for stratum in strata for repeat in stratum.repeats)
    n_b = sum(len(stratum.b[repeat]) for stratum in strata for repeat in stratum.repeats)
    longest = max(len(cell.values) for cell in cells)
    # Half a round of the slope of 2 n evenly spaced values, against the mean of n differences.
    wider = math.sqrt(1 + 0.75 / (longest**2 - 1)) if longest >= _FEWEST_FOR_DRIFT else 1.0
    return Matched(
        (_replicated(cells),), n_a, n_b, paired=True, unlike=unlike, medians=medians, wider=wider
    )


def _apart(strata: Sequence[_Stratum], unlike: str, medians: tuple[float, float]) -> Matched:
    """Strata count by how well they are known: for n and m values that is n m / (n + m), by which a stratum that was
    broken off does not count like the others."""
    both = [
        (_cell(stratum.a, stratum.weight), _cell(stratum.b, stratum.weight)) for stratum in strata
    ]
    sizes = [(len(a.values), len(b.values)) for a, b in both]
    known = [cell.weight * n * m / (n + m) for (cell, _), (n, m) in zip(both, sizes, strict=True)]
    shares = [part / math.fsum(known) for part in known]
    n_a, n_b = (sum(counts) for counts in zip(*sizes, strict=True))
    # One run of each on both sides: only the strata tell how far ratios scatter.
    if n_a == n_b == len(strata):
        differences = [
            Cell([b.values[0] - a.values[0]], [place], share, b.weight)
            for place, ((a, b), share) in enumerate(zip(both, shares, strict=True))
        ]
        return Matched(
            (_replicated(differences),), n_a, n_b, paired=False, unlike=unlike, medians=medians
        )
    minus = tuple(replace(a, share=-share) for (a, _), share in zip(both, shares, strict=True))
    plus = tuple(replace(b, share=share) for (_, b), share in zip(both, shares, strict=True))
    return Matched((minus, plus), n_a, n_b, paired=False, unlike=unlike, medians=medians)


def _cell(repeats: Mapping[int, Sequence[float]], weight: float) -> Cell:
    pairs = [(value, repeat) for repeat, values in repeats.items() for value in values]
    return Cell([value for value, _ in pairs], [repeat for _, repeat in pairs], 1.0, weight)


def _replicated(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Where each has one value, they are taken for repeats of each other: a ratio that differs by prompt makes the
    interval wider, and rightly so."""
    if any(len(cell.values) > 1 for cell in cells):
        return tuple(cells)
    values = [value for cell in cells for value in cell.values]
    return (Cell(values, range(len(values)), 1.0),)
