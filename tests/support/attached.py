"""A server to be attached to: a real one whose models and answers are written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npurun_tui.engine.engine import EngineState, EngineStatus, LoadedModel
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.context import ModelCard, RunningModel
from npurun_tui.server.control import ServerControl
from npurun_tui.server.faults import UnknownModel
from npurun_tui.server.log import RequestLog
from npurun_tui.server.site import Parts
from npurun_tui.services import Services
from npurun_tui.settings import Settings
from tests.server.scripted import HELLO, Scripted, Step, card
from tests.support.workbench import home_paths

READY = EngineStatus(
    EngineState.READY, LoadedModel("small", "llama.cpp", 512, 0.0, "CPU (llama.cpp)")
)


@dataclass
class Shelves:
    """`Directory` whose models come and go."""

    names: list[str] = field(default_factory=lambda: ["small", "thinker"])
    going: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by a test to let pulls go on."""
    stopped: list[str] = field(default_factory=list)
    """Pulls that were closed before their end."""

    async def cards(self) -> Sequence[ModelCard]:
        return [card(name) for name in self.names]

    async def card(self, name: str) -> ModelCard:
        if name not in self.names:
            raise UnknownModel(f"The model {name} is not installed.", param="model")
        return card(name)

    async def running(self) -> Sequence[RunningModel]:
        return [RunningModel(card("small"), 512, 1000, None, "CPU (llama.cpp)")]

    async def pull(self, name: str) -> AsyncIterator[dict[str, Any]]:
        if name == "nonsense":
            raise UnknownModel("No catalog names it.")
        done = False
        try:
            yield {"status": "pulling manifest"}
            yield {"status": "pulling abc", "completed": 40, "total": 100}
            while not self.going.is_set():  # noqa: ASYNC110 - it is set in another thread
                await asyncio.sleep(0.01)
            self.names.append(name)
            yield {"status": "success"}
            done = True
        finally:
            if not done:
                self.stopped.append(name)

    async def delete(self, name: str) -> None:
        await self.card(name)
        self.names.remove(name)

    async def copy(self, source: str, destination: str) -> None:
        raise NotImplementedError


@dataclass
class There:
    """The server and what is behind it."""

    control: ServerControl
    answerer: Scripted
    shelves: Shelves

    @property
    def url(self) -> str:
        return self.control.status.url

    @property
    def where(self) -> str:
        return self.url.partition("//")[2]


async def _nothing() -> None:
    """No part has to be closed."""


@asynccontextmanager
async def server_there(
    home: Path, script: Sequence[Step] = HELLO, **config: Any
) -> AsyncIterator[There]:
    """The server on a free port; keywords are `ServerConfig`'s."""
    services = Services(home_paths(home), Settings())
    answerer, shelves = Scripted(tuple(script)), Shelves()
    parts = Parts(answerer, shelves, lambda: READY, _nothing)
    control = ServerControl(
        services, request_log=RequestLog(services.paths.database), parts=lambda _: parts
    )
    try:
        await control.start(ServerConfig(**{"port": 0, **config}))
        yield There(control, answerer, shelves)
    finally:
        await control.aclose()
