"""Bytes per second, calm enough to read and still honest after a stall."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

WINDOW: Final = 5.0
"""Seconds that are looked back."""

_LEAST: Final = 0.5


class SpeedMeter:
    """The mean over the last few seconds of one phase; another phase, or a fresh start, begins anew."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phase = ""
        self._samples: deque[tuple[float, int]] = deque()
        self._grew = 0.0

    def add(self, phase: str, done: int) -> None:
        """`done` bytes of `phase` are there now."""
        if phase != self._phase or (self._samples and done < self._samples[-1][1]):
            self._samples.clear()
        self._phase = phase
        now = self._clock()
        if not self._samples or done > self._samples[-1][1]:
            self._grew = now
        self._samples.append((now, done))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()

    @property
    def speed(self) -> float:
        """Bytes per second; 0 until there is half a second to judge by."""
        if len(self._samples) < 2:
            return 0.0
        (then, before), (_, done) = self._samples[0], self._samples[-1]
        elapsed = self._clock() - then
        return (done - before) / elapsed if elapsed >= _LEAST else 0.0

    @property
    def still(self) -> float:
        """Seconds for which nothing has come; 0 before the first report."""
        return self._clock() - self._grew if self._samples else 0.0
