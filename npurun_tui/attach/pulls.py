"""Pulls on a server elsewhere that this workbench asked for: each is one open answer, closed to stop it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from npurun_tui.attach.there import ServerThere
from npurun_tui.engine.listeners import tell
from npurun_tui.errors import NpurunError


@dataclass
class RemotePull:
    """One pull. Mutable while it runs."""

    name: str
    words: str = "starting"
    done: int = 0
    """Bytes."""
    total: int = 0
    fault: str = ""
    """Why it failed; empty otherwise."""
    task: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        """It runs."""
        return self.task is not None and not self.task.done()


class RemotePulls:
    """Owns the tasks that listen. Use it on one event loop; `aclose` stops the pulls there, resumably."""

    def __init__(self, there: ServerThere) -> None:
        self._there = there
        self.changed: Callable[[], None] = lambda: None
        """Called at each change."""
        self.ended: Callable[[RemotePull], None] = lambda _job: None
        """Called when one has ended by itself; its `fault` says whether well."""
        self.jobs: dict[str, RemotePull] = {}
        """Those that run or failed, by the model's name."""

    def start(self, name: str) -> None:
        """Pull `name` there; nothing where that runs already."""
        job = self.jobs.get(name)
        if job is not None and job.open:
            return
        self.jobs[name] = job = RemotePull(name)
        job.task = asyncio.create_task(self._run(job), name="pull elsewhere")
        tell(self.changed)

    def cancel(self, name: str) -> None:
        """Stop a pull by hanging up, or forget one that failed."""
        job = self.jobs.pop(name, None)
        if job is not None and job.task is not None:
            job.task.cancel()
        tell(self.changed)

    async def _run(self, job: RemotePull) -> None:
        try:
            async with aclosing(self._there.pull(job.name)) as events:
                async for words, done, total in events:
                    job.words, job.done, job.total = words, done, total
                    tell(self.changed)
        except NpurunError as error:
            job.fault = str(error)
        else:
            self.jobs.pop(job.name, None)
        tell(self.ended, job)
        tell(self.changed)

    async def aclose(self) -> None:
        """Hang up on all of them."""
        tasks = [job.task for job in self.jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
