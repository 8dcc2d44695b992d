"""A whole server over a scripted answerer: for the Server tab, and for clients that are told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from npurun_tui.engine.engine import EngineStatus
from npurun_tui.server import site
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.control import ServerControl
from npurun_tui.server.log import RequestLog
from npurun_tui.server.site import Parts
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings
from tests.server.scripted import HELLO, Scripted, Shelf, Step


async def _nothing() -> None:
    """No part has to be closed."""


def scripted_parts(answerer: Scripted) -> Callable[[ServerConfig], Parts]:
    """What stands behind the routes."""
    return lambda _config: Parts(answerer, Shelf(), EngineStatus, _nothing)


def behind_the_tab(monkeypatch: pytest.MonkeyPatch, script: Sequence[Step] = HELLO) -> Scripted:
    """Have every server that the workbench starts answer by `script`."""
    answerer = Scripted(tuple(script))
    monkeypatch.setattr(site, "parts_of", lambda *_: scripted_parts(answerer))
    return answerer


@asynccontextmanager
async def listening(home: Path, script: Sequence[Step] = HELLO) -> AsyncIterator[ServerControl]:
    """A server on a free port."""
    services = Services(Paths.resolve({"NPURUN_TUI_HOME": str(home)}), Settings())
    control = ServerControl(
        services,
        request_log=RequestLog(services.paths.database),
        parts=scripted_parts(Scripted(tuple(script))),
    )
    try:
        await control.start(ServerConfig(port=0))
        yield control
    finally:
        await control.aclose()


async def forever() -> None:
    """A step that ends only by being aborted."""
    await asyncio.Event().wait()
