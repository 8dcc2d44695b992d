"""A server with Ollama's routes on a real socket: a real store and directory behind it, and scripted answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from npurun_tui.engine.engine import Engine
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.jobs import PullManager
from npurun_tui.models.manifest import Files, Manifest
from npurun_tui.models.store import ModelStore
from npurun_tui.server import ollama
from npurun_tui.server.app import build_app
from npurun_tui.server.binding import bind
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.context import ServerContext
from npurun_tui.server.directory import ModelDirectory
from npurun_tui.server.listening import Listener
from npurun_tui.server.records import RequestRecord
from tests.server.scripted import HELLO, Recorder, Scripted, Step
from tests.support.gguf import build_gguf
from tests.support.pulling import QUICK

TOOLS_TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if tools %}<tool_call>{{ tools | tojson }}{% endif %}"
    "{% if enable_thinking %}<think>{% endif %}</think>"
)


def add_model(
    store: ModelStore,
    name: str,
    *,
    template: str = "",
    architecture: str = "llama",
    context: int = 2048,
    tensor_bytes: int = 4096,
) -> Path:
    """An installed model whose GGUF file is a real one, of some kilobytes."""
    folder = store.root / name
    folder.mkdir(parents=True)
    data = build_gguf(
        template=template, architecture=architecture, context=context, tensor_bytes=tensor_bytes
    )
    (folder / "model.gguf").write_bytes(data)
    Manifest(
        name=name,
        arch=architecture,
        vocab=300,
        context=context,
        quant="Q4_1",
        files=Files(model="model.gguf"),
        backend="llama.cpp",
        licence="Apache-2.0",
        parameters="135M",
    ).write(folder)
    return folder


@dataclass
class Answers(Scripted):
    """As `Scripted`; it also remembers what was loaded and unloaded."""

    stays: list[tuple[str, str, float | None]] = field(default_factory=list)

    async def load(self, model: str, keep_alive: float | None) -> float:
        self.stays.append(("load", model, keep_alive))
        return 12.0

    async def unload(self, model: str) -> None:
        self.stays.append(("unload", model, 0))


@dataclass
class Ended(Recorder):
    """As `Recorder`; a test can wait for a record, which ends after the client has read its answer."""

    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def closed(self, record: RequestRecord) -> None:
        super().closed(record)
        self.told = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def last(self, count: int) -> RequestRecord:
        """The record of the request that was the `count`-th to end."""
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(lambda: len(self.ended) >= count)
        return self.ended[count - 1]


@dataclass
class Site:
    """A running server and what is behind it."""

    url: str
    store: ModelStore
    answerer: Answers
    directory: ModelDirectory
    engine: Engine
    pulls: PullManager
    recorder: Ended
    http: httpx.AsyncClient
    config: ServerConfig

    async def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        """POST JSON."""
        return await self.http.post(path, json=body, **more)

    async def lines(self, path: str, body: Any) -> list[dict[str, Any]]:
        """The objects of a stream, which must be lines and nothing else."""
        response = await self.post(path, body)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.text.endswith("\n")
        return [json.loads(line) for line in response.text.removesuffix("\n").split("\n")]


@asynccontextmanager
async def site(
    root: Path,
    script: Iterable[Step] = HELLO,
    *,
    catalog: Sequence[CatalogEntry] = (),
    config: ServerConfig | None = None,
) -> AsyncIterator[Site]:
    """Ollama's routes over the models in `root`, answered by `script`."""
    store, loop = ModelStore(root), asyncio.get_running_loop()
    engine = Engine(log=root / "engine.log")
    pulls = PullManager(store, policy=QUICK)
    directory = ModelDirectory(store, pulls, engine, loop, lambda: catalog)
    answerer, recorder = Answers(tuple(script)), Ended()
    context = ServerContext(config or ServerConfig(), answerer, directory)
    app = build_app(context, ollama.routes(context), [recorder])
    sockets = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    try:
        async with (
            Listener(context.config.limits, app, sockets, None),
            httpx.AsyncClient(base_url=url, timeout=20) as http,
        ):
            yield Site(
                url, store, answerer, directory, engine, pulls, recorder, http, context.config
            )
    finally:
        for listening in sockets:
            listening.close()
        await directory.aclose()
        await pulls.aclose()
        await engine.aclose()
