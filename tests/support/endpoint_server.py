"""An endpoint on a real socket that sends exactly the bytes that a test has written, piece by piece, with pauses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Piece = bytes | float | asyncio.Event
"""Bytes to send, seconds to wait, or what is waited for."""


@dataclass
class Reply:
    """What is answered to one path."""

    pieces: Sequence[Piece]
    status: str = "200 OK"
    kind: str = "application/json"
    headers: str = ""
    again: bytes = b""
    """Sent again and again behind the pieces, until the client has left."""


@dataclass
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Endpoint:
    """The server: `replies` by path, of which a list is used up one by one until its last."""

    replies: dict[str, Reply | list[Reply]]
    asked: list[Asked] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """A client has closed its connection before the answer's end."""
    url: str = ""
    _serving: set[asyncio.Task[Any]] = field(default_factory=set)

    def bodies(self, path: str) -> list[Any]:
        """What was posted to `path`."""
        return [each.body for each in self.asked if each.path == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._answer(reader, writer)
        writer.transport.abort() if writer.transport.is_closing() else writer.close()
        self._serving.discard(task)

    async def aclose(self) -> None:
        """End what is still being answered."""
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split()[1]
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        data = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append(Asked(path, headers, json.loads(data) if data else None))
        reply = self._reply(path)
        gone = asyncio.ensure_future(reader.read(1))
        try:
            writer.write(
                f"HTTP/1.1 {reply.status}\r\nContent-Type: {reply.kind}\r\n{reply.headers}"
                "Connection: close\r\n\r\n".encode("latin-1")
            )
            for piece in reply.pieces:
                await self._send(piece, writer, gone)
            while reply.again and not gone.done():
                await self._send(reply.again, writer, gone)
        finally:
            gone.cancel()

    async def _send(
        self, piece: Piece, writer: asyncio.StreamWriter, gone: asyncio.Future[bytes]
    ) -> None:
        if isinstance(piece, bytes):
            writer.write(piece)
            await writer.drain()
            return
        pause = asyncio.sleep(piece) if isinstance(piece, float) else piece.wait()
        waiting: asyncio.Future[Any] = asyncio.ensure_future(pause)
        await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if gone.done():
            self.left.set()
            raise ConnectionError

    def _reply(self, path: str) -> Reply:
        found = self.replies.get(path)
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found or Reply([b'{"error": {"message": "no such page"}}'], "404 Not Found")


@asynccontextmanager
async def endpoint(**replies: Reply | list[Reply]) -> AsyncIterator[Endpoint]:
    """A server; `v1_models=` is the reply to `/v1/models`, `api_chat=` that to `/api/chat`."""
    paths = {
        "chat": "/v1/chat/completions",
        **{name: "/" + name.replace("_", "/", 1) for name in replies if name != "chat"},
    }
    there = Endpoint({paths[name]: reply for name, reply in replies.items()})
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    there.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield there
    finally:
        server.close()
        await there.aclose()
        await server.wait_closed()


# --- what endpoints say ------------------------------------------------------------------------


def reply(document: object) -> Reply:
    """A JSON document."""
    return Reply([json.dumps(document).encode()])


def models(*names: str, owner: str = "somebody") -> Reply:
    """OpenAI's list of models."""
    return reply({"data": [{"id": name, "owned_by": owner} for name in names]})


def event(document: object) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def delta(**said: Any) -> bytes:
    """An event with some of the answer; `timings` stand beside it."""
    more = {"timings": said.pop("timings")} if "timings" in said else {}
    return event({"choices": [{"index": 0, "delta": said, "finish_reason": None}], **more})


def finish(reason: str = "stop") -> bytes:
    """The event that says why an answer ended."""
    return event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


def usage(prompt: object, completion: object, **more: Any) -> bytes:
    """The event with the counts."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, **more}
    return event({"choices": [], "usage": counts})


DONE = b"data: [DONE]\n\n"


def stream(*pieces: Piece) -> Reply:
    """Server-sent events."""
    return Reply(pieces, kind="text/event-stream")


def lines(documents: Iterable[object | float]) -> Reply:
    """Lines of JSON; a number is a pause."""
    pieces: list[Piece] = [
        each if isinstance(each, float) else json.dumps(each).encode() + b"\n" for each in documents
    ]
    return Reply(pieces, kind="application/x-ndjson")
