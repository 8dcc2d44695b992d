"""A pull from end to end: lock, room, resume, download, compare, unpack, install.

The work is one task of its own; the generator that callers iterate over looks at its figures ten times a second and
cancels it when it is closed, whatever the reason.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from npurun_tui.errors import DiskFull, ModelError, ModelFileDamaged, PullFailed
from npurun_tui.files import is_disk_full
from npurun_tui.models.catalog import CatalogEntry, UrlSource
from npurun_tui.models.layout import UNPACKED
from npurun_tui.models.lock import model_lock
from npurun_tui.models.pull.ahead import Ahead
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.fetching import Fetcher, need_room, unpacked_size
from npurun_tui.models.pull.install import BUNDLE, check_place, install, recover
from npurun_tui.models.pull.limiter import RateLimiter
from npurun_tui.models.pull.making import make_model
from npurun_tui.models.pull.part import Part
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.pull.progress import Meter, Phase, PullProgress
from npurun_tui.models.store import ModelStore
from npurun_tui.text import one_line

_log = logging.getLogger(__name__)

INTERVAL: Final = 0.1
"""Seconds between two looks at the figures."""


async def run(
    entry: CatalogEntry,
    store: ModelStore,
    *,
    force: bool,
    accept_changed: bool,
    policy: Policy,
    limiter: RateLimiter,
) -> AsyncGenerator[PullProgress, None]:
    """See `npurun_tui.models.pull.pull`."""
    meter = Meter()
    part = Part(store.layout.partial(entry.name), entry.source, policy.block)
    ahead = Ahead(
        part,
        store.layout.partial(entry.name) / UNPACKED / BUNDLE,
        entry.source.filename,
        room=partial(need_room, store.root, entry.name),
    )
    packed = isinstance(entry.source, UrlSource) and entry.source.packed
    fetcher = Fetcher(
        entry,
        store.root,
        part,
        policy,
        meter,
        limiter,
        accept_changed=accept_changed,
        ranges=ahead.begin if packed else _nothing,
    )
    pull = _Pull(entry, store, part, fetcher, ahead, meter, force=force)
    work = asyncio.create_task(pull.run())
    last: PullProgress | None = None
    try:
        while not work.done():
            # Before that it may still be refused, and a pull that was told of would seem to have begun.
            if pull.holds_lock and (now := meter.snapshot()) != last:
                yield now
                last = now
            await asyncio.wait({work}, timeout=INTERVAL)
        work.result()
        yield meter.snapshot()
    finally:
        work.cancel()
        cancelled = False
        while not work.done():
            # A cancellation here must not leave the lock with work that still runs.
            try:
                await asyncio.wait({work})
            except asyncio.CancelledError:
                cancelled = True
        if not work.cancelled():
            work.exception()  # raised above already, or nobody iterates any more
        if cancelled:
            raise asyncio.CancelledError


class _Pull:
    """One pull; its methods are its steps."""

    def __init__(
        self,
        entry: CatalogEntry,
        store: ModelStore,
        part: Part,
        fetcher: Fetcher,
        ahead: Ahead,
        meter: Meter,
        *,
        force: bool,
    ) -> None:
        self._entry = entry
        self._store = store
        self._layout = store.layout
        self._force = force
        self._meter = meter
        self._folder = store.layout.partial(entry.name)
        self._part = part
        self._fetcher = fetcher
        self._ahead = ahead
        self.holds_lock = False
        """No other pull of this model runs."""

    async def run(self) -> None:
        lock = model_lock(self._layout.partial_root, self._entry.name)
        with Worker() as worker, _disk_errors(self._layout.root), ExitStack() as stack:
            await worker.run(stack.enter_context, lock)
            self.holds_lock = True
            stack.callback(self._leave)
            await self._locked(worker)

    def _leave(self) -> None:
        self._part.close()
        with suppress(OSError):  # there is something in it to go on with, or it is gone already
            self._folder.rmdir()

    async def _locked(self, worker: Worker) -> None:
        entry = self._entry
        if await worker.run(self._already_here):
            self._meter.enter(Phase.DONE, entry.installed_size, entry.installed_size)
            self._meter.note = "It is here already."
            return
        await worker.run(self._part.open, worker, self._meter)
        missing = (self._part.total or entry.download_size) - self._part.on_disk
        need_room(self._layout.root, entry.name, missing + unpacked_size(entry))
        try:
            await self._fetcher.run(worker)
            await self._unpack(worker)
        finally:
            await self._ahead.aclose()
            await worker.run(self._tidy)
        self._meter.enter(Phase.DONE, entry.installed_size, entry.installed_size)

    def _tidy(self) -> None:
        """Whatever stands in the way (a virus scanner) must not hide how the pull ended; the next one tidies first."""
        try:
            recover(self._layout, self._entry.name)
        except OSError as error:
            _log.warning("what a pull of %s left stays for now: %s", self._entry.name, error)

    def _already_here(self) -> bool:
        """Whether there is nothing to do. Raises ModelError where something is in the way."""
        recover(self._layout, self._entry.name)
        try:
            self._store.get(self._entry.name)
        except ModelError:  # not here, or damaged: `check_place` tells what to do about it
            check_place(self._layout, self._entry.name, force=self._force)
            return False
        return not self._force

    async def _unpack(self, worker: Worker) -> None:
        entry, unpacked = self._entry, self._folder / UNPACKED
        ahead = self._ahead.meter
        self._meter.enter(Phase.UNPACKING, ahead.total or entry.installed_size, ahead.done)
        hashes = await self._ahead.result()
        if hashes is None:
            self._meter.done = 0
        digest = self._part.sha256
        self._part.close()
        try:
            await worker.run(unpacked.mkdir, exist_ok=True)
            await worker.run(
                make_model, entry, self._part.path, digest, unpacked, worker, self._meter, hashes
            )
            await worker.run(self._fetcher.record)
            await worker.run(install, self._layout, entry.name)
        except (PullFailed, ModelFileDamaged):
            await worker.run(self._part.discard)  # it is the right file, and of no use
            raise


def _nothing() -> None:
    """Only archives are unpacked ahead."""


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
