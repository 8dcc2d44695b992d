"""Points in time and durations as Go writes them: RFC 3339 in UTC, and whole nanoseconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

FOR_EVER: Final = "2318-01-01T00:00:00.000000Z"
"""About what Ollama answers for a model that stays loaded: now and the largest number of ns that an int64 holds."""


def nanoseconds(milliseconds: float) -> int:
    """0 for what is none, or less."""
    return max(round(milliseconds * 1_000_000), 0)


def stamp(seconds: float | None) -> str:
    """A Unix time; None is a time that does not come."""
    if seconds is None:
        return FOR_EVER
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return FOR_EVER
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{moment.microsecond:06d}Z"


class Clock:
    """The time now for each line of a stream; the part down to the second is made once for each second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = b""

    def now(self) -> bytes:
        """`2026-11-25T14:28:42.123456Z`."""
        second, rest = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second)).encode("ascii")
        return b"%b%06dZ" % (self._text, rest // 1000)
