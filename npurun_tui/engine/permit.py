"""The single permit and its waiting line.

There is one dialog, so one generation at a time. Callers wait first in, first out; the line is bounded, and a
caller leaves it by being cancelled. The permit is handed to the next in line directly, so nobody can slip in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from npurun_tui.engine.listeners import tell
from npurun_tui.errors import QueueFull

OnWait = Callable[[int], None]
"""Told how many are ahead (the holder included), at once and whenever it changes."""


@dataclass(eq=False)
class _Waiter:
    who: str
    on_wait: OnWait | None
    turn: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class PermitLine:
    """A fair, bounded, observable semaphore of one. Use it from one event loop."""

    def __init__(self, max_waiting: int, on_change: Callable[[], None] | None = None) -> None:
        self.max_waiting = max_waiting
        self._on_change = on_change or (lambda: None)
        self._holder: str | None = None
        self._line: deque[_Waiter] = deque()

    @property
    def holder(self) -> str | None:
        """Who holds the permit."""
        return self._holder

    @property
    def waiting(self) -> tuple[str, ...]:
        """Who waits, the next one first."""
        return tuple(waiter.who for waiter in self._line)

    @asynccontextmanager
    async def hold(
        self,
        who: str,
        on_wait: OnWait | None = None,
        *,
        however_long: bool = False,
        max_waiting: int | None = None,
    ) -> AsyncIterator[None]:
        """Hold the permit for the length of the block.

        `however_long` takes a place in the line also where it is full; `max_waiting` is this caller's own idea of
        that, in place of the line's.

        Raises:
            QueueFull: it is held and `max_waiting` callers wait already.
        """
        limit = self.max_waiting if max_waiting is None else max_waiting
        await self._acquire(who, on_wait, None if however_long else limit)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, who: str, on_wait: OnWait | None, limit: int | None) -> None:
        if self._holder is None:
            self._holder = who
            tell(self._on_change)
            return
        if limit is not None and len(self._line) >= limit:
            waiting = len(self._line)
            others = f" and {waiting} wait" if waiting else ""
            raise QueueFull(
                f"The engine is busy, {self._holder} holds the permit{others}.",
                mend="Try again when it is free.",
                waiting=waiting,
            )
        waiter = _Waiter(who, on_wait)
        self._line.append(waiter)
        self._tell()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled():
                self._release()  # the permit had just been handed over: pass it on
            elif waiter in self._line:
                self._line.remove(waiter)
                self._tell()
            raise

    def _release(self) -> None:
        self._holder = None
        while self._line:
            waiter = self._line.popleft()
            if not waiter.turn.done():
                self._holder = waiter.who
                waiter.turn.set_result(None)
                break
        self._tell()

    def _tell(self) -> None:
        for ahead, waiter in enumerate(self._line, start=1):
            if waiter.on_wait is not None:
                tell(waiter.on_wait, ahead)
        tell(self._on_change)
