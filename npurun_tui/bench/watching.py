"""Looking at a run while it goes: how far it is, four times a second, and whether the machine slept meanwhile.

The look costs some microseconds and no token waits for it: the bench's own load stays far below what it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from npurun_tui.bench.events import Ticked
from npurun_tui.bench.records import NOT_TIMED, Clock
from npurun_tui.bench.target import Progress

T = TypeVar("T")

TICK: Final = 0.25
"""Seconds between two looks."""

SLEPT: Final = 5.0
"""Seconds that a look may be late, or the time of day may run ahead: more is no load, it is a sleep."""


class Watch:
    """Watches one run."""

    def __init__(
        self,
        progress: Progress,
        tell: Callable[[Ticked], None],
        *,
        at: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        """`at` is the session's clock, `wall` the time of day."""
        self._progress = progress
        self._tell = tell
        self._at = at
        self._wall = wall
        self._told = (0, 0.0)
        self.slept = False
        """The machine slept, or this program stood still, while the run went on: its times mean nothing.

        On Linux the monotonic clock stands still in a sleep, and the time of day runs ahead of it; on Windows both go
        on, and the look comes late.
        """

    async def over(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives. A cancellation ends `work` first.

        Raises: what `work` raises.
        """
        task = asyncio.create_task(work, name="bench run")
        try:
            while not task.done():
                before = time.monotonic(), self._wall()
                await asyncio.wait({task}, timeout=TICK)
                self._look(*before)
        except asyncio.CancelledError:
            await ended(task)
            raise
        return task.result()

    def _look(self, monotonic: float, wall: float) -> None:
        passed = time.monotonic() - monotonic
        ahead = self._wall() - wall - passed
        self.slept = self.slept or passed > TICK + SLEPT or ahead > SLEPT
        progress = self._progress
        progress.refresh()
        if progress.asked:
            clock = clock_of(progress)
            self._tell(Ticked(self._at(), progress.tokens, clock.ttft_ms, self._rate()))

    def _rate(self) -> float | None:
        """Of the tokens that came since the last look, by the times at which they came."""
        progress = self._progress
        tokens, last = self._told
        self._told = progress.tokens, progress.last
        if not tokens:
            tokens, last = 1, progress.first
        new, seconds = progress.tokens - tokens, progress.last - last
        return new / seconds if new > 0 and seconds > 0 else None


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel `task` and wait for its end; who is cancelled again meanwhile cancels it again, and waits on."""
    while not task.done():
        task.cancel()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            continue
    if not task.cancelled():
        task.exception()  # looked at: what it failed with in its end is nobody's any more


def clock_of(progress: Progress, prefilled: int | None = None) -> Clock:
    """The host's figures of what has come by now. `prefilled` are the prompt's tokens that were not in the cache."""
    if not (progress.asked and progress.first):
        return NOT_TIMED
    ttft = progress.first - progress.asked
    after = progress.last - progress.first
    return Clock(
        ttft_ms=ttft * 1000,
        prefill_tps=prefilled / ttft if prefilled and ttft > 0 else None,
        decode_tps=(progress.tokens - 1) / after if progress.tokens > 1 and after > 0 else None,
    )
