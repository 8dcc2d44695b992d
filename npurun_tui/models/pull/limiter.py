"""A limit on the bytes per second that all pulls together take from the network."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Final

_TEXT: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([kmg]?)i?b?(?:/s)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
LEAST: Final = 1_000
"""Bytes per second: what is slower cannot be told from a stall."""
_CREDIT: Final = 0.1
"""Seconds of the limit that may be made up for. Hashing, writing and waking up late take a few milliseconds for each
chunk; where those were lost, a limit of 3 MB/s gave 2.5."""


class RateLimiter:
    """Use it on one event loop. `rate` may be changed while pulls run; 0 is no limit."""

    def __init__(self, rate: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._owed = 0.0
        """Bytes that came too early; below 0 what may come at once."""
        self._since = clock()

    async def take(self, count: int) -> None:
        """Return when `count` bytes that have arrived may be followed by more.

        Not reading on is what slows a sender down: the socket's buffer fills, and TCP does the rest.
        """
        self._settle()
        self._owed += count
        while self.rate and self._owed > 0:
            step = min(self._owed / self.rate, 0.5)  # in steps: a limit that changes counts at once
            await asyncio.sleep(step)
            self._settle()

    def _settle(self) -> None:
        """Take off what the time since the last look has paid for."""
        now = self._clock()
        paid = self.rate * (now - self._since)
        self._owed = max(-self.rate * _CREDIT, self._owed - paid) if self.rate else 0.0
        self._since = now


def parse_rate(text: str) -> int:
    """Bytes per second from `2M`, `500k`, `1.5 MB/s`, or a bare number; 0 is no limit.

    Raises:
        ValueError: it is none of these, or less than 1 kB/s; the text ends a sentence.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise ValueError("must be a number of bytes per second, such as 500k or 2M")
    rate = int(float(match[1]) * _UNITS[match[2].lower()])
    if 0 < rate < LEAST:
        raise ValueError("must be 1k or more")
    return rate
