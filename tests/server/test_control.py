"""The server as the workbench holds it: every part real but the model."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from npurun_tui.commands.serve import _say_request as say_request
from npurun_tui.engine.engine import EngineState, EngineStatus, LoadedModel
from npurun_tui.screens.server_entry import Entry
from npurun_tui.server.asking import Queued, Text
from npurun_tui.server.beacon import Beacon, leave
from npurun_tui.server.binding import CannotServe
from npurun_tui.server.config import Limits, ServerConfig
from npurun_tui.server.control import PAUSE, ServerControl
from npurun_tui.server.faults import EngineFault
from npurun_tui.server.site import Parts
from npurun_tui.server.state import ServerState, ServerStatus
from npurun_tui.server.tokens import hash_token
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings
from tests.server.scripted import Scripted, Shelf
from tests.support.live_server import until

MODEL = LoadedModel("tiny", "llama.cpp", 512, 1.0, "CPU (llama.cpp)")


class Stage:
    """A control over a scripted answerer."""

    def __init__(self, home: Path) -> None:
        self.answerer = Scripted()
        self.engine = EngineStatus()
        self.closed = 0
        paths = Paths(home / "models", home, home, home / "config.toml")
        self.services = Services(paths, Settings())
        self.control = ServerControl(self.services, parts=self._parts)

    def _parts(self, _config: ServerConfig) -> Parts:
        return Parts(self.answerer, Shelf(), lambda: self.engine, self._close)

    async def _close(self) -> None:
        self.closed += 1

    async def start(self, **settings: Any) -> httpx.AsyncClient:
        config = ServerConfig(**{"port": 0, "limits": Limits(shutdown=0.3), **settings})
        await self.control.start(config)
        return httpx.AsyncClient(base_url=self.control.status.url)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    yield made
    await made.control.aclose()
    await made.services.aclose()


CHAT = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}


async def test_from_start_to_stop(stage: Stage) -> None:
    told: list[ServerStatus] = []
    leave = stage.control.subscribe(told.append)
    assert stage.control.status == ServerStatus()
    async with await stage.start() as client:
        status = stage.control.status
        assert status.state is ServerState.RUNNING
        assert status.url.startswith("http://127.0.0.1:")
        for path, body in (
            ("/v1/chat/completions", CHAT),
            ("/v1/messages", {**CHAT, "max_tokens": 5}),
            ("/api/chat", {**CHAT, "stream": False}),
        ):
            assert (await client.post(path, json=body)).status_code == 200
        for path in ("/", "/health", "/healthz", "/metrics", "/openapi.json", "/api/version"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/nothing")).status_code == 404
        await until(lambda: stage.control.status.total == 10)
        assert stage.control.status.failed == 1
        await stage.control.stop()
    leave()
    assert stage.control.status.state is ServerState.STOPPED
    assert stage.control.status.url == ""
    assert stage.closed == 1
    states = list(dict.fromkeys(status.state for status in told))
    assert states == [
        ServerState.STARTING,
        ServerState.RUNNING,
        ServerState.STOPPING,
        ServerState.STOPPED,
    ]
    rows = await asyncio.to_thread(stage.control.log.recent)
    assert len(rows) == 10
    assert {row.dialect for row in rows} == {"openai", "anthropic", "ollama", ""}


async def test_it_can_be_started_again_with_another_setup(stage: Stage) -> None:
    for token in (b"", hash_token("secret")):
        async with await stage.start(infer_token=token) as client:
            answer = await client.get("/v1/models")
            assert answer.status_code == (401 if token else 200)
            await stage.control.stop()


async def test_a_second_start_is_refused_and_harms_nothing(stage: Stage) -> None:
    async with await stage.start() as client:
        with pytest.raises(CannotServe, match="runs already"):
            await stage.control.start(ServerConfig(port=0))
        assert stage.control.status.state is ServerState.RUNNING
        assert (await client.get("/health")).status_code == 200


async def test_a_start_that_fails_says_why_and_can_be_tried_again(stage: Stage) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotServe):
            await stage.control.start(ServerConfig(port=port))
        assert stage.control.status.state is ServerState.FAILED
        assert f"Port {port}" in stage.control.status.reason
    async with await stage.start(port=port) as client:
        assert (await client.get("/health")).status_code == 200


async def test_a_port_that_another_process_of_ours_has_is_told_as_such(stage: Stage) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        beacon = Beacon(f"http://127.0.0.1:{port}", os.getppid(), 1.0)
        leave(stage.services.paths.beacon, beacon)
        with pytest.raises(CannotServe, match=f"{beacon.url} already .process") as caught:
            await stage.control.start(ServerConfig(port=port))
        assert f"--addr {beacon.url}" in caught.value.mend
        assert stage.control.status.reason == str(caught.value)
        leave(stage.services.paths.beacon, Beacon("http://127.0.0.1:1", os.getppid(), 1.0))
        with pytest.raises(CannotServe, match="in use"):
            await stage.control.start(ServerConfig(port=port))


async def test_listeners_are_told_a_few_times_and_at_last_the_truth(stage: Stage) -> None:
    async with await stage.start() as client:
        told: list[ServerStatus] = []
        stage.control.subscribe(told.append)
        began = time.monotonic()
        for _ in range(100):
            await client.get("/health")
        await until(lambda: bool(told) and told[-1].total == 100)
        assert told[-1].active == 0
        assert len(told) <= (time.monotonic() - began) / PAUSE + 1


async def test_a_request_is_aborted_from_the_table(stage: Stage) -> None:
    stage.answerer.script = (asyncio.Event().wait,)
    async with await stage.start() as client:
        request = asyncio.create_task(client.post("/v1/chat/completions", json=CHAT))
        await until(lambda: bool(stage.control.log.live()))
        (record,) = stage.control.log.live()
        await stage.control.abort(record.id)
        answer = await request
        assert answer.status_code == 503
        assert answer.headers["x-should-retry"] == "false"
        assert answer.json()["error"]["code"] == "request_aborted"
        await until(lambda: not stage.control.log.live())
        rows = await asyncio.to_thread(stage.control.log.recent)
        assert rows[0].outcome == "aborted here"
        await stage.control.abort(record.id)


async def test_at_leaving_who_only_waits_is_not_waited_for(stage: Stage) -> None:
    stage.answerer.script = (Queued(1), asyncio.Event().wait)
    async with await stage.start(limits=Limits(shutdown=60)) as client:
        request = asyncio.create_task(client.post("/v1/chat/completions", json=CHAT))
        await until(lambda: [record.phase for record in stage.control.log.live()] == ["queued"])
        async with asyncio.timeout(20):
            await stage.control.stop(waiting=False)
        assert (await request).status_code == 503


async def test_the_chosen_model_is_loaded_before_the_first_request(stage: Stage) -> None:
    loaded: list[str] = []

    async def load(model: str, keep_alive: float | None) -> float:
        loaded.append(model)
        return 0.0

    stage.answerer.load = load  # type: ignore[method-assign]
    async with await stage.start(model="small"):
        await until(lambda: loaded == ["small"])


async def test_a_server_that_ends_by_itself_is_a_failure(stage: Stage) -> None:
    async with await stage.start():
        server = stage.control._server
        assert server is not None
        main = await server.call(_main_task)
        assert server._loop is not None
        server._loop.call_soon_threadsafe(main.cancel)
        await until(lambda: stage.control.status.state is ServerState.FAILED)
        assert "log file" in stage.control.status.reason


async def _main_task() -> asyncio.Task[Any]:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return next(task for task in tasks if "_main" in repr(task.get_coro()))


# --- health ----------------------------------------------------------------------------------------


async def test_the_root_is_ollamas_to_its_clients_and_an_index_to_others(stage: Stage) -> None:
    async with await stage.start() as client:
        for accept in ("*/*", "text/html,*/*;q=0.8", "text/plain"):
            answer = await client.get("/", headers={"Accept": accept})
            assert answer.text == "Ollama is running"
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        head = await client.head("/")
        assert (head.status_code, head.text) == (200, "")
        index = (await client.get("/", headers={"Accept": "application/json"})).json()
        assert index["name"] == "npurun-tui"
        assert "/v1/chat/completions" in index["endpoints"]["openai"]
        assert "/v1/messages" in index["endpoints"]["anthropic"]
        assert "/api/chat" in index["endpoints"]["ollama"]
        assert "/healthz" in index["endpoints"]["health"]


async def test_healthz(stage: Stage) -> None:
    async with await stage.start(max_queue=3) as client:
        health = (await client.get("/healthz")).json()
        assert (health["status"], health["model"], health["auth"]) == (
            "no_model_loaded",
            None,
            False,
        )
        assert health["uptime_seconds"] >= 0
        stage.engine = EngineStatus(
            EngineState.GENERATING, MODEL, holder="HTTP: tiny", waiting=("chat",)
        )
        health = (await client.get("/healthz")).json()
        assert (health["status"], health["model"], health["state"]) == (
            "ready",
            "tiny",
            "generating",
        )
        assert (health["busy"], health["queue"]) == (True, {"waiting": 1, "limit": 3})
        assert health["place"] == "CPU (llama.cpp)"


async def test_metrics_are_behind_the_token_and_health_is_not(stage: Stage) -> None:
    async with await stage.start(infer_token=hash_token("secret")) as client:
        assert (await client.get("/metrics")).status_code == 401
        key = {"Authorization": "Bearer secret"}
        assert (await client.get("/metrics", headers=key)).status_code == 200
        health = (await client.get("/healthz")).json()
        assert health["auth"] is True
        assert "model" in health


def own_address() -> str:
    """An address of this machine that is not loopback; empty where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        return str(probe.getsockname()[0])


