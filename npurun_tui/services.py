"""The parts that the workbench stands on, each built when it is first asked for, all closed in one place.

Building late is what keeps start-up quick: the Models tab needs the store, and nothing else, to paint.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from npurun_tui.errors import ModelBusy
from npurun_tui.settings import Paths, Remembered, Settings
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.bench.control import BenchControl
    from npurun_tui.bench.history import History
    from npurun_tui.chat.library import ChatLibrary
    from npurun_tui.engine.engine import Engine, EngineStatus
    from npurun_tui.engine.spec import ModelSpec
    from npurun_tui.hardware.summary import RuntimeSummary
    from npurun_tui.models.jobs import PullManager
    from npurun_tui.models.store import ModelStore
    from npurun_tui.server.control import ServerControl


class Services:
    """Everything with a lifetime. Use it on one event loop and `aclose` it there."""

    def __init__(self, paths: Paths, settings: Settings) -> None:
        self.paths = paths
        self.settings = settings
        self._runtime: RuntimeSummary | None = None

    @cached_property
    def remembered(self) -> Remembered:
        """Small choices kept between runs; making it reads one small file."""
        return Remembered(self.paths.remembered)

    @cached_property
    def store(self) -> ModelStore:
        """The models on this machine."""
        from npurun_tui.models.store import ModelStore

        return ModelStore(self.paths.models)

    @cached_property
    def pulls(self) -> PullManager:
        """The downloads that run."""
        from npurun_tui.models.jobs import PullManager

        return PullManager(self.store)

    @cached_property
    def engine(self) -> Engine:
        """The one shared engine; its process starts only when a model is loaded."""
        from npurun_tui.engine.conversations import ConversationCache
        from npurun_tui.engine.engine import Engine

        limit = self.settings.cache_limit_mb * 1_000_000
        return Engine(
            log=self.paths.engine_log,
            max_queue=self.settings.max_queue,
            load_timeout=self.settings.load_timeout,
            answer_timeout=self.settings.answer_timeout,
            conversations=ConversationCache(self.paths.conversations, limit),
        )

    @cached_property
    def chats(self) -> ChatLibrary:
        """The kept chats; the database is opened by the first question, in a thread."""
        from npurun_tui.chat.library import ChatLibrary

        return ChatLibrary(self.paths.database)

    @cached_property
    def server(self) -> ServerControl:
        """The HTTP server, and the log of what it was asked; nothing runs and nothing is opened yet."""
        from npurun_tui.server.control import ServerControl

        return ServerControl(self)

    @cached_property
    def bench(self) -> BenchControl:
        """The bench that runs, if one does; what it finds goes to `bench_history`."""
        from npurun_tui.bench.control import BenchControl

        return BenchControl(self.bench_history.add)

    @cached_property
    def bench_history(self) -> History:
        """The kept benches; the database is opened by the first question, which blocks."""
        from npurun_tui.bench.history import History

        return History(self.paths.database)

    async def runtime(self) -> RuntimeSummary:
        """The NPU's runtime as it was found on this machine, in words; asked once."""
        if self._runtime is None:
            from npurun_tui.hardware.summary import runtime_summary

            self._runtime = await runtime_summary()
        return self._runtime

    def spec_of(self, name: str) -> ModelSpec:
        """The installed model `name` as the engine loads it; reads its manifest.

        Raises:
            ModelError: it is not here, or not usable.
        """
        model, settings = self.store.get(name), self.settings
        return model.manifest.spec(
            model.folder, context=settings.context, threads=settings.cpu_threads
        )

    def installed_names(self) -> list[str]:
        """The usable models' names; reads every manifest."""
        return [model.name for model in self.store.scan()[0]]

    def engine_status(self) -> EngineStatus | None:
        """How the engine stands; None while there is none."""
        return self.engine.status if self.built("engine") else None

    def model_in_use(self, name: str) -> bool:
        """Whether the engine has this model loaded, or is loading it."""
        status = self.engine_status()
        if status is None:
            return False
        return status.loading == name or (status.model is not None and status.model.name == name)

    @asynccontextmanager
    async def model_released(self, name: str) -> AsyncIterator[None]:
        """Within it the engine does not have this model, and loads none.

        Raises:
            ModelBusy: an answer runs with it, or it is being loaded.
        """
        if not self.model_in_use(name):
            yield
            return
        if self.engine.status.holder is not None:
            raise ModelBusy(
                f"{one_line(name, 40)} is in use by the engine.",
                mend="Wait for the answer to end, or stop it.",
            )
        async with self.engine.permit("models") as permit:
            if self.model_in_use(name):
                await permit.unload()
            yield

    def built(self, name: str) -> bool:
        """True where the service of that name exists already; asking does not build it."""
        return name in self.__dict__

    async def aclose(self) -> None:
        """End the bench, which keeps what it has; stop the server and downloads (they resume later); end the engine
        process, close the databases."""
        async with AsyncExitStack() as stack:  # each is closed, whatever happens to those before it
            # The last one first: a bench holds the permit that the server's requests wait for.
            for name in ("bench_history", "chats", "engine", "pulls", "server", "bench"):
                if self.built(name):
                    stack.push_async_callback(getattr(self, name).aclose)
