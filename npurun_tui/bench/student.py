"""Quantiles of Student's t, which few runs need: with two degrees of freedom 95 % lie within 4.3 standard errors."""

from __future__ import annotations

import functools
import math
from typing import Final

Z95: Final = 1.959964
"""Of the normal distribution, two-sided 95 %."""

Z80: Final = 0.841621
"""One-sided 80 %: how far beyond an interval's end a change has to lie to be found in 4 of 5 cases."""

_STEPS: Final = 40
_NEAR_NORMAL: Final = 200.0


def t95(freedom: float) -> float:
    """Within so many standard errors lie 95 %; `freedom` may be a fraction (Satterthwaite), and counts as 1 below 1."""
    if freedom >= _NEAR_NORMAL:
        # First term of Cornish & Fisher: exact to 1e-4 here.
        return Z95 * (1 + (Z95 * Z95 + 1) / (4 * freedom))
    return _t95(max(1.0, round(freedom, 1)))


@functools.cache  # a tenth of a degree apart: 2,000 values at most, 0.2 ms each
def _t95(freedom: float) -> float:
    low, high = Z95, 13.0  # of one degree it is 12.706
    for _ in range(24):
        middle = (low + high) / 2
        if _within(middle, freedom) < 0.95:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _within(t: float, freedom: float) -> float:
    """The share between -t and t: Simpson's rule. With t = sqrt(freedom) tan(u) the density is a power of cos(u)."""
    end = math.atan(t / math.sqrt(freedom))
    step = end / _STEPS
    inner = math.fsum(
        (4 if i % 2 else 2) * math.cos(i * step) ** (freedom - 1) for i in range(1, _STEPS)
    )
    area = (1 + inner + math.cos(end) ** (freedom - 1)) * step / 3
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
    return float(2 * area * scale / math.sqrt(math.pi))
