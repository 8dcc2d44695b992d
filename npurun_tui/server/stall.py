"""Giving up on a client that does not read.

As long as bytes wait in a connection's buffer, `send` waits too, and the generation behind it holds the permit. The
buffer's marks are set so that it counts as full with the first byte that the system does not take.
"""

from __future__ import annotations

import asyncio
from typing import Final

PROGRESS: Final = 16 << 10
"""Bytes that a client has to take in each period; a large answer may need several."""


class StallWatch:
    """Watches one connection."""

    def __init__(
        self, transport: asyncio.Transport, seconds: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        transport.set_write_buffer_limits(high=1, low=0)
        self._transport = transport
        self._seconds = seconds
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = 0

    def begin(self) -> None:
        """Bytes wait from now on."""
        self.end()
        self._waiting = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._seconds, self._look)

    def end(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._waiting - self._transport.get_write_buffer_size() < PROGRESS:
            self._transport.abort()
        else:
            self.begin()
