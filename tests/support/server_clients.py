"""Clients of every manner, in a process of their own: polite ones, broken ones, ones that leave, ones that dawdle.

    python -m tests.support.server_clients PORT COUNT SEED MODEL

Prints one JSON object: how many requests of each kind were made, the statuses that came back, and the ids of all
answers that came whole.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

AT_ONCE: Final = 6
"""Requests on their way together, in each process."""

PATIENCE: Final = 60.0
"""Seconds for one answer."""


@dataclass
class Told:
    """What the clients saw."""

    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Answers that were not what they must be."""


class Clients:
    """Makes requests to one server."""

    def __init__(self, port: int, seed: int, model: str) -> None:
        self._port = port
        self._choose = random.Random(seed)  # noqa: S311 - a seed makes a run repeatable
        self._model = model
        self.told = Told()
        self._makers: dict[str, tuple[int, Callable[[], bytes]]] = {
            "chat": (20, lambda: self._chat(stream=False)),
            "chat stream": (20, lambda: self._chat(stream=True)),
            "ollama": (10, lambda: self._ollama(stream=False)),
            "ollama stream": (10, lambda: self._ollama(stream=True)),
            "anthropic": (5, self._anthropic),
            "small": (12, self._small),
            "bad body": (8, self._bad_body),
            "bad head": (3, self._bad_head),
            "leaves": (8, lambda: self._chat(stream=self._choose.random() < 0.5)),
            "dawdles": (4, lambda: self._chat(stream=True)),
        }

    async def run(self, count: int) -> None:
        """`count` requests, `AT_ONCE` at a time."""
        kinds = list(self._makers)
        weights = [weight for weight, _ in self._makers.values()]
        wanted = iter(self._choose.choices(kinds, weights, k=count))

        async def work() -> None:
            for kind in wanted:
                self.told.kinds[kind] += 1
                async with asyncio.timeout(PATIENCE):
                    await self._one(kind, self._makers[kind][1]())

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())

    async def _one(self, kind: str, request: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(request)
            await writer.drain()
            if kind == "leaves":
                await self._leave(reader)
            else:
                await self._answer(kind, reader)
        except ConnectionError:
            self.told.statuses["reset"] += 1
        finally:
            writer.transport.abort() if kind == "leaves" else writer.close()

    async def _leave(self, reader: asyncio.StreamReader) -> None:
        try:
            async with asyncio.timeout(self._choose.random() * 0.2):
                await reader.read(1 << 16)
        except TimeoutError:
            pass
        self.told.statuses["left"] += 1

    async def _answer(self, kind: str, reader: asyncio.StreamReader) -> None:
        data = bytearray()
        size = 64 if kind == "dawdles" else 1 << 16
        while chunk := await reader.read(size):
            data += chunk
            if kind == "dawdles":
                await asyncio.sleep(0.002)
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        status = head[9:12].decode("ascii", "replace")
        self.told.statuses[status or "nothing"] += 1
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"x-request-id: "):
                self.told.ids.append(line[14:].decode())
        if status == "200" and "stream" in kind and b'"error"' not in body:
            self._check_stream(kind, body)

    def _check_stream(self, kind: str, body: bytes) -> None:
        whole = b"[DONE]" in body if kind == "chat stream" else b'"done":true' in body
        if not whole:
            self.told.broken.append(f"{kind}: {body[-200:]!r}")

    # --- requests ------------------------------------------------------------------------------

    def _chat(self, *, stream: bool) -> bytes:
        question = f"Question {self._choose.randrange(20)}: " + "why? " * self._choose.randrange(30)
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": question}],
            "stream": stream,
            "max_tokens": 50,
        }
        return self._post("/v1/chat/completions", json.dumps(body).encode())

    def _ollama(self, *, stream: bool) -> bytes:
        body: dict[str, Any] = {"model": self._model, "stream": stream}
        path = self._choose.choice(("/api/chat", "/api/generate"))
        if path == "/api/chat":
            body["messages"] = [{"role": "user", "content": "Hello."}]
        else:
            body["prompt"] = "Once upon a time"
        return self._post(path, json.dumps(body).encode())

    def _anthropic(self) -> bytes:
        message = {"role": "user", "content": "Hello."}
        body = {"model": self._model, "max_tokens": 20, "messages": [message]}
        return self._post("/v1/messages", json.dumps(body).encode())

    def _small(self) -> bytes:
        path = self._choose.choice(
            (
                "/healthz",
                "/api/tags",
                "/api/version",
                "/v1/models",
                "/api/ps",
                "/metrics",
                "/nothing",
            )
        )
        return self._head("GET", path) + b"\r\n"

    def _bad_body(self) -> bytes:
        path = self._choose.choice(
            ("/v1/chat/completions", "/api/chat", "/v1/messages", "/api/show")
        )
        bodies = (
            b"",
            b"{",
            b"[" * 500 + b"]" * 500,
            b'{"model": 7}',
            b'{"model": "no-such-model", "messages": [{"role": "user", "content": "x"}]}',
            b'{"model": "../../etc", "messages": []}',
            b"\xff\xfe",
            b'{"messages": "no list"}',
        )
        return self._post(path, self._choose.choice(bodies))

    def _bad_head(self) -> bytes:
        return self._choose.choice(
            (
                b"GET / HTTP/1.1\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 40_000 + b"\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
                self._head("DELETE", "/v1/chat/completions") + b"\r\n",
            )
        )

    def _post(self, path: str, body: bytes) -> bytes:
        length = f"Content-Length: {len(body)}\r\n\r\n".encode()
        return self._head("POST", path) + length + body

    def _head(self, method: str, path: str) -> bytes:
        host = f"Host: 127.0.0.1:{self._port}"
        return f"{method} {path} HTTP/1.1\r\n{host}\r\nConnection: close\r\n".encode()


def main() -> None:
    """Run, and print what was seen."""
    port, count, seed, model = sys.argv[1:]
    clients = Clients(int(port), int(seed), model)
    asyncio.run(clients.run(int(count)))
    told = clients.told
    document = {
        "kinds": told.kinds,
        "statuses": told.statuses,
        "ids": told.ids,
        "broken": told.broken,
    }
    print(json.dumps(document))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
