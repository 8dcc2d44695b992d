"""How sure a mean power is, and a difference of two.

Readings of power resemble their neighbours, so n of them say less than n independent ones: what counts is the number
of independent readings that would say as much. It is taken from the correlation of neighbours, as of a first-order
autoregressive series, corrected for what a short series hides (Kendall 1954), and from the means of a few long
blocks, whichever says less. A wander that takes longer than the whole series stays hidden in either.

A gauge that is asked more often than it has something new repeats itself, and no more than its changes can count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from npurun_tui.bench.student import t95

Series = Sequence[Sequence[tuple[float, float]]]
"""Pieces of weights and values; within a piece they follow each other."""

_HIGHEST: Final = 0.97
_BLOCKS: Final = 8
_SHORTEST_BLOCK: Final = 4


@dataclass(frozen=True, slots=True)
class Mean:
    """A weighted mean."""

    value: float
    variance: float
    """Of the mean; NaN where one reading alone cannot tell."""
    scatter: float
    """Variance of one independent reading; NaN where that cannot be told."""
    effective: float
    """Independent readings that would say as much."""

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the variance."""
        return max(0.0, self.effective - 1)


def mean_of(series: Series, *, repeats: bool) -> Mean:
    """The mean of `series`; with `repeats` a value that is the one before it again may be no new reading.

    Raises:
        ValueError: nothing is in it.
    """
    rows = [row for piece in series for row in piece]
    total = sum(weight for weight, _ in rows)
    if total <= 0:
        raise ValueError("a mean of nothing")
    value = sum(weight * each for weight, each in rows) / total
    squares = sum(weight * (each - value) ** 2 for weight, each in rows) / total
    independent = total**2 / sum(weight**2 for weight, _ in rows)
    effective = _by_neighbours(series, value, independent)
    if repeats:
        effective = min(effective, float(_changes(series)))
    if effective <= 1:
        return Mean(value, math.nan, math.nan, 1.0)
    # The mean was fitted to these very readings: their scatter around it is short by what the mean itself moves.
    variance = squares / (effective - 1)
    blocks = _by_blocks(series, value)
    if blocks > variance:
        variance, effective = blocks, min(effective, float(_BLOCKS))
    return Mean(value, variance, variance * effective, effective)


def _changes(series: Series) -> int:
    """Values that are not the one before them, again."""
    values = [each for piece in series for _, each in piece]
    return 1 + sum(before != after for before, after in pairwise(values)) if values else 0


def _by_neighbours(series: Series, mean: float, independent: float) -> float:
    pairs = [
        ((before - mean) * (after - mean))
        for piece in series
        for (_, before), (_, after) in pairwise(piece)
    ]
    squares = [(each - mean) ** 2 for piece in series for _, each in piece]
    scatter = sum(squares) / len(squares)
    if not pairs or not scatter:
        return independent
    alike = sum(pairs) / len(pairs) / scatter
    alike += (1 + 3 * alike) / len(squares)
    alike = min(_HIGHEST, max(0.0, alike))
    # Two leave one degree of freedom, whose interval is wide enough for whatever a longer series would show.
    return max(2.0, independent * (1 - alike) / (1 + alike))


def _by_blocks(series: Series, mean: float) -> float:
    """Variance of the mean, from the means of blocks of equal length; 0 where the series is too short for it."""
    rows = [row for piece in series for row in piece]
    length = len(rows) // _BLOCKS
    if length < _SHORTEST_BLOCK:
        return 0.0
    means = []
    for start in range(0, length * _BLOCKS, length):
        block = rows[start : start + length]
        weight = sum(each for each, _ in block)
        means.append(sum(each * value for each, value in block) / weight)
    return sum((each - mean) ** 2 for each in means) / (_BLOCKS - 1) / _BLOCKS


@dataclass(frozen=True, slots=True)
class Margin:
    """A difference of two means, and half the width of its 95 % interval."""

    value: float
    half: float


def difference(upper: Mean, lower: Mean, extra: float = 0.0) -> Margin | None:
    """`upper` less `lower`, with `extra` variance of another origin; None where neither's scatter is known.

    Where one of them has a single independent reading, it is taken to scatter as the other's do.
    """
    scatters = [each.scatter for each in (upper, lower) if not math.isnan(each.scatter)]
    if not scatters:
        return None
    parts = []
    for each in (upper, lower):
        if math.isnan(each.variance):
            parts.append((max(scatters), max(other.freedom for other in (upper, lower))))
        else:
            parts.append((each.variance, each.freedom))
    variance = sum(part for part, _ in parts)
    # Welch and Satterthwaite's degrees of freedom of a sum of variances.
    below = sum(part**2 / freedom for part, freedom in parts if freedom > 0)
    freedom = variance**2 / below if below > 0 else math.inf
    return Margin(upper.value - lower.value, t95(freedom) * math.sqrt(variance + extra))
