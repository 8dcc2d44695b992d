"""Which block is fetched next, and by how many connections at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from npurun_tui.models.pull.part import Part
from npurun_tui.models.pull.policy import Trouble

Fetch = Callable[[int], Awaitable[None]]


class Lanes:
    """Runs `fetch` for every missing block of `part`, at most `most` at a time.

    One request comes first; where it shows that the server serves ranges, `open_up` lets the others follow.
    """

    def __init__(self, part: Part, fetch: Fetch, most: int) -> None:
        self._most = most
        self._limit = 1
        self._part = part
        self._fetch = fetch
        self._taken: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False
        self._trouble: Trouble | None = None
        self._held = False
        """A server has named a time before which it wants no further request."""

    @property
    def others(self) -> bool:
        """More than one connection is at work."""
        return len(self._taken) > 1

    async def run(self) -> Trouble | None:
        """Return when no lane is left: all blocks are there, or each lane met a trouble, of which the last is told
        (the one that names the longest wait, where any does).

        What one lane raises that is no Trouble ends the others, and is raised when they have ended.
        """
        self._trouble, self._held = None, False
        self._open = True
        self.hire()
        try:
            while self._tasks:
                done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                self._tasks -= done
                for task in done:
                    task.result()
        finally:
            self._open = False
            await self._end()
        return self._trouble

    async def _end(self) -> None:
        """Return when every lane has ended; a cancellation meanwhile counts more than what a lane raised."""
        for task in self._tasks:
            task.cancel()
        cancelled = False
        while self._tasks:
            try:
                done, _ = await asyncio.wait(self._tasks)
            except asyncio.CancelledError:
                cancelled = True
                continue
            self._tasks -= done
            for task in done:
                if not task.cancelled():
                    task.exception()  # the first one was raised already
        self._taken.clear()
        if cancelled:
            raise asyncio.CancelledError

    def open_up(self) -> None:
        """Ranges are served: use as many connections as are allowed."""
        self._limit = self._most
        self.hire()

    def hold_back(self) -> None:
        """The server sends the whole file: one request at a time, until it serves a range again."""
        self._limit = 1

    def close_down(self) -> None:
        """One request at a time from now on: several did not fit together."""
        self._most = self._limit = 1

    def hire(self) -> None:
        """Begin lanes for blocks that nobody fetches, as far as the limit goes."""
        while self._open and not self._held and len(self._taken) < self._limit:
            index = self._next()
            if index is None:
                return
            self._taken.add(index)
            self._tasks.add(asyncio.create_task(self._lane(index)))

    def _next(self) -> int | None:
        """The first block that nobody fetches; the last one comes second, for an archive's directory is in it."""
        free = [index for index in self._part.missing if index not in self._taken]
        if free and self._part.ends_with(free[-1]) and self._limit > 1:
            return free[-1]
        return free[0] if free else None

    async def _lane(self, index: int | None) -> None:
        """Fetch block after block; a trouble ends this lane, and the block goes back to the others."""
        while index is not None:
            try:
                await self._fetch(index)
            except Trouble as trouble:
                self._note(trouble)
                return
            finally:
                self._taken.discard(index)
            free = not self._held and len(self._taken) < self._limit
            index = self._next() if free else None
            if index is not None:
                self._taken.add(index)
            self.hire()

    def _note(self, trouble: Trouble) -> None:
        if trouble.busy:
            self._most = self._limit = max(1, self._most // 2)
        if trouble.retry_after:
            self._held = True
        before = self._trouble.retry_after or 0.0 if self._trouble else 0.0
        if (trouble.retry_after or 0.0) >= before:
            self._trouble = trouble
