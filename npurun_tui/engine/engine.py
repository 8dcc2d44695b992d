"""The one shared engine: a process, the model loaded in it, and the permit to use it.

Everything that generates (chat, bench, HTTP) goes through `permit`; whoever holds it may load a model and query its
dialog. When the process dies the reason is kept in words and, unless it keeps dying, the model is loaded again
at once, so that the next message meets a ready engine.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from npurun_tui.engine.conversations import ConversationCache
from npurun_tui.engine.listeners import tell
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.permit import OnWait, PermitLine
from npurun_tui.engine.process import HostProcess
from npurun_tui.engine.remote import RemoteDialog
from npurun_tui.engine.spec import Backend, ModelSpec, fingerprint
from npurun_tui.engine.template_facts import NO_TEMPLATE, TemplateFacts
from npurun_tui.engine.transcript import Turn, TurnOptions, begin_turn
from npurun_tui.errors import EngineCrashed, EngineError, NpurunError

log = logging.getLogger(__name__)

CRASH_LIMIT: Final = 3
CRASH_WINDOW: Final = 60.0
"""This many crashes within so many seconds, and the engine is no longer restarted by itself."""

RESTARTER: Final = "the engine's restart"


class EngineState(StrEnum):
    """Where the engine process stands."""

    STOPPED = "stopped"
    LOADING = "loading"
    READY = "ready"
    GENERATING = "generating"
    FAILED = "failed"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The model in the engine process."""

    name: str
    backend: Backend
    context_size: int
    """Tokens."""
    load_ms: float
    place: str
    """Where it runs, in words: `CPU (llama.cpp)`, `NPU (Genie 1.21.0)`."""
    constrains: bool = False
    """An answer can be held to a schema or a grammar."""
    embeds: bool = False
    """It makes embeddings, and gives no answers."""
    facts: TemplateFacts = NO_TEMPLATE
    """What its chat template can do."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """A snapshot for people and for `/healthz`."""

    state: EngineState = EngineState.STOPPED
    model: LoadedModel | None = None
    reason: str = ""
    """Why it failed or crashed, in words; empty otherwise."""
    holder: str | None = None
    waiting: tuple[str, ...] = ()
    loading: str = ""
    """Name of the model that is being loaded."""


class Permit:
    """The right to use the engine, for as long as the `async with engine.permit(...)` block lasts."""

    def __init__(
        self,
        load: Callable[[ModelSpec], Awaitable[LoadedModel]],
        reload: Callable[[ModelSpec], Awaitable[LoadedModel]],
        unload: Callable[[], Awaitable[None]],
        dialog: Callable[[], RemoteDialog],
        conversations: ConversationCache | None = None,
    ) -> None:
        self._load = load
        self._reload = reload
        self._spec: ModelSpec | None = None
        self._unload = unload
        self._dialog = dialog
        self.conversations = conversations
        """Saved caches of earlier conversations; None where none are kept."""
        self._held = True

    async def load(self, spec: ModelSpec) -> LoadedModel:
        """Have `spec` loaded; immediate where it is already.

        Raises:
            EngineError, ModelError: it cannot be loaded; the text says why.
        """
        self._check()
        self._spec = spec
        return await self._load(spec)

    async def restart(self) -> None:
        """End the engine process and load the same model in a new one: what mends a wedged NPU.

        Raises:
            EngineError: nothing was loaded under this permit, or it cannot be loaded again.
        """
        self._check()
        if self._spec is None:
            raise EngineError("No model is loaded.", mend="Choose one first.")
        await self._reload(self._spec)

    async def unload(self) -> None:
        """End the engine process: that is what gives all of the model's memory back."""
        self._check()
        await self._unload()

    @property
    def dialog(self) -> RemoteDialog:
        """The loaded model's dialog. Raises EngineError where none is loaded."""
        self._check()
        return self._dialog()

    def begin(
        self, context_size: int, messages: Sequence[ChatMessage], options: TurnOptions
    ) -> Turn:
        """`begin_turn` under this permit."""
        self._check()
        return begin_turn(self, context_size, messages, options)

    def give_back(self) -> None:
        """From now on this permit opens nothing."""
        self._held = False

    def _check(self) -> None:
        if not self._held:
            raise EngineError("The permit was given back.", mend="Ask for it again.")


