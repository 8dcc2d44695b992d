"""A 95 % bootstrap interval that holds for three repeats too.

The plain percentile bootstrap does not: Hesterberg (What Teachers Should Know about the Bootstrap, The American
Statistician 69, 2015) shows that it is too narrow by sqrt((n - 1) / n), and by what t is wider than z. Both are put
right here. The rest is stratified resampling of residuals (Davison & Hinkley, Bootstrap Methods and their Application,
1997, chapter 3; Efron & Tibshirani, An Introduction to the Bootstrap, 1993). docs/bench-statistics.md says in words
what is done and why, tests/bench/test_simulation.py that it holds.
"""

from __future__ import annotations

import math
import operator
import random
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from npurun_tui.bench.statistics import percentile
from npurun_tui.bench.student import Z80, Z95, t95

SEED: Final = 20_250_601
"""The same runs always have the same interval."""

_RESAMPLES: Final = 1000
"""What Efron & Tibshirani (1993, chapter 13) ask for an interval. It costs 0.1 ms for each run that is compared."""

_CLIP: Final = 2.5
"""Standard deviations from which on a run is taken for disturbed."""

_PAIR_SPREAD: Final = 0.9539
"""The median of |x - y|, of two draws from the normal distribution, in standard deviations."""

_ROUNDS: Final = 20
"""A clipped mean has settled after a few."""

_LEAST_KEPT: Final = 0.25

_NEIGHBOURS: Final = 8
"""Each value is held against so many others of its cell: enough for a median, and linear in the number of runs."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Runs of one kind: of one side and stratum."""

    values: Sequence[float]
    """Logarithms, so that a difference is a ratio."""
    blocks: Sequence[int]
    """Which repeat each value is from: what disturbs the machine disturbs a repeat's runs together."""
    share: float
    """With which its mean counts; negative on the side that is subtracted."""
    weight: float = 1.0
    """The values' variance is taken to be in proportion to its inverse."""


@dataclass(frozen=True, slots=True)
class Interval:
    """On the logarithmic scale."""

    centre: float
    low: float
    high: float
    detectable: float
    """How large a change would have to be to be found in 4 of 5 cases."""


@dataclass(frozen=True, slots=True)
class _Noise:
    """Of one side, ready to be drawn from."""

    pool: Sequence[float]
    """Residuals, each as of a value of weight 1."""
    scales: Sequence[float]
    """What a draw from the pool adds to the side's sum, one for each of its values."""
    freedom: float
    """Degrees of freedom of its variance; 0 where each kind was run once, and nothing shows the noise."""

    @property
    def variance(self) -> float:
        """Of the side's sum."""
        return (
            math.fsum(scale**2 for scale in self.scales)
            * math.fsum(residual**2 for residual in self.pool)
            / len(self.pool)
        )


def interval(
    sides: Sequence[Sequence[Cell]],
    *,
    apart: float = 0.0,
    centre: float | None = None,
    wider: float = 1.0,
) -> Interval | None:
    """Of the sum over all cells of share x mean. None where no cell has two values.

    Each of `sides` has noise of its own. `apart` is the standard deviation of what the sides differ by although nothing
    has changed, where they were not measured by turns. A `centre` that was found otherwise takes the place of the
    robust one, and disturbed runs count in full. `wider` is a factor, for what was done to the values before.
    """
    clean = [_cleaned(cells, _CLIP if centre is None else math.inf) for cells in sides]
    noises = [_noise(*side) for side in clean]
    known = [noise for noise in noises if noise.freedom]
    if not known:
        return None
    if centre is None:
        centre = math.fsum(
            cell.share * statistics.fmean(cell.values) for cells, _ in clean for cell in cells
        )
    # A side that ran each kind once shows no noise: it is given that of the other.
    noises = [
        noise if noise.freedom else replace(noise, pool=known[0].pool, freedom=known[0].freedom)
        for noise in noises
    ]
    t = t95(_freedom(noises, apart)) * wider
    errors = sorted(_errors(noises, apart))
    low = min(0.0, percentile(errors, 0.025)) * t / Z95
    high = max(0.0, percentile(errors, 0.975)) * t / Z95
    half = (high - low) / 2
    return Interval(centre, centre + low, centre + high, half * (1 + Z80 / t))


