"""Genie's random numbers: C++'s mt19937, two outputs for each draw, the low word first."""

from __future__ import annotations

import random
from typing import Final

_SIZE: Final = 624
_MASK: Final = 0xFFFF_FFFF


class Draws:
    """Numbers in [0, 1). Python's own generator is the same one; only its seeding differs."""

    def __init__(self, seed: int) -> None:
        state = [seed & _MASK]
        for index in range(1, _SIZE):
            last = state[-1]
            state.append((1812433253 * (last ^ (last >> 30)) + index) & _MASK)
        self._random = random.Random()  # noqa: S311 - a sampler, not a secret
        self._random.setstate((3, (*state, _SIZE), None))

    def draw(self) -> float:
        """The next number."""
        low, high = self._random.getrandbits(32), self._random.getrandbits(32)
        return (low + high * 2.0**32) / 2.0**64
