"""The models of this machine for the routes: looked up, pulled, deleted, copied.

Nothing that a request says becomes a path: a name is compared with what the store lists, and only what passes the
store's own rule for names is ever asked for. Pulls run in the program's one `PullManager`, on the engine's loop, so
that the Models tab shows a pull that a client began; files are read and moved in worker threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from npurun_tui.engine.engine import Engine, EngineStatus
from npurun_tui.errors import ModelBusy, ModelError, ModelNotFound
from npurun_tui.models.catalog import CatalogEntry, find
from npurun_tui.models.copying import copy_model
from npurun_tui.models.jobs import PullManager
from npurun_tui.models.names import fault_of_name, not_here
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.events import Event, PullWords, layer_digest
from npurun_tui.models.store import ModelStore
from npurun_tui.server.bridge import Bridge, Emit
from npurun_tui.server.cards import Cards
from npurun_tui.server.context import ModelCard, RunningModel
from npurun_tui.server.faults import BadRequest, InUse, UnknownModel
from npurun_tui.server.following import PullFollowers
from npurun_tui.server.names import bare_name, unknown
from npurun_tui.settings import Paths
from npurun_tui.text import one_line

Expiry = Callable[[], float | None]
"""Unix time at which the loaded model leaves by itself; None where it stays. Called on the server's loop."""


def _stays() -> float | None:
    return None


def _unheard() -> None:
    """Nobody wants to know."""


def catalog_here(paths: Paths) -> list[CatalogEntry]:
    """Every model that can be pulled, in the variant for this machine. Blocking."""
    from npurun_tui.models.fit import machine_facts
    from npurun_tui.models.remote.known import known_catalog

    hexagons = machine_facts().hexagons
    return [entry.suited(hexagons) for entry in known_catalog(paths)]


