"""uvicorn's httptools protocol, made strict, and impatient with clients that take their time.

By itself it waits for ever for a head, takes heads of any size, requests without a Host or with two, and never gives up
on a client that reads nothing. It is pinned in `pyproject.toml` because this touches its internals;
`tests/server/test_protocol.py` is what holds the two together.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from npurun_tui.server.config import Limits
from npurun_tui.server.doors import Doors
from npurun_tui.server.errors import error_document
from npurun_tui.server.faults import RequestFault
from npurun_tui.server.stall import StallWatch
from npurun_tui.server.table import dialect_of

LINGER: Final = 2.0
"""Seconds in which a client that still sends may take in the answer, before its connection is closed."""
SEND_BUFFER: Final = 256 << 10
"""Bytes that the system buffers for one connection: what a client that reads nothing can have generated for it."""


class Refused(Exception):
    """Raised in the parser's callbacks, to end the parsing there."""


class HardenedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        limits: Limits,
        doors: Doors,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(config, state, {}, loop)
        self._limits = limits
        self._doors = doors
        self._peer: str | None = None
        """Whom the doors have counted; None where they have not."""
        self._deaf = False
        """What else the client sends is thrown away."""
        self.gone = asyncio.Event()
        """Set when the connection is over."""
        self._leaving = False
        """The parser takes what follows for another protocol."""
        self._in_head = True
        self._head_bytes = 0
        self._header_count = 0
        self._refusal = (400, "The request is not valid HTTP.")
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: StallWatch | None = None

    # --- the connection ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        if not self._doors.enter(peer):
            self._refuse(503, "There are too many connections.")
            return
        self._peer = peer
        self._stall = StallWatch(transport, self._limits.write_stall, self.loop)
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._disarm()
        if self._stall is not None:
            self._stall.end()
        if self._peer is not None:
            self._doors.leave(self._peer)
            self._peer = None
        self.gone.set()

    def pause_writing(self) -> None:
        """The client reads more slowly than is sent."""
        super().pause_writing()
        if self._stall is not None:
            self._stall.begin()

    def resume_writing(self) -> None:
        """It has taken in all."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.end()

    # --- what comes in -------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(*self._refusal)
        if self._in_head and not self._deaf:
            self._check_unfinished_head()

    def _stay(self, rest: bytes) -> None:
        """No other protocol is spoken here: read the request again as if none had been asked for.

        Java's client asks for HTTP/2 with its first requests. The parser then takes a body for the other protocol's.
        """
        head = [b"%s %s HTTP/1.1\r\n" % (self.parser.get_method(), self.url)]
        for name, value in self.headers:
            if name not in (b"connection", b"upgrade", b"http2-settings"):
                head.append(b"%s: %s\r\n" % (name, value))
        self.parser = httptools.HttpRequestParser(self)
        self._leaving = False
        self._head_bytes = 0
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def _check_unfinished_head(self) -> None:
        if self._head_bytes > self._limits.header_bytes:
            self._refuse(431, "The request's head is too large.")
        elif self._deadline is None and self._head_bytes and not self._answering:
            self._await_head()  # nothing but line ends so far: no callback has come

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def on_message_begin(self) -> None:
        """The parser: a request begins."""
        if self._answering:
            # A second request before the first one's answer: uvicorn would not see the first one's client leave.
            raise Refused
        super().on_message_begin()
        self._header_count = 0
        self._counted = 0
        self._await_head()

    def on_url(self, url: bytes) -> None:
        """The parser: some of the target."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser: a header, or a trailer, which is not looked at."""
        self._header_count += 1
        if self._header_count > self._limits.headers:
            self._stop(431, "The request has too many headers.")
        self._count(len(name) + len(value) + 4)
        if self._in_head:
            super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._counted += size
        if self._counted > self._limits.header_bytes:
            self._stop(431, "The request's head is too large.")

    def on_headers_complete(self) -> None:
        """The parser: the head is whole."""
        if not self.url.startswith(b"/") or self.parser.get_method() == b"CONNECT":
            self._stop(400, "The request's target is not a path: this is no proxy.")
        if sum(name == b"host" for name, _ in self.headers) != 1:
            self._stop(400, "A request needs exactly one Host.")
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings not in ([], [b"chunked"]):
            self._stop(400, "The body's transfer coding is not known here.")
        if self.parser.should_upgrade():
            self._leaving = True
            return
        self._in_head = False
        self._head_bytes = 0
        self._disarm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The parser: the request is whole."""
        if self._leaving:
            return
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0
        if not self._answering and not self.transport.is_closing():
            self._disarm()
            self._keep_alive()

    def _stop(self, status: int, reason: str) -> None:
        self._refusal = (status, reason)
        raise Refused

    # --- what goes out -------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """An answer is written."""
        super().on_response_complete()
        if not self._in_head and not self.transport.is_closing():
            # The rest of the body is read and thrown away for a while: closing at once could lose the answer.
            self._unset_keepalive_if_required()
            self._arm(LINGER, self.transport.close)

    def _keep_alive(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what never becomes a request, and hear no more of this client."""
        if self._deaf or self.transport.is_closing():
            return
        self._deaf = True
        if self._answering:
            self.cycle.keep_alive = False
            return
        self.transport.write(refusal(status, reason, getattr(self, "url", b"")))
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        try:
            self.transport.write_eof()
        except OSError:  # the client has reset the connection meanwhile
            self.transport.abort()
        else:
            self._arm(LINGER, self.transport.close)

    # --- time ----------------------------------------------------------------------------------

    def _await_head(self) -> None:
        self._arm(self._limits.header_deadline, self._late)

    def _late(self) -> None:
        self._refuse(408, "The request's head did not come in time.")

    def _arm(self, seconds: float, then: Callable[[], None]) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, then)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Unparsed(RequestFault):
    """A request that was refused before it was one."""

    code = "bad_http"


def refusal(status: int, reason: str, target: bytes) -> bytes:
    """A whole answer, in the words of the dialect that `target` belongs to."""
    fault = _Unparsed(reason)
    fault.status = status
    body = msgspec.json.encode(error_document(fault, dialect_of(target.decode("latin-1"))))
    lines = [
        STATUS_LINE[status],
        b"content-type: application/json\r\n",
        b"content-length: %d\r\n" % len(body),
        b"cache-control: no-store\r\n",
        b"x-content-type-options: nosniff\r\n",
        b"retry-after: 1\r\n" if status == 503 else b"",
        b"connection: close\r\n\r\n",
        body,
    ]
    return b"".join(lines)
