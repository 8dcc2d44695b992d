"""Clients that follow pulls: they share the program's one pull of a model with each other and with the Models tab."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Final

from npurun_tui.errors import PullFailed
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.jobs import JobState, PullJob, PullManager
from npurun_tui.models.pull import PullProgress
from npurun_tui.models.pull.events import BEGINNING, Event, PullWords
from npurun_tui.server.bridge import Emit

_STEPS: Final = 256
"""Of a pull's progress that wait to be told; it says something ten times a second."""


class PullFollowers:
    """Who follows which pull. Make it anywhere, use it on the loop of `pulls`."""

    def __init__(self, pulls: PullManager) -> None:
        self._pulls = pulls
        self._readers: Counter[str] = Counter()
        self._begun: set[str] = set()
        """The pulls that a client began; the others are the tab's."""

    async def follow(self, entry: CatalogEntry, words: PullWords, emit: Emit[Event]) -> None:
        """Start the pull, or join the one that runs, and tell of it to its end.

        Cancelled, it pauses a pull that a client began and nobody else follows, and waits until its lock is free.

        Raises:
            NpurunError: why the pull failed, or that it was stopped on this machine.
        """
        name, moved = entry.name, asyncio.Event()
        steps: deque[PullProgress] = deque(maxlen=_STEPS)

        def hear(job: PullJob) -> None:
            if job.name == name:
                steps.extend((job.progress,) if job.progress else ())
                moved.set()

        unsubscribe = self._pulls.subscribe(hear)
        if name not in {job.name for job in self._pulls.open_jobs}:
            self._begun.add(name)
        self._readers[name] += 1
        job = self._pulls.start(entry)
        try:
            emit(BEGINNING)
            while job.state.open:
                await moved.wait()
                moved.clear()
                while steps:
                    for event in words.take(steps.popleft()):
                        emit(event)
            _raise_unless_done(job)
            for event in words.closing():
                emit(event)
        finally:
            unsubscribe()
            self._readers[name] -= 1
            if not self._readers[name] and name in self._begun:
                self._begun.discard(name)
                if job.state.open:
                    self._pulls.pause(name)
                    await self._pulls.wait(name)


def _raise_unless_done(job: PullJob) -> None:
    if job.error is not None:
        raise job.error
    if job.state is not JobState.DONE:
        raise PullFailed(
            f"The pull of {job.name} was stopped on the machine that it runs on.",
            mend="Pull again to go on with it.",
        )