def _cleaned(cells: Sequence[Cell], clip: float) -> tuple[list[Cell], float]:
    """The cells with disturbed runs brought in to where undisturbed ones end, and the share of the others.

    A mean of such values is Huber's estimate of location (Robust Statistics, 1981): nearly as exact as the mean where
    nothing was disturbed, and hardly moved where something was.
    """
    spread = _spread(cells)
    # A clock of coarse steps: equal values say nothing of the noise.
    limit = clip * spread if spread else math.inf
    clean: list[Cell] = []
    clipped = 0
    for cell in cells:
        values = _clipped(cell.values, limit / math.sqrt(cell.weight))
        clipped += sum(map(operator.ne, values, cell.values))
        clean.append(replace(cell, values=values))
    return clean, 1 - clipped / max(1, sum(len(cell.values) for cell in cells))


def _clipped(values: Sequence[float], limit: float) -> list[float]:
    """`values`, none farther than `limit` from the mean of the result."""
    middle, result = statistics.median(values), list(values)
    for _ in range(_ROUNDS):
        result = [min(max(value, middle - limit), middle + limit) for value in values]
        before, middle = middle, statistics.fmean(result)
        if math.isclose(before, middle, abs_tol=1e-9):
            break
    return result


def _spread(cells: Sequence[Cell]) -> float:
    """The standard deviation of a value of weight 1, from differences within cells: a few disturbed runs do not move
    it, and it needs no mean, which of three values would be half the story."""
    apart = [
        abs(value - other) * math.sqrt(cell.weight)
        for cell in cells
        for place, value in enumerate(cell.values)
        for other in cell.values[place + 1 : place + _NEIGHBOURS]
    ]
    return statistics.median(apart) / _PAIR_SPREAD if apart else 0.0


def _noise(cells: Sequence[Cell], kept: float) -> _Noise:
    """`kept` is the share of values that were not clipped: it stands in the denominator of Huber's variance."""
    pool: list[float] = []
    variances: list[tuple[float, int]] = []
    repeats: defaultdict[int, float] = defaultdict(float)
    for cell in cells:
        count = len(cell.values)
        if count < 2:
            continue
        mean = statistics.fmean(cell.values)
        unshrunk = math.sqrt(cell.weight * count / (count - 1))
        pool.extend((value - mean) * unshrunk for value in cell.values)
        variance = cell.share**2 * statistics.variance(cell.values, mean) / count
        variances.append((variance, count - 1))
        for repeat, value in zip(cell.blocks, cell.values, strict=True):
            repeats[repeat] += cell.share * (value - mean) / count
    growth, freedom = _together(variances, list(repeats.values()))
    scales = [
        growth / max(kept, _LEAST_KEPT) * cell.share / len(cell.values) / math.sqrt(cell.weight)
        for cell in cells
        for _ in cell.values
    ]
    return _Noise(pool, scales, freedom)


def _together(
    variances: Sequence[tuple[float, int]], repeats: Sequence[float]
) -> tuple[float, float]:
    """By what factor a side's error is larger than its runs alone have it, since what disturbs a machine disturbs all
    runs of a repeat; and the degrees of freedom that Satterthwaite (Biometrics Bulletin 2, 1946) gives it.

    The second variance is the one that is robust to clusters (Liang & Zeger, Biometrika 73, 1986). Of few repeats it is
    a poor estimate, so it counts only where it is the larger one.
    """
    alone = math.fsum(variance for variance, _ in variances)
    if not alone:
        return 1.0, float(sum(count for _, count in variances))
    doubt = math.fsum(variance**2 / count for variance, count in variances)
    others = len(repeats) - 1
    if not others:
        return 1.0, alone**2 / doubt
    clustered = math.fsum(error**2 for error in repeats) * (others + 1) / others
    if clustered <= alone:
        return 1.0, alone**2 / doubt
    doubt += (clustered - alone) ** 2 / others
    return math.sqrt(clustered / alone), clustered**2 / doubt


def _freedom(noises: Sequence[_Noise], apart: float) -> float:
    """Of the sides' sum; `apart` is known, and has no doubt of its own."""
    parts = [(noise.variance, noise.freedom) for noise in noises]
    doubt = math.fsum(variance**2 / freedom for variance, freedom in parts)
    total = math.fsum(variance for variance, _ in parts) + apart**2
    return total**2 / doubt if doubt else math.inf


def _errors(noises: Sequence[_Noise], apart: float) -> Iterator[float]:
    """What the sum might have been off by: one draw for each value, again and again."""
    chance = random.Random(SEED)  # noqa: S311 - the same on every machine, and no secret
    for _ in range(_RESAMPLES):
        yield chance.gauss(0.0, apart) + sum(
            sum(map(operator.mul, noise.scales, chance.choices(noise.pool, k=len(noise.scales))))
            for noise in noises
        )
