"""TLS, begun behind the door: a connection is counted when it is accepted, not when its handshake is done.

asyncio tells a server's protocol of a connection only after the handshake, so that clients who never make one would be
limited by nothing but descriptors. Here the plain connection comes first.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from npurun_tui.server.config import Limits
from npurun_tui.server.doors import Doors


class Handshakes:
    """Those that are on their way. It owns their tasks; on the server's loop only."""

    def __init__(
        self,
        context: ssl.SSLContext,
        limits: Limits,
        doors: Doors,
        connect: Callable[[], asyncio.Protocol],
    ) -> None:
        """`connect` makes what a connection is handed to, which passes the door itself."""
        self.context = context
        self.limits = limits
        self.doors = doors
        self.connect = connect
        self.tasks: set[asyncio.Task[None]] = set()
        self.closed = False

    def accept(self) -> asyncio.Protocol:
        """What a new connection meets first."""
        return _Vestibule(self)

    async def aclose(self) -> None:
        """End all that have not done, and begin no more."""
        self.closed = True
        tasks = tuple(self.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class _Vestibule(asyncio.Protocol):
    """One connection until its handshake is done."""

    def __init__(self, owner: Handshakes) -> None:
        self._owner = owner
        self._early: list[bytes] = []
        """What came with the handshake's last bytes, before the connection was handed on."""
        self._ended = self._lost = False
        self._inside: str | None = None
        """Whom the door has counted for this."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected: it comes in or is turned away without a word, since it speaks only TLS."""
        plain = cast("asyncio.Transport", transport)
        address = plain.get_extra_info("peername")
        peer = str(address[0]) if address else ""
        owner = self._owner
        if owner.closed or not owner.doors.enter(peer):
            plain.abort()
            return
        plain.pause_reading()  # nothing is read before TLS reads it
        self._inside = peer
        task = asyncio.create_task(self._shake(plain), name="TLS handshake")
        owner.tasks.add(task)
        task.add_done_callback(lambda task: self._done(task, plain))

    def data_received(self, data: bytes) -> None:
        """The first bytes of a request, already decrypted."""
        self._early.append(data)

    def eof_received(self) -> None:
        """The client says no more."""
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        del exc
        self._lost = True

    async def _shake(self, plain: asyncio.Transport) -> None:
        owner = self._owner
        try:
            secure = await asyncio.get_running_loop().start_tls(
                plain,
                self,
                owner.context,
                server_side=True,
                ssl_handshake_timeout=owner.limits.header_deadline,
                ssl_shutdown_timeout=1.0,
            )
        except OSError:
            return  # no TLS, a wrong one, none in time: whoever it was is turned away
        if secure is not None and not self._lost:
            self._leave()
            self._hand_on(secure)

    def _done(self, task: asyncio.Task[None], plain: asyncio.Transport) -> None:
        """Also where the task was cancelled before its first step."""
        self._owner.tasks.discard(task)
        if self._inside is not None:
            self._leave()
            plain.abort()

    def _leave(self) -> None:
        if self._inside is not None:
            self._owner.doors.leave(self._inside)
            self._inside = None

    def _hand_on(self, secure: asyncio.Transport) -> None:
        """The connection, and what has come of it meanwhile, to the protocol that serves it."""
        server = self._owner.connect()
        secure.set_protocol(server)
        server.connection_made(secure)
        for data in self._early:
            server.data_received(data)
        if self._ended:
            secure.close()
