"""The unmodified `ollama` client, sync and async, against a server on a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import ollama
import pytest

from npurun_tui.models.store import ModelStore
from npurun_tui.server.faults import Busy
from tests.server.ollama_site import TOOLS_TEMPLATE, Site, add_model, site
from tests.server.scripted import CALLING, HELLO, THINKING
from tests.support.index_server import Index, pause_after, serve
from tests.support.pulling import SOME, assert_installed, only_index
from tests.support.tiny_model import NAME, TinyModel, build_tiny_model

USER = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OLLAMA_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    store = ModelStore(tmp_path)
    add_model(store, "able", template=TOOLS_TEMPLATE)
    add_model(store, "vectors", architecture="bert")
    return tmp_path


@pytest.fixture
async def here(root: Path) -> AsyncIterator[Site]:
    async with site(root) as running:
        yield running


def weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: its name
    """
    return city


async def test_sync(here: Site) -> None:
    def talk() -> None:
        with ollama.Client(host=here.url) as client:
            ask(client)

    def ask(client: ollama.Client) -> None:
        answer = client.chat("able", USER, options={"temperature": 0}, keep_alive=0.0)
        assert answer.message.content == "Hello, wörld 🎉"
        assert (answer.done_reason, answer.eval_count, answer.prompt_eval_count) == ("stop", 5, 30)
        parts = list(client.chat("able", USER, stream=True))
        assert "".join(part.message.content or "" for part in parts) == "Hello, wörld 🎉"
        assert [part.done for part in parts] == [False, False, True]
        assert client.generate("able", "Hi", system="Be.").response == "Hello, wörld 🎉"
        texts = [part.response for part in client.generate("able", "Hi", stream=True)]
        assert texts == ["Hel", "lo, wörld 🎉", ""]
        assert client.generate("able", keep_alive=0).done_reason == "unload"

    await asyncio.to_thread(talk)
    assert here.answerer.asks[0].keep_alive == 0.0
    assert here.answerer.asks[0].tools == ()


async def test_async(here: Site) -> None:
    async with ollama.AsyncClient(host=here.url) as client:
        answer = await client.chat("able", USER, format="json")
        assert answer.message.content == "Hello, wörld 🎉"
        stream = await client.chat("able", USER, stream=True)
        texts = [part.message.content async for part in stream]
        assert texts == ["Hel", "lo, wörld 🎉", ""]
        pieces = await client.generate("able", "Hi", stream=True, options={"stop": ["x"]})
        assert [part.response async for part in pieces] == ["Hel", "lo, wörld 🎉", ""]
        # Six at once all succeed, as ollama-python never tries again.
        several = await asyncio.gather(*(client.chat("able", USER) for _ in range(6)))
        assert {each.message.content for each in several} == {"Hello, wörld 🎉"}


async def test_models(here: Site) -> None:
    async with ollama.AsyncClient(host=here.url) as client:
        models = (await client.list()).models
        assert [model.model for model in models] == ["able:latest", "vectors:latest"]
        assert models[0].modified_at is not None
        assert models[0].details is not None
        assert models[0].details.family == "llama"
        shown = await client.show("able")
        assert shown.capabilities == ["completion", "tools", "thinking"]
        assert shown.modelinfo is not None
        assert shown.modelinfo["llama.context_length"] == 2048
        assert (await client.ps()).models == []
        assert (await client.copy("able", "backup")).status == "success"
        assert (await client.delete("able")).status == "success"
        assert next(model.model for model in (await client.list()).models) == "backup:latest"
        vectors = await client.embed("vectors", ["a", "b"])
        assert [list(each) for each in vectors.embeddings] == [[0.6, 0.8], [1.0, 0.0]]
        assert list((await client.embeddings("vectors", "a")).embedding) == [0.6, 0.8]
        with pytest.raises(ollama.ResponseError, match="does not support embeddings"):
            await client.embed("backup", "a")


