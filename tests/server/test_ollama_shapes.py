"""What real clients read of the answers, each as its own code does: a row of the client table for each test.

Open WebUI 0.12, VS Code Copilot, Continue, oterm 0.26, parllama 0.10, LiteLLM, LlamaIndex, LangChain and llm-ollama.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pydantic
import pytest

from npurun_tui.engine.engine import EngineStatus, LoadedModel
from npurun_tui.models.store import ModelStore
from npurun_tui.server.asking import Text
from tests.server.ollama_site import TOOLS_TEMPLATE, Site, add_model, site
from tests.server.scripted import done

TOOL = {"type": "function", "function": {"name": "x", "description": "y" * 600, "parameters": {}}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = ModelStore(tmp_path)
    add_model(store, "able", template=TOOLS_TEMPLATE, context=4096)
    add_model(store, "plain", template="{{ messages }}")
    return tmp_path


@pytest.fixture
async def here(root: Path) -> AsyncIterator[Site]:
    async with site(root) as running:
        model = LoadedModel("able", "llama.cpp", 4096, 1.0, "CPU (llama.cpp)")
        running.engine._status = EngineStatus(model=model)
        yield running


async def get(here: Site, path: str) -> Any:
    response = await here.http.get(path)
    assert response.status_code == 200
    return response.json()


async def test_open_webui(here: Site) -> None:
    """`merge_models_lists` keeps what has `model`; the title is asked for while the chat's answer is on its way."""
    merged = {
        each["model"]: each for each in (await get(here, "/api/tags"))["models"] if "model" in each
    }
    loaded = {each["model"]: each for each in (await get(here, "/api/ps"))["models"]}
    assert set(merged) == {"able:latest", "plain:latest"}
    assert set(loaded) <= set(merged)
    assert int(datetime.fromisoformat(loaded["able:latest"]["expires_at"]).timestamp()) > 0
    chat = {
        "model": "able:latest",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "tools": [TOOL] * 28,
        "options": {},
    }
    title = {
        "model": "able:latest",
        "messages": [{"role": "user", "content": "A title?"}],
        "stream": False,
        "options": {"num_predict": 1000},
        "metadata": {"task": "title_generation"},
    }
    headers = {"user-agent": "Python/3.11 aiohttp/3.14", "x-openwebui-user-name": "Jo"}
    first, second = await asyncio.gather(
        here.post("/api/chat", chat, headers=headers), here.post("/api/chat", title)
    )
    text = "".join(json.loads(line)["message"]["content"] for line in first.text.splitlines())
    assert text == second.json()["message"]["content"] == "Hello, wörld 🎉"
    limits = {ask.max_tokens: len(ask.tools) for ask in here.answerer.asks}
    assert limits == {None: 28, 1000: 0}
    # its button for unloading
    unload = {"model": "able:latest", "prompt": "", "keep_alive": 0}
    assert (await here.post("/api/generate", unload)).json()["done_reason"] == "unload"


async def test_copilot(here: Site) -> None:
    """Refuses versions below 0.6.4; a model without `capabilities` is skipped; the window is shared out."""
    agent = {"user-agent": "GitHubCopilotChat/0.43.0"}
    version = [int(part) for part in (await get(here, "/api/version"))["version"].split(".")]
    assert version >= [0, 6, 4]
    budgets = {}
    for model in (await get(here, "/api/tags"))["models"]:
        response = await here.http.post("/api/show", json={"model": model["model"]}, headers=agent)
        shown = response.json()
        info = shown["model_info"]
        window = info[f"{info['general.architecture']}.context_length"]
        output = window // 2 if window < 4096 else 4096
        assert info["general.basename"] == model["model"]
        budgets[model["model"]] = (window - output, "tools" in shown["capabilities"])
    assert budgets == {"able:latest": (2048, True), "plain:latest": (1024, False)}


