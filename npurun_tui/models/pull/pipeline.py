"""A pull from end to end: lock, room, resume, download, compare, unpack, install.

The work is one task of its own; the generator that callers iterate over looks at its figures ten times a second and
cancels it when it is closed, whatever the reason.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Final

from npurun_tui import units
from npurun_tui.errors import DiskFull, HashMismatch, ModelError, ModelFileDamaged, PullFailed
from npurun_tui.files import is_disk_full
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.lock import model_lock
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.client import Client
from npurun_tui.models.pull.download import Download
from npurun_tui.models.pull.index import configured
from npurun_tui.models.pull.install import UNPACKED, check_place, install, recover, write_manifest
from npurun_tui.models.pull.member import Member, extract_member
from npurun_tui.models.pull.page import Finder
from npurun_tui.models.pull.part import Part
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.pull.progress import Meter, Phase, PullProgress
from npurun_tui.models.store import ModelStore
from npurun_tui.text import one_line

INTERVAL: Final = 0.1
"""Seconds between two looks at the figures."""

_SLACK: Final = 1 << 20
"""Room for the manifest, the state, and what a file system takes for itself, in bytes."""


async def run(
    entry: CatalogEntry, store: ModelStore, *, force: bool, policy: Policy | None
) -> AsyncGenerator[PullProgress, None]:
    """See `npurun_tui.models.pull.pull`."""
    meter = Meter()
    work = asyncio.create_task(_Pull(entry, store, force, policy or Policy(), meter).run())
    last: PullProgress | None = None
    try:
        while not work.done():
            if (now := meter.snapshot()) != last:
                yield now
                last = now
            await asyncio.wait({work}, timeout=INTERVAL)
        work.result()
        yield meter.snapshot()
    finally:
        work.cancel()
        await asyncio.wait({work})
        if not work.cancelled():
            work.exception()  # raised above already, or nobody iterates any more


class _Pull:
    """One pull; its methods are its steps."""

    def __init__(
        self, entry: CatalogEntry, store: ModelStore, force: bool, policy: Policy, meter: Meter
    ) -> None:
        self._entry = entry
        self._store = store
        self._layout = store.layout
        self._force = force
        self._policy = policy
        self._meter = meter
        self._folder = store.layout.partial(entry.name)
        self._part = Part(self._folder, entry.source)

    async def run(self) -> None:
        lock = model_lock(self._layout.partial_root, self._entry.name)
        with Worker() as worker, _disk_errors(self._layout.root), ExitStack() as stack:
            await worker.run(stack.enter_context, lock)
            stack.callback(self._leave)
            await self._locked(worker)

    def _leave(self) -> None:
        self._part.close()
        with suppress(OSError):  # there is something in it to go on with, or it is gone already
            self._folder.rmdir()

    async def _locked(self, worker: Worker) -> None:
        if await worker.run(self._already_here):
            self._meter.enter(Phase.DONE, self._entry.installed_size, self._entry.installed_size)
            self._meter.note = "It is here already."
            return
        self._meter.enter(Phase.VERIFYING)
        await worker.run(self._part.open, worker, self._meter)
        await worker.run(self._check_room)
        await self._complete(worker)
        await self._unpack(worker)
        self._meter.enter(Phase.DONE, self._entry.installed_size, self._entry.installed_size)

    def _already_here(self) -> bool:
        """Whether there is nothing to do. Raises ModelError where something is in the way."""
        recover(self._layout, self._entry.name)
        try:
            self._store.get(self._entry.name)
        except ModelError:  # not here, or damaged: `check_place` tells what to do about it
            check_place(self._layout, self._entry.name, force=self._force)
            return False
        return not self._force

    def _check_room(self) -> None:
        missing = self._part.total - self._part.size + self._entry.installed_size + _SLACK
        free = shutil.disk_usage(self._layout.root).free
        if missing > free:
            raise DiskFull(
                f"Pulling {self._entry.name} needs {units.size(missing)} in {one_line(str(self._layout.root), 300)}, "
                f"where {units.size(free)} are free.",
                mend="Free some room, or name a folder on another disk in NPURUN_MODELS_DIR.",
            )

    async def _complete(self, worker: Worker) -> None:
        """Have the whole archive, with the right hash."""
        resumed = self._meter.resumed_from = self._part.size
        await self._download(worker)
        if not await worker.run(self._compare) and resumed:
            # The beginning was an earlier pull's: of another version of the file, or damaged by a power cut.
            self._meter.resumed_from = 0
            await self._download(worker)
            await worker.run(self._compare)
        if not self._part.complete:
            raise HashMismatch(
                f"{one_line(self._entry.source.filename)} is not the file that is expected: its sha256 differs.",
                mend="It was thrown away. Check which index pip is configured with.",
            )

    def _compare(self) -> bool:
        """Whether the part is the pinned file; where it is not, it is thrown away."""
        if self._part.matches:
            self._part.sync()
            return True
        self._part.discard()
        return False

    async def _download(self, worker: Worker) -> None:
        if self._part.complete:
            return
        self._meter.enter(Phase.RESOLVING)
        config = await worker.run(configured)
        client = await worker.run(Client, config, self._policy)
        async with client:
            finder = Finder(client, worker, self._policy, self._meter)
            address = await finder.find(config, self._entry.source)
            self._meter.enter(Phase.DOWNLOADING, self._part.total, self._part.size)
            await Download(client, self._part, worker, self._policy, self._meter).run(address)
        self._meter.enter(Phase.VERIFYING, self._part.total, self._part.total)

    async def _unpack(self, worker: Worker) -> None:
        entry, unpacked = self._entry, self._folder / UNPACKED
        self._meter.enter(Phase.UNPACKING, entry.installed_size)
        source, file_name = entry.source, PurePosixPath(entry.source.member).name
        member = Member(
            self._part.path, source.filename, source.member, entry.installed_size, entry.sha256
        )
        self._part.close()
        try:
            await worker.run(unpacked.mkdir)
            await worker.run(extract_member, member, unpacked / file_name, worker, self._meter)
            await worker.run(write_manifest, entry, unpacked, file_name)
            await worker.run(install, self._layout, entry.name)
        except (PullFailed, ModelFileDamaged):
            await worker.run(self._part.discard)  # it is the pinned file, and of no use
            raise
        finally:
            await worker.run(recover, self._layout, entry.name)


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    """What the file system refuses, in a sentence."""
    shown = one_line(str(root), 300)
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(
                f"The disk that holds {shown} is full.",
                mend="Free some room and pull again; it goes on where it stopped.",
            ) from error
        raise ModelError(
            f"The models' folder {shown} cannot be used: {error.strerror or error}.",
            mend="NPURUN_MODELS_DIR can name another one.",
        ) from error
