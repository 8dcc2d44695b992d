"""What the dialect tells of models and does to them: each field as the clients that read it need it."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from npurun_tui import __version__
from npurun_tui.engine.engine import EngineStatus, LoadedModel
from npurun_tui.models.store import ModelStore
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.faults import ContextLength, Unsupported
from npurun_tui.server.tokens import hash_token
from tests.server.ollama_site import TOOLS_TEMPLATE, Site, add_model, site
from tests.support.index_server import Index, pause_after, serve, status
from tests.support.pulling import SOME, assert_installed, only_index, part_size
from tests.support.tiny_model import NAME, TinyModel, build_tiny_model

COPILOT = {"user-agent": "GitHubCopilotChat/0.43.0"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = ModelStore(tmp_path)
    add_model(store, "able", template=TOOLS_TEMPLATE, context=4096)
    add_model(store, "plain", template="{{ messages }}{# .Suffix, no tools #}", context=2048)
    add_model(store, "vectors", architecture="nomic-bert")
    return tmp_path


@pytest.fixture
async def here(root: Path) -> AsyncIterator[Site]:
    async with site(root) as running:
        yield running


def load(here: Site, name: str, place: str = "CPU (llama.cpp)") -> None:
    """Make the engine say that the model is loaded."""
    model = LoadedModel(name, "llama.cpp", 2048, 1.0, place)
    here.engine._status = EngineStatus(model=model)


async def shown(here: Site, name: str, **headers: str) -> dict[str, Any]:
    response = await here.http.post("/api/show", json={"model": name}, headers=headers)
    assert response.status_code == 200
    document: dict[str, Any] = response.json()
    return document


# --- telling -----------------------------------------------------------------------------------


async def test_the_version_is_a_plain_number(here: Site) -> None:
    """Open WebUI makes integers of its parts; Copilot refuses what is below 0.6.4."""
    answer = (await here.http.get("/api/version")).json()
    assert answer == {"version": "0.32.15", "npurun_version": __version__}
    parts = tuple(map(int, re.sub(r"^v|-.*", "", answer["version"]).split(".")))
    assert parts >= (0, 6, 4)
    head = await here.http.head("/api/version")
    assert (head.status_code, head.content) == (200, b"")
    status = (await here.http.get("/api/status")).json()
    assert status == {"cloud": {"disabled": True, "source": "none"}}


async def test_strangers_are_not_told_which_version_of_ours(root: Path) -> None:
    config = ServerConfig(host="0.0.0.0", infer_token=hash_token("infer"))
    async with site(root, config=config) as here:
        assert (await here.http.get("/api/version")).json() == {"version": "0.32.15"}


async def test_tags(here: Site) -> None:
    """`model` beside `name`, or Open WebUI skips it; a digest for each, by which llm-ollama groups."""
    models = (await here.http.get("/api/tags")).json()["models"]
    assert [model["model"] for model in models] == ["able:latest", "plain:latest", "vectors:latest"]
    assert len({model["digest"] for model in models}) == 3
    for model in models:
        assert model["name"] == model["model"]
        assert re.fullmatch(r"[0-9a-f]{64}", model["digest"])
        assert isinstance(model["size"], int)
        assert datetime.fromisoformat(model["modified_at"]).tzinfo is not None
    assert models[0]["capabilities"] == ["completion", "tools", "thinking"]
    assert models[2]["capabilities"] == ["embedding"]
    head = await here.http.head("/api/tags")
    assert (head.status_code, head.content) == (200, b"")


async def test_details_are_texts(here: Site) -> None:
    """parllama checks them with pydantic, strictly."""
    models = (await here.http.get("/api/tags")).json()["models"]
    for details in (
        *(model["details"] for model in models),
        (await shown(here, "able"))["details"],
    ):
        families = details.pop("families")
        assert families == [details["family"]]
        assert set(details) == {
            "parent_model", "format", "family", "parameter_size", "quantization_level",
        }  # fmt: skip
        assert all(isinstance(value, str) for value in details.values())


async def test_what_is_loaded(here: Site) -> None:
    """Open WebUI parses `expires_at`, oterm reads `context_length`, parllama wants every field."""
    assert (await here.http.get("/api/ps")).json() == {"models": []}
    load(here, "able")
    (model,) = (await here.http.get("/api/ps")).json()["models"]
    assert set(model) == {
        "name", "model", "size", "digest", "details", "expires_at", "size_vram", "context_length",
    }  # fmt: skip
    assert (model["model"], model["context_length"], model["size_vram"]) == ("able:latest", 2048, 0)
    assert datetime.fromisoformat(model["expires_at"]).year == 2318  # it stays
    load(here, "able", place="NPU (Genie 1.21.0)")
    (model,) = (await here.http.get("/api/ps")).json()["models"]
    assert model["size_vram"] == model["size"] > 0


async def test_show(here: Site) -> None:
    answer = await shown(here, "able")
    assert set(answer) == {
        "license", "modelfile", "parameters", "template", "system", "renderer", "parser", "details",
        "messages", "model_info", "projector_info", "tensors", "capabilities", "modified_at", "requires",
    }  # fmt: skip
    info = answer["model_info"]
    assert info["general.architecture"] == "llama"
    assert (info["llama.context_length"], info["general.basename"]) == (4096, "able")
    assert info["general.parameter_count"] == 135_000_000
    assert answer["parameters"] == "num_ctx" + " " * 24 + "4096"
    assert answer["license"] == "Apache-2.0"
    assert answer["capabilities"] == ["completion", "tools", "thinking"]
    assert answer["modelfile"].splitlines()[3] == "FROM able"
    # LlamaIndex takes the first of them as the window
    assert next(info[key] for key in info if key.endswith("context_length")) == 4096


async def test_older_clients_name_the_model_by_name(here: Site) -> None:
    """Continue and LiteLLM."""
    for name in ("able", "able:latest"):
        response = await here.post("/api/show", {"name": name, "verbose": True})
        assert response.json()["model_info"]["general.basename"] == "able"
    for wrong in ({}, {"name": None}, {"model": ""}):
        response = await here.post("/api/show", wrong)
        assert (response.status_code, response.json()) == (400, {"error": "model is required"})
    response = await here.post("/api/show", {"model": "absent"})
    assert (response.status_code, response.json()) == (404, {"error": "model 'absent' not found"})


async def test_the_template_says_what_works(here: Site) -> None:
    """LiteLLM looks for "tools" in it, Continue for `.Suffix`."""
    assert "tools" in (await shown(here, "able"))["template"]
    plain = await shown(here, "plain")
    for text in (plain["template"], plain["modelfile"]):
        assert "tools" not in text
        assert ".Suffix" not in text


async def test_copilot_gets_a_window_that_it_can_use(here: Site) -> None:
    """Of exactly 4096 tokens it would leave none for the prompt; it shows the base name."""
    info = (await shown(here, "able:latest", **COPILOT))["model_info"]
    assert (info["llama.context_length"], info["general.basename"]) == (4095, "able:latest")
    info = (await shown(here, "plain", **COPILOT))["model_info"]
    assert info["llama.context_length"] == 2048


# --- vectors -----------------------------------------------------------------------------------


async def test_vectors(here: Site) -> None:
    answer = (await here.post("/api/embed", {"model": "vectors", "input": ["a", "b"]})).json()
    assert answer == {
        "model": "vectors", "embeddings": [[0.6, 0.8], [1.0, 0.0]], "prompt_eval_count": 7
    }  # fmt: skip
    one = (
        await here.post("/api/embed", {"model": "vectors", "input": "a", "dimensions": 1})
    ).json()
    assert one["embeddings"] == [[1.0]]  # cut, and of unit length again
    old = (await here.post("/api/embeddings", {"model": "vectors", "prompt": "a"})).json()
    assert old == {"embedding": [0.6, 0.8]}


async def test_no_text_loads_the_model(here: Site) -> None:
    texts: tuple[dict[str, Any], ...] = ({}, {"input": []}, {"input": None}, {"input": ""})
    for text in texts:
        answer = (await here.post("/api/embed", {"model": "vectors", **text})).json()
        assert answer["embeddings"] == []
    assert (await here.post("/api/embeddings", {"model": "vectors"})).json() == {"embedding": []}
    assert here.answerer.stays == [("load", "vectors", None)] * 5


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"model": "able", "input": "a"}, 400, '"able" does not support embeddings'),
        ({"model": "vectors", "input": 5}, 400, "invalid input type"),
        ({"model": "vectors", "input": ["a", 5]}, 400, "invalid input type"),
        ({"model": "vectors", "input": {"a": 1}}, 400, "invalid input type"),
        ({"model": "vectors", "input": ["a"] * 2001}, 400, "there may be at most 2000 inputs"),
        (
            {"model": "vectors", "input": "a", "dimensions": -1},
            400,
            "dimensions must not be negative",
        ),
        ({"model": "absent", "input": "a"}, 404, "model 'absent' not found"),
    ],
)
async def test_vectors_that_cannot_be(
    here: Site, body: dict[str, Any], status: int, text: str
) -> None:
    response = await here.post("/api/embed", body)
    assert (response.status_code, response.json()) == (status, {"error": text})


async def test_what_the_engine_says_of_vectors(here: Site) -> None:
    unable = "The model makes no embeddings."
    for error, text in (
        (
            ContextLength("too long", needed=0, window=0),
            "the input length exceeds the context length",
        ),
        (Unsupported(unable), unable),
    ):
        here.answerer.embed_error = error
        response = await here.post("/api/embed", {"model": "vectors", "input": "a"})
        assert (response.status_code, response.json()) == (400, {"error": text})


# --- pulling -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> TinyModel:
    return build_tiny_model()


@pytest.fixture
def index(model: TinyModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with serve(model) as server:
        only_index(monkeypatch, server.url)
        yield server


async def test_a_pull_is_told_line_by_line(tmp_path: Path, index: Index, model: TinyModel) -> None:
    """Open WebUI sends `insecure`; ollama-js fails where the last line has no `success`."""
    async with site(tmp_path, catalog=[model.entry]) as here:
        lines = await here.lines("/api/pull", {"name": f"{NAME}:latest", "insecure": True})
        assert lines[0] == {"status": "pulling manifest"}
        assert lines[-1] == {"status": "success"}
        assert_installed(model, here.store)
        whole = await here.post("/api/pull", {"model": NAME, "stream": False})
        assert (whole.status_code, whole.json()) == (200, {"status": "success"})
        record = await here.recorder.last(2)
        assert (record.dialect, record.model, record.stream) == ("ollama", NAME, False)


async def test_a_pull_that_fails(tmp_path: Path, index: Index, model: TinyModel) -> None:
    index.always = status(404)
    async with site(tmp_path, catalog=[model.entry]) as here:
        lines = await here.lines("/api/pull", {"model": NAME})
        assert lines[0] == {"status": "pulling manifest"}
        assert list(lines[-1]) == ["error"]
        assert lines[-1]["error"].startswith("pull model manifest: ")
        whole = await here.post("/api/pull", {"model": NAME, "stream": False})
        assert whole.status_code == 500
        assert whole.json()["error"] == lines[-1]["error"]
        asked = len(index.requests)
        for name, code in (("absent", 404), ("https://127.0.0.1/x", 404), ("../x", 400), ("", 400)):
            for stream in (True, False):
                response = await here.post("/api/pull", {"model": name, "stream": stream})
                assert response.status_code == code
                assert list(response.json()) == ["error"]
        assert len(index.requests) == asked
        for count in range(1, 11):  # the log says why, also where nothing had been streamed yet
            assert (await here.recorder.last(count)).outcome


async def test_a_pull_stops_with_its_client_and_goes_on_with_the_next(
    tmp_path: Path, index: Index, model: TinyModel
) -> None:
    async with site(tmp_path, catalog=[model.entry]) as here:
        for stream in (True, False):
            gate = threading.Event()
            index.faults.append(pause_after(SOME, gate))
            task = asyncio.create_task(here.post("/api/pull", {"model": NAME, "stream": stream}))
            async with asyncio.timeout(10):
                while part_size(here.store, model) < SOME:  # noqa: ASYNC110 - a file tells no one
                    await asyncio.sleep(0.01)
                task.cancel()
                await asyncio.wait({task})
                await here.pulls.wait(NAME)
            assert here.pulls.jobs[NAME].state.value == "paused"
            gate.set()
            assert (await here.lines("/api/pull", {"model": NAME}))[-1] == {"status": "success"}
            here.store.remove(NAME)


# --- deleting and copying ----------------------------------------------------------------------


async def delete(here: Site, body: dict[str, Any]) -> httpx.Response:
    return await here.http.request("DELETE", "/api/delete", json=body)


async def test_deleting(here: Site) -> None:
    response = await delete(here, {"model": "able"})
    assert (response.status_code, response.content) == (200, b"")
    response = await here.post("/api/delete", {"name": "plain:latest"})
    assert (response.status_code, response.json()) == (200, {"status": "deleted"})
    response = await delete(here, {"name": "able"})
    assert (response.status_code, response.json()) == (404, {"error": "model 'able' not found"})
    response = await delete(here, {})
    assert (response.status_code, response.json()) == (400, {"error": "model is required"})
    assert [found.name for found in here.store.scan()[0]] == ["vectors"]


async def test_a_model_at_work_stays(here: Site) -> None:
    load(here, "able")
    async with here.engine.permit("chat"):
        response = await delete(here, {"model": "able"})
        assert response.status_code == 409
        assert "at work" in response.json()["error"]
    assert (await delete(here, {"model": "able"})).status_code == 200
    assert here.engine.status.model is None


async def test_copying(here: Site) -> None:
    body = {"source": "able:latest", "destination": "backup:latest"}
    response = await here.post("/api/copy", body)
    assert (response.status_code, response.content) == (200, b"")
    assert here.store.get("backup")
    response = await here.post("/api/copy", {"source": "absent", "destination": "x"})
    assert (response.status_code, response.json()) == (404, {"error": 'model "absent" not found'})
    for wrong in (
        {}, {"source": "able"}, {"source": "able", "destination": "../x"}, {"source": "able", "destination": "plain"},
    ):  # fmt: skip
        assert (await here.post("/api/copy", wrong)).status_code == 400


# --- what holds for all ------------------------------------------------------------------------


async def test_changes_need_the_admins_token(root: Path) -> None:
    config = ServerConfig(infer_token=hash_token("infer"), admin_token=hash_token("admin"))
    async with site(root, config=config) as here:
        for path, method in (
            ("/api/pull", "POST"), ("/api/copy", "POST"), ("/api/delete", "POST"), ("/api/delete", "DELETE"),
        ):  # fmt: skip
            for token, code in (("", 401), ("infer", 403), ("admin", 400)):
                headers = {"authorization": f"Bearer {token}"} if token else {}
                response = await here.http.request(method, path, json={}, headers=headers)
                assert response.status_code == code
                assert isinstance(response.json()["error"], str)
        version = await here.http.get("/api/version")
        assert version.json() == {"version": "0.32.15", "npurun_version": __version__}
        for path in ("/api/tags", "/api/ps", "/api/status"):
            assert (await here.http.get(path)).status_code == 401
            headers = {"authorization": "Bearer infer"}
            assert (await here.http.get(path, headers=headers)).status_code == 200


async def test_routes_that_are_not_here(here: Site) -> None:
    for method, path, code in (
        ("POST", "/api/create", 501),
        ("POST", "/api/push", 501),
        ("HEAD", "/api/blobs/sha256:00", 501),
        ("POST", "/api/blobs/sha256:00", 501),
        ("POST", "/api/me", 501),
        ("POST", "/api/signout", 501),
        ("DELETE", "/api/user/keys/x", 501),
        ("POST", "/api/experimental/web_search", 501),
        ("GET", "/api/nothing", 404),
        ("GET", "/api/chat", 405),
        ("DELETE", "/api/tags", 405),
    ):
        response = await here.http.request(method, path)
        assert response.status_code == code, path
        if method != "HEAD":
            assert isinstance(json.loads(response.content)["error"], str)