async def test_continue(root: Path) -> None:
    """Takes `num_ctx` and stops from `parameters`, `.Suffix` for filling in the middle; aborts at each key."""
    waiting = asyncio.Event()

    async def wait() -> None:
        waiting.set()
        await asyncio.sleep(60)

    async with site(root, (wait, Text("Hi"), done())) as here:
        shown = (await here.post("/api/show", {"name": "able"})).json()
        options = {}
        for line in shown["parameters"].splitlines():
            key, _, value = line.partition(" ")
            options[key] = value.strip()
        assert options == {"num_ctx": "4096"}
        assert ".Suffix" not in shown["template"]
        body = {
            "model": "able",
            "prompt": "def f(",
            "raw": True,
            "keep_alive": 1800,
            "options": {"num_ctx": 4096, "num_predict": 64, "stop": ["\n\n"]},
            "stream": True,
        }
        for _ in range(3):
            waiting.clear()
            here.answerer.closed.clear()
            key = asyncio.create_task(here.post("/api/generate", body))
            async with asyncio.timeout(10):
                await waiting.wait()
                key.cancel()
                await here.answerer.closed.wait()
            assert here.answerer.running == 0
        assert here.answerer.asks[-1].keep_alive == 1800


async def test_oterm(here: Site) -> None:
    shown = (await here.post("/api/show", {"model": "able:latest"})).json()
    assert {"tools", "thinking"} <= set(shown["capabilities"])
    assert isinstance(shown["parameters"], str)
    assert (await get(here, "/api/ps"))["models"][0]["context_length"] == 4096


class Details(pydantic.BaseModel):
    """parllama's `ModelDetails`."""

    model_config = pydantic.ConfigDict(strict=True)
    parent_model: str
    format: str
    family: str
    families: list[str] | None
    parameter_size: str
    quantization_level: str


class Listed(pydantic.BaseModel):
    """parllama's `Model`."""

    name: str
    model: str
    modified_at: datetime
    size: int
    digest: str
    details: Details


class Running(pydantic.BaseModel):
    """parllama's `ModelListItem` of `/api/ps`."""

    name: str
    model: str
    size: int
    digest: str
    details: Details
    expires_at: datetime
    size_vram: int


class Shown(pydantic.BaseModel):
    """parllama's `ModelShowPayload`."""

    modelfile: str
    template: str
    details: Details
    model_info: dict[str, Any]


async def test_parllama(here: Site) -> None:
    """Every field is checked with pydantic."""
    assert len([Listed(**each) for each in (await get(here, "/api/tags"))["models"]]) == 2
    assert len([Running(**each) for each in (await get(here, "/api/ps"))["models"]]) == 1
    assert Shown(**(await here.post("/api/show", {"model": "able"})).json())


async def test_litellm(here: Site) -> None:
    """No content type, a prompt made flat, empty pictures; "tools" in the template is the ability to call them."""
    body = {
        "model": "plain",
        "prompt": "### User:\nHi\n\n",
        "options": {"temperature": 0.2},
        "stream": False,
        "images": [],
    }
    response = await here.http.post("/api/generate", content=json.dumps(body).encode())
    assert response.request.headers.get("content-type") is None
    assert response.json()["response"] == "Hello, wörld 🎉"
    templates = {
        name: (await here.post("/api/show", {"name": name})).json()["template"]
        for name in ("able", "plain")
    }
    assert ["tools" in template for template in templates.values()] == [True, False]


async def test_llama_index(here: Site) -> None:
    """The first key that ends in `context_length` is the window; options come with nulls."""
    info = (await here.post("/api/show", {"model": "able"})).json()["model_info"]
    window = next(value for key, value in info.items() if key.endswith("context_length"))
    body = {
        "model": "able",
        "messages": [{"role": "user", "content": "Hi"}],
        "options": {"temperature": None, "num_ctx": window},
        "stream": False,
        "format": "",
        "tools": None,
        "keep_alive": "5m",
    }
    assert (await here.post("/api/chat", body)).status_code == 200


async def test_langchain(here: Site) -> None:
    """A name is right where it is one of the list, or what stands before the colon of one."""
    listed = [each["model"] for each in (await get(here, "/api/tags"))["models"]]
    assert any(name == "able" or name.startswith("able:") for name in listed)


async def test_llm_ollama(here: Site) -> None:
    """Groups models by digest, and registers those that can `completion`."""
    groups = defaultdict(list)
    for model in (await get(here, "/api/tags"))["models"]:
        groups[model["digest"]].append(model["model"])
    assert sorted(map(len, groups.values())) == [1, 1]
    for names in groups.values():
        shown = (await here.post("/api/show", {"model": names[0]})).json()
        assert "completion" in shown["capabilities"]