@pytest.mark.skipif(not own_address(), reason="this machine has no address but loopback")
async def test_strangers_learn_only_whether_it_is_ready(stage: Stage) -> None:
    stage.engine = EngineStatus(EngineState.READY, MODEL)
    address = own_address()
    async with await stage.start(host="0.0.0.0", infer_token=hash_token("secret")):
        port = stage.control.status.url.rpartition(":")[2]
        async with httpx.AsyncClient(base_url=f"http://{address}:{port}") as stranger:
            assert (await stranger.get("/healthz")).json() == {"status": "ready", "auth": True}
            assert (await stranger.get("/health")).json() == {"status": "ok"}
            assert (await stranger.get("/v1/models")).status_code == 401


@pytest.mark.parametrize(
    ("path", "more"),
    [("/v1/chat/completions", {}), ("/v1/messages", {"max_tokens": 5}), ("/api/chat", {})],
)
async def test_an_answer_that_breaks_off_is_a_failure_though_its_status_was_200(
    stage: Stage, path: str, more: dict[str, Any]
) -> None:
    fault = EngineFault("The engine died.", code="engine_crashed")
    stage.answerer.script = (Text("Hel"), fault)
    async with await stage.start() as client:
        answer = await client.post(path, json={**CHAT, **more, "stream": True})
        assert (answer.status_code, "The engine died." in answer.text) == (200, True)
        await until(lambda: stage.control.status.total == 1)
        assert stage.control.status.failed == 1
        (row,) = await asyncio.to_thread(stage.control.log.recent)
        assert row.outcome == "The engine died."
        assert Entry(row).state == "✗ 200 broken"
        said: list[str] = []
        say_request(row, said.append)
        assert said[0].endswith("The engine died.")
