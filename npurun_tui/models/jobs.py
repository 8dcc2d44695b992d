"""The pulls that run in this program, whichever tab or screen started them: a queue, speed, time left, pause, cancel.

A job is a task on the running event loop, owned by the manager, which cancels and awaits all of them when it closes.
A paused pull keeps what it fetched. Importing this module is cheap: the HTTP client is imported by the first pull.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from contextvars import copy_context
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from npurun_tui.errors import NpurunError, PullFailed
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.manifest import FILE_NAME
from npurun_tui.models.pull import Phase, PullProgress, pull
from npurun_tui.models.pull.limiter import RateLimiter
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.speed import SpeedMeter
from npurun_tui.models.store import ModelStore

_log = logging.getLogger(__name__)

STILL: Final = 5.0
"""Seconds without a byte after which that is said, long before the pull gives the connection up."""
_IN_FLIGHT: Final = 1_000_000
"""Bytes that a few pulls of a few connections take at once, before the limiter has them wait."""


class JobState(StrEnum):
    """What has become of a pull."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    """Stopped; what was fetched is kept, and `start` goes on from there."""
    CANCELLED = "cancelled"
    """Stopped; what was fetched is thrown away."""
    DONE = "done"
    FAILED = "failed"

    @property
    def open(self) -> bool:
        """It runs, or will."""
        return self in {JobState.QUEUED, JobState.RUNNING}


class PullJob:
    """One pull. Read it on the event loop; the manager tells listeners when it changes."""

    def __init__(
        self, entry: CatalogEntry, *, force: bool, limiter: RateLimiter | None = None
    ) -> None:
        self.entry = entry
        self.force = force
        self._limiter = limiter
        self.state = JobState.QUEUED
        self.progress: PullProgress | None = None
        self.error: NpurunError | None = None
        """Why it failed; None unless the state is FAILED."""
        self.arrived = False
        """It was stopped, but only when the model was in place already."""
        self._meter = SpeedMeter()

    @property
    def name(self) -> str:
        """The model's name."""
        return self.entry.name

    @property
    def speed(self) -> float:
        """Bytes per second of the phase that runs, smoothed; 0 where nothing is measured."""
        return self._meter.speed if self.state is JobState.RUNNING else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds left of the download at this speed; None where that cannot be told."""
        progress, speed = self.progress, self.speed
        if progress is None or progress.total is None or progress.phase is not Phase.DOWNLOADING:
            return None
        return (progress.total - progress.done) / speed if speed else None

    @property
    def still(self) -> float:
        """Seconds for which the download has brought nothing; 0 in every other phase."""
        progress = self.progress
        if progress is None or progress.phase is not Phase.DOWNLOADING:
            return 0.0
        return self._meter.still if self.state is JobState.RUNNING else 0.0

    @property
    def silent(self) -> bool:
        """The server has sent nothing for longer than a limit to the bandwidth would explain."""
        rate = self._limiter.rate if self._limiter else 0
        return self.still >= max(STILL, _IN_FLIGHT / rate if rate else 0)

    def advance(self, progress: PullProgress) -> None:
        """Take up what the pull says of itself."""
        self._meter.add(progress.phase, progress.done)
        self.progress = progress

    def begin_again(self) -> None:
        """Forget how far it was: it waits for its turn once more."""
        self.state, self.progress, self.error, self.arrived = JobState.QUEUED, None, None, False


Listener = Callable[[PullJob], None]


class PullManager:
    """Starts pulls, at most one for each model and `parallel` at once; the others wait in their order.

    Use it on one event loop and `aclose` it there.
    """

    def __init__(
        self,
        store: ModelStore,
        *,
        parallel: int = 2,
        policy: Policy | None = None,
        limiter: RateLimiter | None = None,
    ) -> None:
        self._store = store
        self._policy = policy
        self._jobs: dict[str, PullJob] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, JobState] = {}
        self._cleaning: set[str] = set()
        self._again: set[str] = set()
        """The pulls that were asked for once more while they were being stopped."""
        self._slots = asyncio.Semaphore(parallel)
        self._listeners: list[Listener] = []
        self.limiter = limiter or RateLimiter()
        """The bandwidth that all pulls share; its `rate` may be changed at any time."""

    @property
    def jobs(self) -> Mapping[str, PullJob]:
        """The last pull of each model, by name, also where it has ended."""
        return MappingProxyType(self._jobs)

    @property
    def open_jobs(self) -> list[PullJob]:
        """The pulls that run or wait."""
        return [job for job in self._jobs.values() if job.state.open]

    def start(self, entry: CatalogEntry, *, force: bool = False) -> PullJob:
        """Pull `entry`; where a pull of it runs or waits, that one is returned. Needs a running event loop.

        One that is just being stopped begins again when it has.
        """
        job = self._jobs.get(entry.name)
        if job is not None and job.state.open:
            if entry.name in self._stopping or entry.name in self._cleaning:
                self._again.add(entry.name)
                job.entry, job.force = entry, force or job.force
            return job
        job = self._jobs[entry.name] = PullJob(entry, force=force, limiter=self.limiter)
        self._begin(job)
        return job

    def _begin(self, job: PullJob) -> None:
        entry = job.entry
        task = asyncio.get_running_loop().create_task(self._run(job), name=f"pull {entry.name}")
        self._tasks[entry.name] = task
        task.add_done_callback(lambda task: self._ended(job, task))
        self._tell(job)

    def pause(self, name: str) -> None:
        """Stop the pull of `name`; what it fetched stays. Nothing happens where none runs."""
        self._stop(name, JobState.PAUSED)

    def cancel(self, name: str) -> None:
        """Stop the pull of `name` and throw away what it fetched. Nothing happens where none runs."""
        self._stop(name, JobState.CANCELLED)

    def forget(self, name: str) -> None:
        """Take the pull of `name` off `jobs` where it has ended: it failed, say, and nobody wants it any more."""
        job = self._jobs.get(name)
        if job is not None and not job.state.open:
            del self._jobs[name]

    def _stop(self, name: str, state: JobState) -> None:
        task = self._tasks.get(name)
        self._again.discard(name)
        if task is None or name in self._cleaning:
            return
        again = name in self._stopping
        self._stopping[name] = state
        if not again:
            task.cancel()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` called, on the loop, whenever a job changes; returns the way to end that.

        It is called in the context in which it was handed in, as a job is told of in the context of whoever began it:
        for a client of the server that is one without Textual's app, and there a screen's timers die in silence.
        """
        context = copy_context()

        def hear(job: PullJob) -> None:
            context.copy().run(listener, job)  # a copy, as what hears of one job may change another

        self._listeners.append(hear)

        def unsubscribe() -> None:
            if hear in self._listeners:
                self._listeners.remove(hear)

        return unsubscribe

    async def wait(self, name: str) -> None:
        """Return when the pull of `name` has ended, however it did; at once where none runs."""
        # More than once: after a cancelled pull comes its clearing up.
        while (task := self._tasks.get(name)) is not None:
            await asyncio.wait({task})

    async def aclose(self) -> None:
        """Pause every pull and wait until each has given back its lock."""
        for name in list(self._tasks):
            self._stop(name, self._stopping.get(name, JobState.PAUSED))
        while self._tasks:
            await asyncio.wait(set(self._tasks.values()))

    async def _run(self, job: PullJob) -> None:
        async with self._slots:
            job.state = JobState.RUNNING
            self._tell(job)
            await self._pull(job)

    async def _pull(self, job: PullJob) -> None:
        before = await asyncio.to_thread(self._mark, job.name)
        try:
            await self._follow(job)
        except asyncio.CancelledError:
            after = await asyncio.to_thread(self._mark, job.name)
            job.arrived = after is not None and after != before
            raise

    def _mark(self, name: str) -> tuple[int, int] | None:
        """What another manifest in the model's folder would change."""
        try:
            facts = (self._store.layout.model(name) / FILE_NAME).lstat()
        except OSError:
            return None
        return facts.st_ino, facts.st_mtime_ns

    async def _follow(self, job: PullJob) -> None:
        steps = pull(
            job.entry, self._store, force=job.force, policy=self._policy, limiter=self.limiter
        )
        async with aclosing(steps):
            async for progress in steps:
                job.advance(progress)
                self._tell(job)

    def _clean(self, job: PullJob) -> None:
        """Throw away what a cancelled pull had fetched; the job is told of when that is done."""
        self._cleaning.add(job.name)
        cleaning = asyncio.create_task(asyncio.to_thread(self._discard, job.name))
        self._tasks[job.name] = cleaning

        def cleaned(_: asyncio.Task[None]) -> None:
            self._cleaning.discard(job.name)
            self._tasks.pop(job.name, None)
            self._stopped(job, JobState.CANCELLED)

        cleaning.add_done_callback(cleaned)

    def _discard(self, name: str) -> None:
        try:
            self._store.discard_partial(name)
        except NpurunError as error:
            _log.warning("what the pull of %s had fetched stays: %s", name, error)

    def _ended(self, job: PullJob, task: asyncio.Task[None]) -> None:
        self._tasks.pop(job.name, None)
        asked = self._stopping.pop(job.name, JobState.PAUSED)
        error = None if task.cancelled() else task.exception()
        if task.cancelled() and not job.arrived:
            if asked is JobState.CANCELLED:
                self._clean(job)
            else:
                self._stopped(job, asked)
            return
        self._again.discard(job.name)
        if error is None:
            job.state = JobState.DONE
        else:
            job.state = JobState.FAILED
            job.error = error if isinstance(error, NpurunError) else _unforeseen(job, error)
        self._tell(job)

    def _stopped(self, job: PullJob, state: JobState) -> None:
        """It has come to rest, as was asked; or goes on, where that was asked since."""
        if job.name in self._again:
            self._again.discard(job.name)
            job.begin_again()
            self._begin(job)
            return
        job.state = state
        self._tell(job)

    def _tell(self, job: PullJob) -> None:
        for listener in tuple(self._listeners):
            listener(job)


def _unforeseen(job: PullJob, error: BaseException) -> NpurunError:
    """A mistake of this program: its traceback goes to the log, a sentence to the user."""
    _log.error("The pull of %s ended with an unforeseen error", job.name, exc_info=error)
    return PullFailed(
        f"The pull of {job.name} ended with an unforeseen error ({type(error).__name__}).",
        mend="The log file has the details.",
    )