async def test_tools_and_thoughts(root: Path) -> None:
    async with site(root, CALLING) as here, ollama.AsyncClient(host=here.url) as client:
        answer = await client.chat("able", USER, tools=[weather])
        assert answer.message.tool_calls is not None
        functions = [call.function for call in answer.message.tool_calls]
        assert [(each.name, dict(each.arguments)) for each in functions] == [
            ("weather", {"city": "Köln"}),
            ("time", {"zone": "UTC"}),
        ]
        asked = here.answerer.asks[-1].tools[0]["function"]
        assert (asked["name"], asked["parameters"]["required"]) == ("weather", ["city"])
        messages = [
            *USER,
            answer.message,
            {"role": "tool", "tool_name": "weather", "content": "rain"},
        ]
        stream = await client.chat("able", messages, stream=True)
        calls = [call async for part in stream for call in part.message.tool_calls or ()]
        assert len(calls) == 2
        assert here.answerer.asks[-1].messages[1].tool_calls[0].arguments == {"city": "Köln"}
    async with site(root, THINKING) as here, ollama.AsyncClient(host=here.url) as client:
        thought = await client.chat("able", USER, think=True)
        assert (thought.message.thinking, thought.message.content) == ("Hm…", "42")
        assert (await client.generate("able", "Hi", think="high")).thinking == "Hm…"


async def test_errors(root: Path) -> None:
    async with (
        site(root, (Busy("server busy"),)) as here,
        ollama.AsyncClient(host=here.url) as client,
    ):
        with pytest.raises(ollama.ResponseError) as caught:
            await client.chat("able", USER)
        assert (caught.value.status_code, caught.value.error) == (429, "server busy")
        with pytest.raises(ollama.ResponseError, match="server busy"):
            async for _ in await client.chat("able", USER, stream=True):
                pass
        with pytest.raises(ollama.ResponseError) as caught:
            await client.show("absent")
        assert (caught.value.status_code, caught.value.error) == (404, "model 'absent' not found")
        with pytest.raises(ollama.ResponseError) as caught:
            await client.push("able")
        assert caught.value.status_code == 501


@pytest.fixture(scope="module")
def model() -> TinyModel:
    return build_tiny_model()


@pytest.fixture
def index(model: TinyModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with serve(model) as server:
        only_index(monkeypatch, server.url)
        yield server


def _follow_bars(parts: list[ollama.ProgressResponse]) -> None:
    """What the client's own example does with them: a bar for each layer, made at its first total."""
    bars: dict[str, tuple[int, int]] = {}
    for part in parts:
        if part.digest and part.total:
            bars.setdefault(part.digest, (0, part.total))
        if part.completed:
            before, total = bars[part.digest or ""]
            assert before <= part.completed <= total
            bars[part.digest or ""] = part.completed, total
    assert bars
    assert all(done == total for done, total in bars.values())


async def test_two_clients_pull_one_model_and_one_of_them_leaves(
    root: Path, index: Index, model: TinyModel
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))
    async with (
        site(root, HELLO, catalog=[model.entry]) as here,
        ollama.AsyncClient(host=here.url) as stays,
        ollama.AsyncClient(host=here.url) as leaves,
    ):

        async def pull() -> list[ollama.ProgressResponse]:
            return [part async for part in await stays.pull(f"{NAME}:latest", stream=True)]

        whole = asyncio.create_task(pull())
        async with asyncio.timeout(10):
            async with aclosing(await leaves.pull(NAME, stream=True)) as lines:
                async for part in lines:
                    if (part.completed or 0) >= SOME:
                        break
        gate.set()
        parts = await whole
        assert parts[-1].status == "success"
        _follow_bars(parts)
        assert_installed(model, here.store)
        assert index.sent == len(index.data), "it was fetched once for both"


async def test_pulls(root: Path, index: Index, model: TinyModel) -> None:
    async with (
        site(root, HELLO, catalog=[model.entry]) as here,
        ollama.AsyncClient(host=here.url) as client,
    ):
        parts = [part async for part in await client.pull(NAME, stream=True)]
        assert (parts[0].status, parts[-1].status) == ("pulling manifest", "success")
        _follow_bars(parts)
        assert_installed(model, here.store)
        assert (await client.pull(NAME, insecure=True)).status == "success"
        with pytest.raises(ollama.ResponseError, match="pull model manifest"):
            await client.pull("absent")