class ModelDirectory:
    """Implements `context.Directory`. Make it and use it on the server's loop."""

    def __init__(
        self,
        store: ModelStore,
        pulls: PullManager,
        engine: Engine,
        engine_loop: asyncio.AbstractEventLoop,
        catalog: Callable[[], Sequence[CatalogEntry]],
        *,
        cards: Cards | None = None,
        expires: Expiry = _stays,
        changed: Callable[[], None] = _unheard,
    ) -> None:
        """`pulls` and `engine` live on `engine_loop`. `catalog` blocks and is called in a thread. `cards` is given
        where settings decide what is on them. `changed` is called on `engine_loop` when a model has come or gone."""
        self._store = store
        self._followers = PullFollowers(pulls)
        self._engine = engine
        self._bridge = Bridge(engine_loop)
        self._catalog = catalog
        self._cards = cards or Cards(store)
        self._expires = expires
        self._changed = changed

    # -- what is here ----------------------------------------------------------------------

    async def cards(self) -> Sequence[ModelCard]:
        """All usable models, by name."""
        return await asyncio.to_thread(self._cards.all)

    async def card(self, name: str) -> ModelCard:
        """The model that a client calls `name`.

        Raises:
            UnknownModel: it is not here, or damaged, or cannot be a name.
        """
        bare = bare_name(name)
        if (recent := self._cards.recent(bare)) is not None:
            return recent
        try:
            return await asyncio.to_thread(self._cards.one, bare)
        except ModelNotFound as error:
            raise unknown(error) from None
        except (ModelError, OSError) as error:
            raise UnknownModel(
                f"The model {bare} is damaged: {one_line(str(error))}", param="model"
            ) from error

    async def running(self) -> Sequence[RunningModel]:
        """What is loaded now: none or one."""
        loaded, pid = self._engine.status.model, self._engine.pid
        if loaded is None:
            return ()
        try:
            card = await self.card(loaded.name)
        except UnknownModel:  # deleted by another program meanwhile
            return ()
        memory = await asyncio.to_thread(_resident, pid)
        return (RunningModel(card, loaded.context_size, memory, self._expires(), loaded.place),)

    # -- pulls -----------------------------------------------------------------------------

    async def pull(self, name: str) -> AsyncGenerator[dict[str, Any], None]:
        """Ollama's progress lines of a pull; closing the generator pauses a pull that nobody else follows.

        Raises (while iterating):
            UnknownModel: it is not in the catalog, or cannot be a name.
            InUse: another program works on it.
            NpurunError: as `npurun_tui.models.pull.pull`.
        """
        entry = await self._entry(name)
        digest = await asyncio.to_thread(layer_digest, entry, self._store.root)

        async def follow(emit: Emit[Event]) -> None:
            await self._followers.follow(entry, PullWords(digest, entry.source.size), emit)

        try:
            async with aclosing(self._bridge.stream(follow)) as batches:
                async for batch in batches:
                    for event in batch:
                        yield event
        except ModelBusy as error:
            raise InUse(error.message, mend=error.mend) from error

    async def _entry(self, name: str) -> CatalogEntry:
        entries = await asyncio.to_thread(self._catalog)
        try:
            return find(name, entries)
        except ModelError as error:
            raise unknown(error) from None

    # -- changes ---------------------------------------------------------------------------

    async def delete(self, name: str) -> None:
        """Remove a model, whole or damaged; an idle one that is loaded is unloaded first.

        Raises:
            UnknownModel: it is not here, or cannot be a name.
            InUse: it is loaded and at work, or a pull of it runs.
        """
        bare = bare_name(name)
        if bare not in await asyncio.to_thread(self._names):
            raise unknown(not_here(bare))
        try:
            await self._bridge.call(lambda: self._delete(bare))
        finally:
            self._cards.forget(bare)

    def _names(self) -> frozenset[str]:
        installed, broken = self._store.scan()
        return frozenset({model.name for model in installed} | {model.name for model in broken})

    async def _delete(self, name: str) -> None:
        """On the engine's loop. Nothing is awaited between the look at the permit and the taking of it."""
        status = self._engine.status
        if status.loading == name or (_holds(status, name) and _is_busy(status)):
            raise InUse(
                f"The model {name} is loaded and at work.", mend="Try again when it is idle."
            )
        if not _holds(status, name):
            await self._remove(name)
            return
        async with self._engine.permit(f"deleting {name}") as permit:
            if _holds(self._engine.status, name):
                await permit.unload()
            await self._remove(name)

    async def _remove(self, name: str) -> None:
        with Worker() as worker:
            try:
                await worker.run(self._store.remove, name)
            except ModelBusy as error:
                raise InUse(error.message, mend=error.mend) from error
            except ModelNotFound as error:
                raise unknown(error) from None
        self._changed()

    async def copy(self, source: str, destination: str) -> None:
        """Copy a model under another name; to its own name nothing happens.

        Raises:
            BadRequest: one of them cannot be a name here, or the destination is taken.
            UnknownModel: the source is not here.
            InUse: something else works on the destination.
        """
        origin = (await self.card(source)).name
        target = destination.removesuffix(":latest")
        if fault := fault_of_name(target):
            shown = one_line(repr(target), 80)
            raise BadRequest(f"{shown} cannot be a model's name: it {fault}.", param="destination")
        if target == origin:
            return
        if target in await asyncio.to_thread(self._names):
            raise BadRequest(f"There is a model called {target} already.", param="destination")
        model = await asyncio.to_thread(self._store.get, origin)
        with Worker() as worker:
            try:
                await worker.run(copy_model, model, self._store, target, worker.check)
            except ModelBusy as error:
                raise InUse(error.message, mend=error.mend) from error
        self._bridge.post(self._changed)

    async def aclose(self) -> None:
        """Stop what runs for clients: pulls pause."""
        await self._bridge.aclose()


def _holds(status: EngineStatus, name: str) -> bool:
    return status.model is not None and status.model.name == name


def _is_busy(status: EngineStatus) -> bool:
    return status.holder is not None or bool(status.waiting)


def _resident(pid: int | None) -> int:
    """Bytes of memory that process `pid` and its children hold; 0 where that cannot be told."""
    import psutil

    from npurun_tui.hardware.usage import family

    total = 0
    for each in family(pid):
        try:
            total += psutil.Process(each).memory_info().rss
        except psutil.Error:
            continue
    return total
