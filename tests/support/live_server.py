"""A real server on a real port, over routes that do as a test wants; and clients that are rude to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from npurun_tui.errors import ContextOverflow, EngineCrashed
from npurun_tui.server.app import ServerApp, build_app
from npurun_tui.server.bodies import read_body
from npurun_tui.server.config import Limits, ServerConfig
from npurun_tui.server.context import ServerContext, record_of
from npurun_tui.server.disconnect import unless_gone
from npurun_tui.server.records import RequestRecord
from npurun_tui.server.routing import Route
from npurun_tui.server.running import RunningServer, Site

QUICK = Limits(
    header_deadline=0.4,
    body_idle=0.4,
    keep_alive=0.4,
    write_stall=0.4,
    shutdown=0.4,
)
"""Deadlines that a test can wait for."""


class Probe(msgspec.Struct):
    """What `/v1/echo` takes."""

    text: str
    count: int = 0


@dataclass
class Seen:
    """What has happened in the server."""

    records: list[RequestRecord] = field(default_factory=list)
    opened: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0
    ended: int = 0
    errors: list[BaseException | None] = field(default_factory=list)


class Observed:
    """An observer that keeps what it is told."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def opened(self, record: RequestRecord) -> None:
        self._seen.opened += 1

    def closed(self, record: RequestRecord) -> None:
        self._seen.records.append(replace(record))


class Probes:
    """Endpoints for tests."""

    def __init__(self, config: ServerConfig, seen: Seen) -> None:
        self._config = config
        self._seen = seen

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/open", self.open, "plain", "open", "open", head=True),
            Route("POST", "/v1/echo", self.echo, "openai", "infer", "echo"),
            Route("POST", "/api/echo", self.echo, "ollama", "infer", "echo"),
            Route("POST", "/api/pictures", self.echo, "ollama", "infer", "echo", large=True),
            Route("POST", "/v1/messages", self.echo, "anthropic", "infer", "echo"),
            Route("POST", "/v1/slow", self.slow, "openai", "infer", "runs until cancelled"),
            Route("POST", "/v1/stream", self.stream, "openai", "infer", "an endless stream"),
            Route("GET", "/v1/models/{id:path}", self.model, "openai", "infer", "its id"),
            Route("GET", "/v1/fault/{kind}", self.fault, "openai", "infer", "fails"),
            Route("DELETE", "/api/delete", self.open, "ollama", "admin", "an admin's"),
        ]

    async def open(self, request: Request) -> Response:
        return PlainTextResponse("open")

    async def echo(self, request: Request) -> Response:
        probe = await read_body(request, Probe, self._config.limits, "openai")
        return Response(msgspec.json.encode(probe), media_type="application/json")

    async def slow(self, request: Request) -> Response:
        await request.body()
        return await unless_gone(request, self._forever())

    async def _forever(self) -> Response:
        self._seen.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self._seen.cancelled += 1
            raise
        return Response()

    async def stream(self, request: Request) -> Response:
        record_of(request).stream = True
        body = json.loads(await request.body() or "{}")
        return StreamingResponse(self._chunks(body.get("size", 10), body.get("pause", 0.0)))

    async def _chunks(self, size: int, pause: float) -> AsyncIterator[bytes]:
        self._seen.started.set()
        try:
            while True:
                yield b"x" * size
                await asyncio.sleep(pause)
        finally:
            self._seen.ended += 1

    async def model(self, request: Request) -> Response:
        return PlainTextResponse(request.path_params["id"])

    async def fault(self, request: Request) -> Response:
        match request.path_params["kind"]:
            case "overflow":
                raise ContextOverflow("The conversation is too long.", mend="Shorten it.")
            case "crash":
                raise EngineCrashed("The engine died.")
            case _:
                raise ValueError("a bug, with a secret in it")


@dataclass
class Live:
    """A server that runs."""

    server: RunningServer
    app: ServerApp
    url: str
    port: int
    seen: Seen
    _clients: list[Raw] = field(default_factory=list)

    async def connect(self) -> Raw:
        """A connection; it is closed at the latest with the server."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._clients.append(Raw(reader, writer))
        return self._clients[-1]

    async def hang_up(self) -> None:
        """Close what a test has left open."""
        for client in self._clients:
            await client.close()

    async def ask(self, head: str, body: bytes = b"") -> Reply:
        """One request on a connection of its own; `head` is without its Host, lines end in `\\n`."""
        return await self.raw(f"{head}\nHost: 127.0.0.1:{self.port}\n\n", body)

    async def raw(self, head: str, body: bytes = b"") -> Reply:
        """Exactly these bytes."""
        raw = await self.connect()
        try:
            await raw.send(head.replace("\n", "\r\n").encode("latin-1") + body)
            return await (raw.head() if head.startswith("HEAD") else raw.reply())
        finally:
            await raw.close()


@dataclass
class Reply:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Raw:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> Reply:
        """Status and headers; the body is left where it is."""
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.strip().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return Reply(int(first.split()[1]), headers, b"")

    async def reply(self) -> Reply:
        async with asyncio.timeout(10):
            reply = await self.head()
            length = int(reply.headers.get("content-length", 0))
            reply.body = await self.reader.readexactly(length) if length else b""
            return reply

    async def end(self, seconds: float = 5) -> bytes:
        """Everything until the server closes; a reset counts as a close."""
        async with asyncio.timeout(seconds):
            try:
                return await self.reader.read(-1)
            except ConnectionError:
                return b""

    async def close(self) -> None:
        self.writer.transport.abort()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Live]:
    """A server with `Probes`; `settings` are `ServerConfig`'s."""
    config = ServerConfig(**{"port": 0, "limits": QUICK, **settings})
    seen = Seen()
    apps: list[ServerApp] = []

    async def build() -> Site:
        context = ServerContext(config, None, None)  # type: ignore[arg-type]  # no probe asks them
        apps.append(build_app(context, Probes(config, seen).routes(), [Observed(seen)]))
        return Site(apps[0], _nothing)

    server = RunningServer(config, build, seen.errors.append)
    url = await server.start()
    live = Live(server, apps[0], url, int(url.rpartition(":")[2]), seen)
    try:
        yield live
    finally:
        await live.hang_up()
        await server.stop()


async def _nothing() -> None:
    """No part has to be closed."""


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for another thread's doing."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.005)
