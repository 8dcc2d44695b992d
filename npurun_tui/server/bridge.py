"""From the server's event loop to the engine's and back: one loop owns the engine, another one the sockets.

Work runs as a task on the engine's loop and hands over its events; the server's loop takes all that have come since it
last looked. A hop between threads costs more than all else that is done for a token (`benchmarks.server`), so events
that may wait share one: each `SHARE` seconds at most. A model slower than that has a hop for each token, as before.
Where both loops are the same the hop is a plain call.
Who stops listening cancels the work and waits until it has really ended: only then is the permit free again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from npurun_tui.server.faults import EngineFault, Unready

log = logging.getLogger(__name__)

T = TypeVar("T")

BOUND: Final = 16384
"""Events that wait for a reader. A slow client is some seconds behind; who is this far behind does not read."""

SHARE: Final = 1 / 20
"""Seconds for which events that may wait share a hop: text that moves 20 times a second is fluent to the eye."""
LATE: Final = SHARE / 4
"""Seconds that the next event is waited for beyond that, because a timer is a wake-up of its own."""

Emit = Callable[[T], None]
"""Hands one event over, on the engine's loop. It never blocks; it raises EngineFault where nobody reads."""


class Bridge:
    """The way to the engine's loop `there`. Made and used on the server's loop."""

    def __init__(self, there: asyncio.AbstractEventLoop, *, bound: int = BOUND) -> None:
        self._there = there
        self._bound = bound
        self._passages: set[_Passage[Any]] = set()

    async def stream(
        self,
        work: Callable[[Emit[T]], Coroutine[Any, Any, None]],
        may_wait: Callable[[T], bool] = lambda _event: False,
    ) -> AsyncGenerator[list[T], None]:
        """Run `work` over there; its events in batches, as they come. Closing this cancels `work` and waits for its
        end. Events that `may_wait` arrive at most `SHARE` + `LATE` seconds later; the first of them never waits.

        Raises:
            Unready: the engine's loop has ended, or `work` was cancelled from over there.
            What `work` raises, after the events that came before.
        """
        here = asyncio.get_running_loop()
        passage: _Passage[T] = _Passage(here, self._there, self._bound, may_wait)
        self._passages.add(passage)
        try:
            passage.start(work)
            while True:
                batch, last = await passage.batch()
                if batch:
                    yield batch
                if last:
                    break
            passage.result()
        finally:
            await passage.close()
            self._passages.discard(passage)

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns over there; raises as `stream` does."""

        async def one(emit: Emit[T]) -> None:
            emit(await work())

        results = [result async for batch in self.stream(one) for result in batch]
        return results[0]

    def post(self, callback: Callable[[], object]) -> None:
        """Have `callback` called over there soon; nothing where that loop has ended."""
        _post(self._there, callback)

    async def aclose(self) -> None:
        """Cancel what still runs over there, and wait for its end."""
        for passage in tuple(self._passages):
            await passage.close()


class _Passage(Generic[T]):
    """One piece of work and the events on their way back."""

    def __init__(
        self,
        here: asyncio.AbstractEventLoop,
        there: asyncio.AbstractEventLoop,
        bound: int,
        may_wait: Callable[[T], bool],
    ) -> None:
        self._here = here
        self._there = there
        self._bound = bound
        self._may_wait = may_wait
        self._due = -math.inf
        """When an event that may wait is told again, on the engine's loop's clock."""
        self._timer: asyncio.TimerHandle | None = None
        self._events: deque[T] = deque()
        self._wake = asyncio.Event()
        self._told = False
        """A wake-up is on its way. Written by both sides: the writer appends before it looks, the reader clears
        before it takes, so that no event is left behind."""
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._ended = False
        self._error: BaseException | None = None

    # -- on the server's loop --------------------------------------------------------------

    def start(self, work: Callable[[Emit[T]], Coroutine[Any, Any, None]]) -> None:
        """Begin. Raises Unready where the engine's loop has ended."""
        if not _post(self._there, lambda: self._begin(work)):
            self._ended = True
            raise Unready(
                "The engine is shut down.", mend="Start the server again.", code="shutting_down"
            )

    async def batch(self) -> tuple[list[T], bool]:
        """What has come, and whether it is the last."""
        await self._wake.wait()
        self._wake.clear()
        self._told = False
        last = self._ended
        batch: list[T] = []
        while self._events:
            batch.append(self._events.popleft())
        return batch, last

    def result(self) -> None:
        """Raise what the work raised."""
        if isinstance(self._error, asyncio.CancelledError):
            raise Unready(
                "The server is shutting down.",
                mend="Try again when it is back.",
                code="shutting_down",
            )
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        """Cancel the work where it still runs; returns when it has ended.

        Cancelled meanwhile, this leaves: the work is on its way out all the same.
        """
        if self._over() or not _post(self._there, self._cancel):
            return
        while not self._over():
            await self._wake.wait()
            self._wake.clear()
            self._told = False
        self._events.clear()
        self._wake.set()  # whoever still reads finds that it is over

    def _over(self) -> bool:
        return self._ended

    # -- on the engine's loop --------------------------------------------------------------

    def _begin(self, work: Callable[[Emit[T]], Coroutine[Any, Any, None]]) -> None:
        if self._cancelled:
            self._end(None)
            return
        self._task = self._there.create_task(work(self._emit), name="request")
        self._task.add_done_callback(self._finished)

    def _cancel(self) -> None:
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    def _emit(self, event: T) -> None:
        if len(self._events) >= self._bound:
            raise EngineFault("The client does not read its answer, so it was ended.")
        self._events.append(event)
        if self._may_wait(event):
            now = self._there.time()
            if now < self._due:
                if self._timer is None:
                    self._timer = self._there.call_at(self._due + LATE, self._tell)
                return
            self._due = now + SHARE
        self._tell()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._end(asyncio.CancelledError() if task.cancelled() else task.exception())

    def _end(self, error: BaseException | None) -> None:
        self._error = error
        self._ended = True
        self._tell()

    def _tell(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._told:
            return
        self._told = True
        if not _post(self._here, self._wake.set):
            log.info("the server's loop ended before its request did")
            if self._task is not None:
                self._task.cancel()


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> bool:
    """Call `callback` on `loop`: at once where that is the running one. False where `loop` has ended."""
    if asyncio.get_running_loop() is loop:
        callback()
        return True
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        return False
    return True
