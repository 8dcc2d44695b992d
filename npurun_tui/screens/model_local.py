"""Long work on this machine's own disk: hashing a model's files, importing a folder. Knows no Textual.

Each job is a thread that tells how far it is and looks, between two blocks, whether it should stop. The task that
awaits it owns it: where that task is cancelled, the thread is stopped and waited for.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from npurun_tui.models.speed import SpeedMeter
from npurun_tui.models.store import manifest_written

if TYPE_CHECKING:
    from npurun_tui.models.store import InstalledModel, ModelStore
    from npurun_tui.models.verify import Verdict

T = TypeVar("T")
How = Literal["copy", "link", "move"]


class Stopped(Exception):
    """Raised inside the thread once somebody has asked it to stop."""


class Replaced(Stopped):
    """Raised where the model is gone, or another one has taken its place, since the work began."""


class LocalJob:
    """One job. `done` and `total` are bytes; the thread writes them, the event loop reads them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.done = 0
        self.total = 0
        self.running = False
        self.ended = asyncio.Event()
        self._stop = threading.Event()
        self._meter = SpeedMeter()

    @property
    def speed(self) -> float:
        """Bytes per second, smoothed; 0 where nothing is measured."""
        return self._meter.speed if self.running else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds left at this speed; None where that cannot be told."""
        speed = self.speed
        return (self.total - self.done) / speed if speed and self.total else None

    def stop(self) -> None:
        """Have it stop before its next block."""
        self._stop.set()

    def advance(self, done: int, total: int) -> None:
        """Take up how far it is; called in the thread."""
        self.done, self.total = done, total
        self._meter.add("", done)

    def check(self) -> None:
        """Called in the thread before each block. Raises Stopped once it should stop."""
        if self._stop.is_set():
            raise Stopped

    async def run(self, work: Callable[[], T]) -> T:
        """`work` in a thread. Raises Stopped where it was stopped, and what `work` raises."""
        self.running = True
        thread = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.wait({thread})
            thread.exception()  # looked at, or asyncio prints its traceback when the program has gone
            raise
        finally:
            self.running = False
            self.ended.set()


class Check(LocalJob):
    """Hashing one model's files. `verdicts` is filled when it has come to its end."""

    def __init__(self, model: InstalledModel) -> None:
        super().__init__(model.name)
        self.model = model
        self.verdicts: Mapping[str, Verdict] = {}

    @property
    def faults(self) -> list[str]:
        """The files that are not what the manifest says."""
        return [path for path, verdict in self.verdicts.items() if verdict != "same"]

    async def hash(self) -> None:
        """Do it. Raises Stopped and Replaced."""
        verdicts = await self.run(self._hash)
        if await asyncio.to_thread(manifest_written, self.model.folder) != self.model.written:
            raise Replaced
        self.verdicts = verdicts

    def _hash(self) -> dict[str, Verdict]:
        from npurun_tui.models.verify import hashed_files, verify

        total = sum(_size(self.model.folder / path) for path in hashed_files(self.model))
        self.advance(0, total)
        steps = verify(
            self.model, progress=lambda done: self.advance(done, total), check=self.check
        )
        return dict(steps)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the import's dialog box was filled in with."""

    source: str = ""
    """As it was typed."""
    name: str = ""
    arch: str = ""
    quant: str = ""
    how: How = "copy"

    @property
    def path(self) -> Path:
        """The folder that is meant."""
        return Path(os.path.expanduser(self.source.strip()))  # noqa: PTH111 - pathlib's raises for an unknown user

    @property
    def label(self) -> str:
        """What the table calls it until it has its name."""
        return self.name.strip() or self.path.name or str(self.path)


class Import(LocalJob):
    """Bringing one folder into the store. `settled` is set with the first byte, or when it has ended before."""

    def __init__(self, wish: Wish) -> None:
        super().__init__(wish.label)
        self.wish = wish
        self.settled = asyncio.Event()
        self.fault = ""
        """Why it ended; empty while all is well."""
        self.missing: tuple[str, ...] = ()
        """The fields of the dialog box that have to be filled in, as no file says it."""
        self.left = False
        """The dialog box that it was begun in is closed, and shows no fault any more."""
        self.visited = False
        """The cursor has been put on its row; it goes there once, as the person may go elsewhere while it runs."""
        self._loop = asyncio.get_running_loop()

    def advance(self, done: int, total: int) -> None:
        """As for every job; and the first byte is told."""
        if done and not self.done:
            self._loop.call_soon_threadsafe(self.settled.set)
        super().advance(done, total)

    async def bring(self, store: ModelStore) -> InstalledModel:
        """Do it. Raises Stopped, and NpurunError with the reason."""
        try:
            return await self.run(lambda: self._bring(store))
        finally:
            self.settled.set()

    def _bring(self, store: ModelStore) -> InstalledModel:
        from npurun_tui.models.importing import import_model

        return import_model(
            self.wish.path,
            store,
            name=self.wish.name.strip(),
            arch=self.wish.arch.strip(),
            quant=self.wish.quant.strip(),
            how=self.wish.how,
            progress=self.advance,
            check=self.check,
        )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
