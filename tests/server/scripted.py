"""A server whose answers are written down: what the dialects make of events, without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from npurun_tui.engine.messages import ToolCall
from npurun_tui.engine.transcript import TurnStats
from npurun_tui.server import anthropic, openai
from npurun_tui.server.app import build_app
from npurun_tui.server.asking import Answerer, Ask, Call, Done, Embeddings, Event, Text, Thought
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.context import ModelCard, RunningModel, ServerContext
from npurun_tui.server.faults import UnknownModel
from npurun_tui.server.records import RequestRecord

STATS = TurnStats(
    prompt_tokens=30,
    cached_tokens=10,
    prefilled_tokens=20,
    completion_tokens=5,
    ttft_ms=40.0,
    prefill_tps=500.0,
    decode_tps=100.0,
    total_ms=80.0,
    occupancy=35,
    context_size=512,
)

Step = Event | BaseException | Callable[[], Any]
"""An event, what is raised, or something to be awaited."""


def done(reason: Any = "stop", **more: Any) -> Done:
    """An end."""
    return Done(reason, STATS, **more)


def call(name: str = "weather", arguments: dict[str, Any] | None = None, index: int = 0) -> Call:
    """A tool call."""
    return Call(index, ToolCall(name, arguments or {"city": "Köln"}, f"call_{index}"))


HELLO: tuple[Step, ...] = (Text("Hel"), Text("lo, wörld 🎉"), done())
THINKING: tuple[Step, ...] = (Thought("Hm"), Thought("…"), Text("42"), done())
CALLING: tuple[Step, ...] = (call(), call("time", {"zone": "UTC"}, 1), done("tool_calls"))


@dataclass
class Scripted:
    """`Answerer` that follows a script and remembers what it was asked."""

    script: Sequence[Step] = HELLO
    asks: list[Ask] = field(default_factory=list)
    running: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when an answer has ended, in whatever way."""
    vectors: tuple[tuple[float, ...], ...] = ((0.6, 0.8), (1.0, 0.0))
    embedded: tuple[str, ...] = ()
    embed_error: Exception | None = None

    async def answer(self, ask: Ask, request_id: str = "") -> AsyncIterator[Event]:
        self.asks.append(ask)
        self.running += 1
        try:
            for step in self.script:
                if isinstance(step, BaseException):
                    raise step
                if callable(step):
                    await step()
                else:
                    yield step
        finally:
            self.running -= 1
            self.closed.set()

    async def load(self, model: str, keep_alive: float | None) -> float:
        return 0.0

    async def unload(self, model: str) -> None:
        pass

    async def embed(
        self, model: str, texts: tuple[str, ...], *, truncate: bool, keep_alive: float | None
    ) -> Embeddings:
        self.embedded = texts
        if self.embed_error is not None:
            raise self.embed_error
        return Embeddings(self.vectors[: len(texts)], 7)


def card(name: str, *, context: int = 512) -> ModelCard:
    """A model."""
    return ModelCard(
        name=name,
        digest="ab" * 32,
        size=1000,
        modified=1_700_000_000.5,
        backend="llama.cpp",
        family="llama",
        parameter_size="135M",
        quantisation="Q4_1",
        format="gguf",
        context=context,
        embedding_length=64,
        vocabulary=49152,
        capabilities=("completion", "tools", *(["thinking"] if "think" in name else [])),
        template="{{ messages }}",
    )


@dataclass
class Shelf:
    """`Directory` of three models."""

    names: tuple[str, ...] = ("small", "qwen/three:4b", "thinker")

    async def cards(self) -> Sequence[ModelCard]:
        return [card(name) for name in self.names]

    async def card(self, name: str) -> ModelCard:
        if name not in self.names:
            raise UnknownModel(f"The model {name} is not installed.", param="model")
        return card(name)

    async def running(self) -> Sequence[RunningModel]:
        return [RunningModel(card("small"), 512, 1000, None, "CPU")]

    def pull(self, name: str) -> AsyncIterator[dict[str, Any]]:
        raise NotImplementedError

    async def delete(self, name: str) -> None:
        raise NotImplementedError

    async def copy(self, source: str, destination: str) -> None:
        raise NotImplementedError


@dataclass
class Recorder:
    """Keeps the records of requests."""

    open: list[RequestRecord] = field(default_factory=list)
    ended: list[RequestRecord] = field(default_factory=list)

    def opened(self, record: RequestRecord) -> None:
        self.open.append(record)

    def closed(self, record: RequestRecord) -> None:
        self.ended.append(record)


@dataclass
class Served:
    """A running server and what is behind it."""

    url: str
    answerer: Scripted
    recorder: Recorder
    http: httpx.AsyncClient

    async def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        """POST JSON."""
        return await self.http.post(path, json=body, **more)


@asynccontextmanager
async def served(
    script: Iterable[Step] = HELLO, *, instead: Answerer | None = None
) -> AsyncIterator[Served]:
    """OpenAI's and Anthropic's routes on a real socket, answered by `script`, or by the real part `instead`."""
    answerer, recorder = Scripted(tuple(script)), Recorder()
    context = ServerContext(ServerConfig(), instead or answerer, Shelf())
    app = build_app(context, [*openai.routes(context), *anthropic.routes(context)], [recorder])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()  # without the loop around it, whose ticks a test would wait for
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"  # plain HTTP: certificates would only take time to load
        async with httpx.AsyncClient(base_url=url, timeout=20, verify=False) as http:  # noqa: S501
            yield Served(url, answerer, recorder, http)
    finally:
        await server.shutdown()
