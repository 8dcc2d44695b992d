"""From values to places, and the round values that an axis names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_STEPS: Final = (1.0, 2.0, 5.0, 10.0)
LOG_FROM: Final = 8.0
"""From this ratio of largest to smallest on, an even axis would crowd the small values."""

_FLAT: Final = 1e-9
"""A span that no unit here would name."""


@dataclass(frozen=True, slots=True)
class Scale:
    """`low` to `high` of the values, drawn from `begin` to `end`; `ticks` are the values to name."""

    low: float
    high: float
    begin: float
    end: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """Where `value` lies."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.begin + (value - low) / (high - low) * (self.end - self.begin)


def from_values(values: Sequence[float], begin: float, end: float, *, most: int = 6) -> Scale:
    """An even axis for `values`, of which there is one at least.

    It begins at zero unless that would press the values into the upper third, where a rate's noise could not be seen.
    """
    low, high = min(values), max(values)
    if low >= 0 and low < high * 2 / 3:
        return span(0.0, high or 1.0, begin, end, most=most)
    return close(values, begin, end, most=most)


def close(values: Sequence[float], begin: float, end: float, *, most: int = 6) -> Scale:
    """An even axis close around `values`, but a spread below a twentieth of them is not blown up to all of it."""
    low, high = min(values), max(values)
    middle = (low + high) / 2
    room = max((high - low) * 0.08, abs(middle) * 0.025, 1e-9)
    floor = low - room
    return span(max(0.0, floor) if low >= 0 else floor, high + room, begin, end, most=most)


def span(
    low: float, high: float, begin: float, end: float, *, most: int = 6, least: float = 0.0
) -> Scale:
    """An even axis from `low` to `high`, moved outwards to round values that are `least` apart."""
    if high - low < _FLAT:
        high = low + 1.0
    step = max(least, round_step((high - low) / most))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(tick * step for tick in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], begin, end, ticks)


def exact(low: float, high: float, begin: float, end: float, *, most: int = 8) -> Scale:
    """An even axis that is not moved outwards: for time, and for counting."""
    if high - low < _FLAT:
        high = low + 1.0
    step = round_step((high - low) / most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Scale(low, high, begin, end, tuple(tick * step for tick in range(first, last + 1)))


def counting(count: int, begin: float, end: float) -> Scale:
    """For the first to the `count`th of something, with half a place of room on both sides."""
    step = max(1, round(round_step(count / 10)))
    ticks = [1, *range(step, count + 1, step)] if step > 1 else [*range(1, count + 1)]
    if step > 1 and ticks[1] - 1 < step / 2:
        del ticks[0]
    return Scale(0.5, count + 0.5, begin, end, tuple(float(tick) for tick in ticks))


def for_lengths(values: Sequence[float], begin: float, end: float, *, most: int = 9) -> Scale:
    """For token counts: even while they are alike, else logarithmic by powers of two."""
    low, high = min(values), max(values)
    if low <= 0 or high / low < LOG_FROM:
        even = from_values(values, begin, end, most=most)
        return span(even.low, even.high, begin, end, most=most, least=1.0)
    first, last = math.floor(math.log2(low) + 1e-9), math.ceil(math.log2(high) - 1e-9)
    each = max(1, math.ceil((last - first) / most))
    ticks = tuple(2.0**power for power in range(first, last + 1, each))
    return Scale(2.0**first * 0.92, 2.0**last * 1.08, begin, end, ticks, log=True)


def for_times(values: Sequence[float], begin: float, end: float, *, log: bool) -> Scale:
    """For times, logarithmic by 1, 2, 5 where `log` says so and they can be."""
    low, high = min(values), max(values)
    if not log or low <= 0 or high / low < LOG_FROM:
        return from_values(values, begin, end)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = (1.0, 2.0, 5.0) if len(decades) < 5 else (1.0,)
    every = [mark * 10.0**decade for decade in decades for mark in marks]
    below = max((tick for tick in every if tick <= low), default=low)
    above = min((tick for tick in every if tick >= high), default=high)
    ticks = tuple(tick for tick in every if below <= tick <= above)
    return Scale(below, above, begin, end, ticks, log=True)


def round_step(rough: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * (1 - 1e-9))


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """The ticks in words, with as many decimals as tell them apart, the same for all that are even."""
    steps = [b - a for a, b in pairwise(ticks)]
    smallest = min(steps, default=abs(ticks[0]) if ticks else 1.0) or 1.0
    decimals = max(0, -math.floor(math.log10(smallest) + 1e-9))
    return [f"{tick + 0.0:,.{min(decimals, 6)}f}" for tick in ticks]