class Engine:
    """Owns the engine process. Make it and use it on one event loop; `aclose` it there."""

    def __init__(
        self,
        *,
        log: Path,
        max_queue: int = 8,
        load_timeout: float = 300.0,
        answer_timeout: float = 120.0,
        command: tuple[str, ...] = (),
        conversations: ConversationCache | None = None,
    ) -> None:
        """`command` starts another host than ours (a benchmark's); it is given the log file's path.

        `conversations` becomes the engine's own: it is closed with it.
        """
        self._log = log
        self._conversations = conversations
        self._command = command
        self._load_timeout = load_timeout
        self._answer_timeout = answer_timeout
        self._line = PermitLine(max_queue, self._permit_changed)
        self._listeners: list[Callable[[EngineStatus], None]] = []
        self._status = EngineStatus()
        self._host: HostProcess | None = None
        self._dialog: RemoteDialog | None = None
        self._spec: ModelSpec | None = None
        self._wanted: ModelSpec | None = None
        """What crashed and is to be loaded again."""
        self._crashes: deque[float] = deque(maxlen=CRASH_LIMIT)
        self._restart: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._closing = False

    # -- what everybody sees ---------------------------------------------------------------

    @property
    def status(self) -> EngineStatus:
        """The state right now."""
        return self._status

    @property
    def log(self) -> Path:
        """The file that receives what the engine process prints."""
        return self._log

    @property
    def pid(self) -> int | None:
        """The engine process's id, None where none runs."""
        return self._host.pid if self._host is not None and self._host.alive else None

    def holds(self, spec: ModelSpec) -> bool:
        """Whether `spec` is loaded, so that loading it takes no time."""
        host, model = self._host, self._status.model
        return self._spec == spec and model is not None and host is not None and host.alive

    def subscribe(self, listener: Callable[[EngineStatus], None]) -> Callable[[], None]:
        """Call `listener` on the event loop at each change; returns the way to unsubscribe."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    @asynccontextmanager
    async def permit(
        self,
        who: str,
        on_wait: OnWait | None = None,
        *,
        however_long: bool = False,
        max_waiting: int | None = None,
    ) -> AsyncIterator[Permit]:
        """Wait for the permit and hold it for the length of the block.

        `who` is shown to people ("chat"); `on_wait` hears how many are ahead; the rest is `PermitLine.hold`'s.

        Raises:
            QueueFull: the waiting line is full.
        """
        line = self._line.hold(who, on_wait, however_long=however_long, max_waiting=max_waiting)
        async with line:
            permit = Permit(
                self._load,
                self._load_anew,
                self._keep_and_unload,
                self._dialog_or_raise,
                self._conversations,
            )
            try:
                yield permit
            finally:
                permit.give_back()

    async def aclose(self) -> None:
        """End the engine process, for good. A query that still runs fails with EngineCrashed."""
        self._closing = True
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.wait({self._restart})
        try:
            await self._unload()
        finally:
            if self._conversations is not None:
                await self._conversations.aclose()

    # -- what a permit does ----------------------------------------------------------------

    def _dialog_or_raise(self) -> RemoteDialog:
        if self._dialog is None:
            raise EngineError("No model is loaded.", mend="Choose one first.")
        return self._dialog

    async def _load(self, spec: ModelSpec) -> LoadedModel:
        model = self._status.model
        if model is not None and self.holds(spec):
            return model
        await self._keep_conversation()
        before = self._forget()
        self._set(state=EngineState.LOADING, loading=spec.name, model=None, reason="")
        began = time.perf_counter()
        try:
            await self._end(before)
            snapshots_of = fingerprint(spec)
            self._host = host = await self._start()
            answer = await host.call("load", silence=self._load_timeout, spec=spec.to_json())
        except NpurunError as error:
            crashed = isinstance(error, EngineCrashed)
            state = EngineState.CRASHED if crashed else EngineState.FAILED
            await self._give_up(state, str(error))
            raise
        except asyncio.CancelledError:
            await self._give_up(EngineState.STOPPED)
            raise
        load_ms = (time.perf_counter() - began) * 1000
        model = LoadedModel(
            spec.name,
            spec.backend,
            answer["context_size"],
            load_ms,
            answer["place"],
            constrains=answer["constrains"],
            embeds=answer["embeds"],
            facts=TemplateFacts(**answer["facts"]),
        )
        self._spec = spec
        self._dialog = RemoteDialog(
            host,
            silence=self._answer_timeout,
            busy=self._set_busy,
            snapshots_of=snapshots_of if answer["rewinds_restored"] else "",
        )
        host.exited.add_done_callback(lambda why: self._exited(host, why.result()))
        self._set(state=EngineState.READY, model=model, loading="", reason="")
        return model

    async def _load_anew(self, spec: ModelSpec) -> LoadedModel:
        """Load `spec` in a new process, whatever the old one holds."""
        await self._unload()
        return await self._load(spec)

    async def _start(self) -> HostProcess:
        """A new process; none for an engine that is closed, also where that happens meanwhile."""
        self._refuse_when_closed()
        host = await HostProcess.start(self._log, self._command)
        try:
            self._refuse_when_closed()
        except EngineError:
            await host.close()
            raise
        return host

    def _refuse_when_closed(self) -> None:
        if self._closing:
            raise EngineError("The engine is closed.")

    async def _keep_conversation(self) -> None:
        """Save what the dialog holds before its process ends: loading takes seconds, and this a tenth of one."""
        if self._conversations is not None and self._dialog is not None:
            await self._conversations.keep(self._dialog)

    async def _keep_and_unload(self) -> None:
        await self._keep_conversation()
        await self._unload()

    async def _unload(self) -> None:
        await self._give_up(EngineState.STOPPED)

    async def _give_up(self, state: EngineState, reason: str = "") -> None:
        """Be in `state` at once, whatever the end of the process takes and whoever cancels that."""
        host = self._forget()
        self._set(state=state, reason=reason, model=None, loading="")
        await self._end(host)

    async def _end(self, host: HostProcess | None) -> None:
        """End `host` and wait for every process that is on its way out: memory is freed before it is taken again.

        A cancelled caller leaves; the end goes on, and `aclose` waits for it.
        """
        if host is not None and host.alive:
            ending = asyncio.create_task(host.close(), name="engine's end")
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        if self._ending:
            await asyncio.wait(self._ending)

    def _forget(self) -> HostProcess | None:
        """Let go of the process, so that its end is not taken for a crash, and of any wish to restart it."""
        host, self._host, self._dialog = self._host, None, None
        self._spec = self._wanted = None
        return host

    # -- crashes ---------------------------------------------------------------------------

    def _exited(self, host: HostProcess, why: str) -> None:
        if host is not self._host:
            return
        spec = self._spec
        self._forget()
        if self._closing or spec is None:
            return
        now = time.monotonic()
        self._crashes.append(now)
        reason = f"The engine process ended: {why}."
        if len(self._crashes) == CRASH_LIMIT and now - self._crashes[0] < CRASH_WINDOW:
            reason += f" That was {CRASH_LIMIT} times within a minute, so it stays down until it is used again."
            self._set(state=EngineState.FAILED, model=None, reason=reason)
            return
        self._set(state=EngineState.CRASHED, model=None, reason=reason)
        self._wanted = spec
        if self._restart is None or self._restart.done():
            self._restart = asyncio.get_running_loop().create_task(self._load_again())

    async def _load_again(self) -> None:
        """Load what crashed, unless somebody has loaded or unloaded something by the time the permit comes."""
        async with self._line.hold(RESTARTER, however_long=True):
            if self._wanted is None:
                return
            try:
                await self._load(self._wanted)
            except NpurunError as error:
                log.warning("the restart failed: %s", error)

    # -- state -----------------------------------------------------------------------------

    def _set_busy(self, running: bool) -> None:
        if self._dialog is not None:
            self._set(state=EngineState.GENERATING if running else EngineState.READY)

    def _permit_changed(self) -> None:
        self._set(holder=self._line.holder, waiting=self._line.waiting)

    def _set(self, **changes: object) -> None:
        status = replace(self._status, **changes)  # type: ignore[arg-type]  # names are checked by replace itself
        if status == self._status:
            return
        self._status = status
        for listener in tuple(self._listeners):
            tell(listener, status)
