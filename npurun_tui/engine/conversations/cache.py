"""Saves and restores, under the permit, before a turn's query."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from npurun_tui.engine.conversations.folder import Snapshot, SnapshotFolder
from npurun_tui.engine.conversations.planning import plan, superseded, worth_saving
from npurun_tui.engine.conversations.rates import Rates
from npurun_tui.engine.held import Held
from npurun_tui.engine.remote import QueryOutcome, RemoteDialog
from npurun_tui.errors import EngineCrashed, NpurunError

log = logging.getLogger(__name__)

T = TypeVar("T")

REFUSED_FOR: Final = 60.0
"""Seconds without a try to save after one that failed: what failed (a full disk) is mostly not over at once."""


class ConversationCache:
    """The snapshots of one engine. Use it on the engine's event loop, by whoever holds the permit."""

    def __init__(self, base: Path, limit: int) -> None:
        """Snapshots go into a folder of their own in `base`, `limit` bytes at most; 0 keeps none."""
        self._folder = SnapshotFolder(base, limit)
        self._on = limit > 0
        self._swept = False
        self._rates: defaultdict[str, Rates] = defaultdict(Rates)
        self._no_saves_until = 0.0
        self._dispensable: list[Snapshot] | None = None
        """What the last save replaced; None where there was none since the folder was cleaned."""
        self._step: asyncio.Task[Any] | None = None
        """A save or restore on its way, perhaps one that nobody waits for any more."""

    async def make_ready(self, dialog: RemoteDialog, prompt: str) -> float:
        """Have `dialog` hold what makes a REWIND to `prompt` cheapest; the seconds that it took.

        What fails is logged and costs time only. Who is cancelled leaves a save or restore to its end.

        Raises:
            EngineCrashed: the engine process ended over it.
        """
        model = dialog.snapshots_of
        if not (self._on and model):
            return 0.0
        began = time.perf_counter()
        await self._settled()
        if not self._swept:
            self._swept = True
            await asyncio.to_thread(self._folder.sweep)
        rates, held = self._rates[model], dialog.held
        todo = plan(held, prompt, self._folder.of(model), rates)
        if todo.save and held is not None and self._may_save():
            await self._run(self._save(dialog, held, rates, todo.restore))
        if todo.restore is not None:
            await self._run(self._restore(dialog, todo.restore, rates))
        if self._dispensable is not None:
            old, self._dispensable = self._dispensable, None
            # While the query runs: the prompt need not wait for it, but the next one does.
            self._step = asyncio.create_task(asyncio.to_thread(self._folder.clean, old))
        return time.perf_counter() - began

    async def keep(self, dialog: RemoteDialog) -> None:
        """Save what `dialog` holds, where that is worth it, because its process is about to end.

        What fails is logged; a process that ends over it had to end anyway.
        """
        if not (self._on and dialog.snapshots_of and dialog.held):
            return
        await self._settled()
        model, held = dialog.snapshots_of, dialog.held
        rates, snapshots = self._rates[model], self._folder.of(model)
        if held is None or not self._may_save() or not worth_saving(held, "", snapshots, rates):
            return
        try:
            await self._run(self._save(dialog, held, rates, None))
        except EngineCrashed as error:
            log.warning("a conversation's cache could not be saved: %s", error)

    def _may_save(self) -> bool:
        return time.monotonic() >= self._no_saves_until

    def learn(self, dialog: RemoteDialog, outcome: QueryOutcome) -> None:
        """Take note of what a query's prefill took."""
        profile = outcome.profile
        if profile is not None and profile.ttft_us:
            rates = self._rates[dialog.snapshots_of]
            rates.prefilled(profile.prompt_tokens, profile.ttft_us / 1e6)

    async def aclose(self) -> None:
        """Remove all snapshots. The engine process has ended: nobody writes any more."""
        self._on = False
        await self._settled()
        await asyncio.to_thread(self._folder.close)

    # -- steps that go to their end --------------------------------------------------------

    async def _settled(self) -> None:
        """Wait for what somebody has left behind: the engine process does one thing after the other anyway."""
        if self._step is not None:
            await asyncio.wait({self._step})

    async def _run(self, step: Coroutine[object, object, T]) -> T:
        """Run `step`, also on where this task is cancelled: half of it would leave the account wrong."""
        self._step = task = asyncio.create_task(step, name="snapshot")
        task.add_done_callback(_seen)
        return await asyncio.shield(task)

    async def _save(
        self, dialog: RemoteDialog, held: Held, rates: Rates, kept: Snapshot | None
    ) -> None:
        folder, model = self._folder, dialog.snapshots_of
        old = superseded(held, folder.of(model))
        size = rates.bytes_of(held.tokens)
        try:
            path = await asyncio.to_thread(folder.new_place, size, old, kept)
            if path is None:
                log.info("there is no room to keep a conversation of %d tokens", held.tokens)
                return
            began = time.perf_counter()
            await dialog.save(path)
            took = time.perf_counter() - began
            snapshot = await asyncio.to_thread(folder.add, path, model, held)
        except EngineCrashed:
            await asyncio.to_thread(folder.tidy)
            raise
        except (NpurunError, OSError) as error:
            log.warning("a conversation's cache could not be saved: %s", error)
            self._no_saves_until = time.monotonic() + REFUSED_FOR
            await asyncio.to_thread(folder.tidy)
            return
        rates.saved(held.tokens, snapshot.size, took)
        log.debug("saved %d tokens, %d bytes in %.3f s", held.tokens, snapshot.size, took)
        self._dispensable = old

    async def _restore(self, dialog: RemoteDialog, snapshot: Snapshot, rates: Rates) -> None:
        began = time.perf_counter()
        try:
            await dialog.adopt(snapshot.folder, snapshot.held)
        except EngineCrashed:
            # Whoever crashes an engine once may do it again.
            await asyncio.to_thread(self._folder.remove, [snapshot])
            raise
        except NpurunError as error:
            log.warning("a conversation's cache could not be restored: %s", error)
            await asyncio.to_thread(self._folder.remove, [snapshot])
            return
        took = time.perf_counter() - began
        rates.restored(snapshot.size, took)
        log.debug("restored %d tokens in %.3f s", snapshot.held.tokens, took)
        self._folder.used(snapshot)


def _seen(task: asyncio.Task[Any]) -> None:
    """A step's failure is its own log line's, where nobody waits for it any more."""
    if not task.cancelled():
        task.exception()
