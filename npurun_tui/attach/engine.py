"""The engine of a server elsewhere, as the Chat tab and the status bar know an engine.

One task looks at that server every two seconds. A server that cannot be reached is a state in words, not an error, and
is over when it answers again. The permit is that server's own: nothing waits here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from npurun_tui.attach.answer import whole
from npurun_tui.attach.there import REFUSED, ServerThere
from npurun_tui.attach.turn import RemoteTurn
from npurun_tui.engine.engine import EngineState, EngineStatus, LoadedModel
from npurun_tui.engine.listeners import tell
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.permit import OnWait
from npurun_tui.engine.spec import BACKEND_LABELS, Backend, ModelSpec
from npurun_tui.engine.transcript import TurnOptions, check_asked
from npurun_tui.errors import NetworkUnavailable, NpurunError
from npurun_tui.text import one_line

POLL: Final = 2.0
"""Seconds between two looks at the server."""

OTHERS: Final = "somebody else"
"""Who holds the permit there, where it is not this workbench."""


class AttachedPermit:
    """What may be asked of the server, for the length of the block."""

    def __init__(self, there: ServerThere, status: Callable[[], EngineStatus]) -> None:
        self._there = there
        self._status = status
        self._model = ""

    async def load(self, spec: ModelSpec) -> LoadedModel:
        """What is known of the model there; the server loads it when it is asked.

        Raises:
            EngineError, NetworkUnavailable: it is not there, or nothing answers.
        """
        details = await self._there.details(spec.name)
        loaded = self._status().model
        backend: Backend = "genie" if details.backend == "genie" else "llama.cpp"
        place = loaded.place if loaded is not None and loaded.name == spec.name else ""
        place = place or at(BACKEND_LABELS[backend], self._there)
        self._model = spec.name
        return LoadedModel(spec.name, backend, details.context, 0.0, place)

    def begin(
        self, context_size: int, messages: Sequence[ChatMessage], options: TurnOptions
    ) -> RemoteTurn:
        """An answer to `messages`. Raises EngineError where there is nothing to answer."""
        check_asked(messages)
        return RemoteTurn(self._there, self._model, context_size, messages, options)


class AttachedEngine:
    """Make it and use it on one event loop; `watch` begins to look, `aclose` ends that."""

    def __init__(self, there: ServerThere, *, poll: float = POLL) -> None:
        self._there = there
        self._poll = poll
        self._status = EngineStatus()
        self._looked = False
        self._listeners: list[Callable[[EngineStatus], None]] = []
        self._asking = 0
        """Answers that this workbench has on their way."""
        self._admitted = False
        """The token was good enough since the server was last found."""
        self._refused = False
        self._watching: asyncio.Task[None] | None = None

    @property
    def status(self) -> EngineStatus:
        """The server's engine as it was last seen; FAILED with the reason where nothing was."""
        return self._status

    def subscribe(self, listener: Callable[[EngineStatus], None]) -> Callable[[], None]:
        """Call `listener` on the event loop at each change; returns the way to unsubscribe."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def watch(self) -> None:
        """Look at the server from now on, once every `poll` seconds."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._keep_looking(), name="server elsewhere")

    @asynccontextmanager
    async def permit(
        self, who: str, on_wait: OnWait | None = None
    ) -> AsyncIterator[AttachedPermit]:
        """At once: the line is at the server, which tells of it while it answers."""
        del who, on_wait
        self._asking += 1
        try:
            yield AttachedPermit(self._there, lambda: self._status)
        finally:
            self._asking -= 1

    async def aclose(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})

    # --- looking -------------------------------------------------------------------------------

    async def _keep_looking(self) -> None:
        while True:
            self._set(await self._look())
            await asyncio.sleep(REFUSED if self._refused else self._poll)

    async def _look(self) -> EngineStatus:
        self._refused = False
        try:
            health = await self._there.health()
            if not self._admitted:
                await self._there.models()  # /healthz asks for no token
                self._admitted = True
            if (
                "state" not in health
            ):  # a server tells strangers no more, the holder of a token more
                loaded = await self._there.loaded()
                health = health | {"model": loaded[0].name if loaded else None}
        except NetworkUnavailable as error:
            self._admitted = False
            return EngineStatus(EngineState.FAILED, reason=error.message)
        except NpurunError as error:
            self._refused = True
            return EngineStatus(EngineState.FAILED, reason=str(error))
        return self._read(health)

    def _read(self, health: dict[str, Any]) -> EngineStatus:
        name, ready = health.get("model"), health.get("status") == "ready"
        state = EngineState.READY if ready else EngineState.STOPPED
        told = health.get("state")
        if isinstance(told, str) and told in set(EngineState):
            state = EngineState(told)
        queue = health.get("queue")
        waiting = whole(queue.get("waiting")) if isinstance(queue, dict) else 0
        holder = ("chat" if self._asking else OTHERS) if health.get("busy") is True else None
        return EngineStatus(
            state,
            self._model(name, health.get("place")) if isinstance(name, str) and name else None,
            reason=one_line(str(health.get("reason") or ""), 200),
            holder=holder,
            waiting=("",) * min(waiting or 0, 1000),
        )

    def _model(self, name: str, place: object) -> LoadedModel:
        words = one_line(place, 40) if isinstance(place, str) else ""
        backend: Backend = "genie" if words.startswith("NPU") else "llama.cpp"
        shown = at(words, self._there) if words else ""
        return LoadedModel(one_line(name, 200).removesuffix(":latest"), backend, 0, 0.0, shown)

    def _set(self, status: EngineStatus) -> None:
        if status == self._status and self._looked:
            return
        self._status, self._looked = status, True
        for listener in tuple(self._listeners):
            tell(listener, status)


def at(place: str, there: ServerThere) -> str:
    """Where a model runs, with the machine: `CPU (llama.cpp) at HOST:PORT`."""
    return f"{place} at {there.where}"
