"""The sockets and connections of one server, on its loop."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from uvicorn.config import Config
from uvicorn.server import ServerState

from npurun_tui.server.app import ServerApp
from npurun_tui.server.config import Limits
from npurun_tui.server.doors import Doors
from npurun_tui.server.handshake import Handshakes
from npurun_tui.server.protocol import HardenedProtocol

ACCEPTING: Final = 2
"""Turns of the loop from a connection's being accepted to its protocol's `connection_made`."""


class Listener:
    """Accepts connections for as long as the `async with` block lasts; at its end none is left."""

    def __init__(
        self,
        limits: Limits,
        app: ServerApp,
        sockets: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._limits = limits
        self._app = app
        self._sockets = sockets
        self._tls = tls
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []
        self._handshakes: Handshakes | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        config = _config(self._app, self._limits)
        doors = Doors(self._limits)

        def connect() -> HardenedProtocol:
            return HardenedProtocol(config, self._state, self._limits, doors, loop)

        accept: Callable[[], asyncio.Protocol] = connect
        if self._tls is not None:
            self._handshakes = Handshakes(self._tls, self._limits, doors, connect)
            accept = self._handshakes.accept
        for listening in self._sockets:
            self._servers.append(await loop.create_server(accept, sock=listening))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.drain(0, 1)

    async def drain(self, finish: float, aborting: float) -> None:
        """Accept nothing more, give requests `finish` seconds, then abort them and wait `aborting` seconds at most."""
        await self._accept_no_more()
        if self._handshakes is not None:
            await self._handshakes.aclose()
        for connection in self._connections():
            connection.shutdown()
        if not await self._ended(finish):
            self._app.flights.abort_all()
            await self._ended(aborting)
        connections = self._connections()
        for connection in connections:
            connection.transport.abort()
        for task in tuple(self._state.tasks):
            task.cancel()
        await self._ended(aborting)
        async with asyncio.timeout(aborting):
            for connection in connections:
                await connection.gone.wait()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    async def _accept_no_more(self) -> None:
        """asyncio takes a connection in in three turns of its loop: it accepts it, makes its transport, tells the
        protocol (`selector_events.py`). Whom it has accepted when the server closes it would leave open and forget:
        nobody is accepted for the last two turns, and everybody is told of."""
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):  # Windows' loop has no readers, and fewer turns
            for server in self._servers:
                for listening in server.sockets:
                    loop.remove_reader(listening.fileno())
        for _ in range(ACCEPTING):
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()

    def _connections(self) -> list[HardenedProtocol]:
        return [one for one in self._state.connections if isinstance(one, HardenedProtocol)]

    async def _ended(self, seconds: float) -> bool:
        """Whether every request has ended within so many seconds."""
        tasks = set(self._state.tasks)
        if not tasks:
            return True
        _, running = await asyncio.wait(tasks, timeout=seconds)
        return not running


def _config(app: ServerApp, limits: Limits) -> Config:
    """uvicorn's part: it believes no proxy's headers, logs nothing of a request, and tells nothing of itself."""
    config = Config(
        app,
        interface="asgi3",
        loop="none",
        http=HardenedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=limits.keep_alive,  # type: ignore[arg-type]  # it goes into call_later
    )
    config.load()
    return config
