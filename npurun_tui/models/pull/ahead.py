"""Unpacking while the rest still arrives: the archive's directory is at its end, so its last block is fetched early.

What is unpacked ahead lies in the pull's own hidden folder, and is of use only when the whole archive turned out to be
the expected file. It is a gain of time and nothing else: whatever goes wrong here (ranges that are not served, an
archive that is damaged or changes) is left to the ordinary unpacking afterwards, which says what it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from npurun_tui.errors import NpurunError
from npurun_tui.models.pull.archive import read_directory
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.part import Part
from npurun_tui.models.pull.progress import Meter
from npurun_tui.models.pull.unpack import unpack
from npurun_tui.models.trees import remove_tree

LEAST: Final = 2
"""Blocks that a file must have for this to be worth a thread."""

_log = logging.getLogger(__name__)


class Stale(Exception):
    """The part was begun anew: what was read of it is of another file."""


class PartView:
    """The part as a file that is complete: reading waits for bytes that are not there yet. For one thread."""

    def __init__(self, part: Part, worker: Worker) -> None:
        self._part = part
        self._worker = worker
        self.generation = part.generation
        """Which file it is of: the part's own count when reading began."""
        self._total = part.total or 0
        # Unbuffered: a buffer would be filled with bytes that are not there yet, and give those out later.
        self._file = part.path.open("rb", buffering=0)
        self._at = 0

    def read(self, count: int = -1) -> bytes:
        """As a file's; raises Stale, and Stopped where the worker is to stop."""
        left = self._total - self._at
        count = left if count < 0 else max(0, min(count, left))
        while not self._part.wait_for(self._at, count, self.generation):
            self._worker.check()
        if self._part.generation != self.generation:
            raise Stale
        self._file.seek(self._at)
        data = self._file.read(count)
        while 0 < len(data) < count and (piece := self._file.read(count - len(data))):
            data += piece  # a signal or a network share may cut a read short
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file's."""
        self._at = max(0, offset + {0: 0, 1: self._at, 2: self._total}[whence])
        return self._at

    def tell(self) -> int:
        """As a file's."""
        return self._at

    def close(self) -> None:
        """Give back the file."""
        self._file.close()


class Ahead:
    """One attempt to unpack into `target` while the download runs. `begin` it when the size is known."""

    def __init__(
        self, part: Part, target: Path, title: str, *, room: Callable[[int], None]
    ) -> None:
        """`room` raises DiskFull where there are not so many bytes for what is still to be written."""
        self._part = part
        self._room = room
        self._target = target
        self._title = title
        self._task: asyncio.Task[dict[str, str] | None] | None = None
        self._generation = -1
        self.meter = Meter()

    def begin(self) -> None:
        """Start, once; on the event loop."""
        if self._task is None and (self._part.total or 0) >= LEAST * self._part.block:
            self._task = asyncio.create_task(self._run(), name="unpack ahead")

    async def result(self) -> dict[str, str] | None:
        """Path -> sha256 of what was unpacked, all of it; None where it has to be done afterwards.

        To be asked for when the part has been compared. The part may have been begun anew after the last member was
        read: what was unpacked is then of the file that was thrown away, and so it goes too.
        """
        hashes = await self._task if self._task is not None else None
        if hashes is None or self._generation == self._part.generation:
            return hashes
        _log.info("what was unpacked ahead is of a file that was thrown away")
        with Worker() as worker:
            await worker.run(self._clear)
        return None

    async def aclose(self) -> None:
        """Stop, wait for the thread, and leave nothing of an attempt that did not end well."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> dict[str, str] | None:
        with Worker() as worker:
            try:
                return await worker.run(self._unpack, worker)
            except (NpurunError, OSError, Stale) as error:
                _log.info("not unpacked ahead: %r", error)
                await worker.run(self._clear)
                return None

    def _unpack(self, worker: Worker) -> dict[str, str]:
        view = PartView(self._part, worker)
        try:
            self._generation = view.generation
            entries = read_directory(view, self._title)
            self.meter.total = sum(entry.size for entry in entries)
            self._room(self.meter.total + self._part.total_missing)
            entries.sort(key=lambda entry: entry.offset)  # in the order in which they arrive
            self._target.parent.mkdir(exist_ok=True)
            return unpack(view, entries, self._target, self._title, worker, self.meter)
        finally:
            view.close()

    def _clear(self) -> None:
        with suppress(OSError):
            remove_tree(self._target)
