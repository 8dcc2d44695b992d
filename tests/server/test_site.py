"""Every route of a whole server, found by itself: none is open that should not be, none builds a path of a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from npurun_tui import __version__
from npurun_tui.engine.engine import EngineStatus
from npurun_tui.server.admin import AdminPages
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.context import ServerContext
from npurun_tui.server.control import ServerControl
from npurun_tui.server.flights import Counts
from npurun_tui.server.health import HealthPages
from npurun_tui.server.log import RequestLog
from npurun_tui.server.metrics import Metrics
from npurun_tui.server.routing import Route
from npurun_tui.server.site import Parts, all_routes
from npurun_tui.server.throttle import TRIES
from npurun_tui.server.tokens import hash_token
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings
from tests.server.scripted import Scripted, Shelf

OPEN = {"/", "/health", "/healthz", "/openapi.json", "/api/version"}
"""All that anybody may ask; each is harmless, and looked at before it is put here."""
ADMIN = {
    "/api/pull",
    "/api/delete",
    "/api/copy",
    "/npurun/status",
    "/npurun/requests",
    "/npurun/requests/{id}/abort",
}
"""All that changes what is on the disk, or concerns other clients."""


def routes() -> list[Route]:
    context = ServerContext(ServerConfig(), Scripted(), Shelf())
    engine = EngineStatus
    log = RequestLog(Path("nothing is written"))
    admin = AdminPages(context.config, log, engine, Counts)
    return all_routes(context, HealthPages(context, engine), Metrics(engine), admin.routes())


ROUTES = [pytest.param(one, id=f"{one.method} {one.path}") for one in routes()]


@asynccontextmanager
async def whole(
    home: Path, *, real: bool = False, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A whole server; `real` has this machine's parts (and no model), else scripted ones."""
    paths = Paths(home / "models", home / "data", home / "state", home / "config.toml")
    services = Services(paths, Settings())

    async def close() -> None:
        """Nothing to close."""

    scripted = Parts(Scripted(), Shelf(), EngineStatus, close)
    control = ServerControl(services, parts=None if real else lambda _: scripted)
    await control.start(replace(ServerConfig(port=0), **settings))
    try:
        async with httpx.AsyncClient(base_url=control.status.url, timeout=20) as client:
            yield client
    finally:
        await control.aclose()
        await services.aclose()


def path_of(route: Route) -> str:
    return route.path.replace("{id:path}", "small").replace("{id}", "abc")


@pytest.mark.parametrize("route", ROUTES)
async def test_no_route_is_reached_past_the_guard(route: Route, tmp_path: Path) -> None:
    async with whole(
        tmp_path, infer_token=hash_token("infer"), admin_token=hash_token("admin")
    ) as client:

        async def status(**headers: str) -> int:
            answer = await client.request(route.method, path_of(route), headers=headers)
            return answer.status_code

        key = {"Authorization": "Bearer admin"}
        assert await status(Host="evil.example", **key) == 403
        assert await status(Origin="https://evil.example", **key) == 403
        assert await status(**{"Sec-Fetch-Site": "cross-site"}, **key) == 403
        assert await status(**{"Content-Encoding": "gzip"}, **key) == 415
        expected = {"open": {200}, "infer": {401}, "admin": {401}}[route.scope]
        assert await status() in expected
        if route.scope == "admin":
            assert await status(Authorization="Bearer infer") == 403


def test_what_is_open_and_what_is_an_admins() -> None:
    assert {route.path for route in routes() if route.scope == "open"} <= OPEN
    assert {route.path for route in routes() if route.scope == "admin"} == ADMIN


HOSTILE = (
    "../../etc/passwd",
    "..",
    "/etc/passwd",
    "a/../../b",
    "..\\..\\b",
    "C:\\windows",
    "\\\\?\\C:\\x",
    "CON",
    "nul",
    "a\x1b[31m",
    "name ",
    "name.",
    "file:stream:x",
    "http://169.254.169.254/latest",
    "https://evil.example/model",
    "x" * 10_000,
    "%2e%2e%2f",
    "",
)


@pytest.mark.parametrize("name", HOSTILE)
async def test_no_name_in_a_request_becomes_a_path_or_an_address(name: str, tmp_path: Path) -> None:
    async with whole(tmp_path, real=True) as client:
        before = sorted(tmp_path.rglob("*"))
        chat = {"model": name, "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
        requests: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/api/show", {"model": name}),
            ("POST", "/api/pull", {"model": name, "stream": False}),
            ("DELETE", "/api/delete", {"model": name}),
            ("POST", "/api/copy", {"source": name, "destination": "x"}),
            ("POST", "/api/copy", {"source": "x", "destination": name}),
            ("POST", "/api/chat", {**chat, "stream": False}),
            ("POST", "/api/generate", {"model": name, "prompt": "x", "stream": False}),
            ("POST", "/api/embed", {"model": name, "input": "x"}),
            ("POST", "/v1/chat/completions", chat),
            ("POST", "/v1/completions", {"model": name, "prompt": "x"}),
            ("POST", "/v1/embeddings", {"model": name, "input": "x"}),
            ("POST", "/v1/responses", {"model": name, "input": "x"}),
            ("POST", "/v1/messages", chat),
        ]
        for method, path, body in requests:
            answer = await client.request(method, path, json=body)
            refused = (400, 404) if name else (400, 404, 503)  # no name means the loaded model
            assert answer.status_code in refused, (path, answer.status_code, answer.text)
            assert str(tmp_path) not in answer.text
            assert "\x1b" not in answer.text
        after = [one for one in sorted(tmp_path.rglob("*")) if one not in before]
        assert {one.name for one in after} <= {
            "data", "state", "models", "npurun-tui.db", "npurun-tui.db-wal", "npurun-tui.db-shm",
            "npurun-tui.db-journal", "engine.log",
        }  # fmt: skip


@pytest.mark.parametrize(
    "path", ["/v1/models/..%2f..%2fetc%2fpasswd", "/v1/models/%00", "/v1/models/C:%5Cx"]
)
async def test_no_path_of_a_url_becomes_one_of_the_disk(path: str, tmp_path: Path) -> None:
    async with whole(tmp_path, real=True) as client:
        answer = await client.get(path)
        assert answer.status_code in (400, 404)


@pytest.mark.parametrize(
    "name", ["absent", "phi-3.5-mini", "absent:latest", "llama3.2:1b", "GPT-4o", "a b", "../x"]
)
async def test_a_model_that_is_not_here_has_one_text(name: str, tmp_path: Path) -> None:
    chat = {"model": name, "messages": [{"role": "user", "content": "x"}], "max_tokens": 5}
    asks = (
        ("/v1/chat/completions", chat),
        ("/v1/completions", {"model": name, "prompt": "x"}),
        ("/v1/responses", {"model": name, "input": "x"}),
        ("/v1/embeddings", {"model": name, "input": "x"}),
        ("/v1/messages", chat),
    )
    async with whole(tmp_path, real=True) as client:
        answers = [await client.get(f"/v1/models/{quote(name, safe='')}")]
        answers += [await client.post(path, json=body) for path, body in asks]
        ollamas = await client.post("/api/chat", json=chat)
    told = {str(answer.url): (answer.status_code, answer.text) for answer in answers}
    assert {status for status, _ in told.values()} == {404}, told
    [text] = {answer.json()["error"]["message"] for answer in answers}
    assert text.startswith(
        f"There is no model called {name.removesuffix(':latest')} on this machine. `npurun-tui "
    )
    known = name not in ("a b", "../x")
    words = f"model '{name}' not found" if known else "invalid model name"
    assert (ollamas.status_code, ollamas.json()["error"]) == (404 if known else 400, words)


def chats(**more: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    base = {
        "model": "small",
        "messages": [{"role": "user", "content": "x"}],
        "stream": False,
        **more,
    }
    yield "/v1/chat/completions", base
    yield "/api/chat", base
    yield "/v1/messages", {**base, "max_tokens": 5}


async def test_messages_and_tools_are_counted(tmp_path: Path) -> None:
    message = {"role": "user", "content": "x"}
    async with whole(tmp_path) as client:
        for path, body in chats(messages=[message] * 2000):
            assert (await client.post(path, json=body)).status_code == 200, path
        for path, body in chats(messages=[message] * 2001):
            assert (await client.post(path, json=body)).status_code == 400, path
        for path, body in chats():
            tool: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {}}}
            if path == "/v1/messages":
                tool = {"name": "f", "input_schema": {"type": "object"}}
            body["tools"] = [tool] * 257
            assert (await client.post(path, json=body)).status_code == 400, path


async def test_nothing_serves_files_or_reads_forms(tmp_path: Path) -> None:
    """CVE-2025-62727 and CVE-2025-54121 in Starlette were in parts that are not used here."""
    ranges = {"Range": "bytes=0-,1-," + "0-0," * 1000 + "-1"}
    form = {"file": ("x", b"x" * 1000)}
    async with whole(tmp_path) as client:
        for route in routes():
            method, path = route.method, path_of(route)
            refused = await client.request(method, path, files=form)
            assert refused.status_code == 415, (method, path)
            if method != "GET":
                continue
            plain, asked = await client.get(path), await client.get(path, headers=ranges)
            assert asked.status_code == plain.status_code != 206, path
            assert not {"content-range", "accept-ranges"} & set(asked.headers), path
            assert asked.headers.get("content-type") == plain.headers.get("content-type"), path


async def test_what_the_guard_answers_is_in_the_document(tmp_path: Path) -> None:
    infer, admin = hash_token("infer"), hash_token("admin")
    tries = {
        "Content-Encoding": ("gzip", 415),
        "Content-Length": ("99999999999", 413),
        "X-Api-Key": ("wrong", 429),
    }
    async with whole(tmp_path, infer_token=infer, admin_token=admin) as client:
        document = (await client.get("/openapi.json")).json()
        for guess in range(TRIES):
            await client.get("/v1/models", headers={"X-Api-Key": f"guess{guess}"})
        asked = [route for route in routes() if route.listed and route.method == "GET"]
        assert len(asked) > 8
        for route in asked:
            told = document["paths"][route.path.replace(":path", "")]["get"]["responses"]
            for name, (value, expected) in tries.items():
                status = await status_of(client, path_of(route), f"{name}: {value}")
                is_open = name == "X-Api-Key" and route.scope == "open"
                assert status == (200 if is_open else expected), (route.path, name)
                assert str(status) in told, (route.path, name)
            assert ("429" in told) == (route.scope != "open"), route.path


async def status_of(client: httpx.AsyncClient, path: str, line: str) -> int:
    """Of a request that has this line in its head, and no body."""
    port = client.base_url.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n".encode())
        return int((await reader.readline()).split()[1])
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", True), ("0.0.0.0", False)])
async def test_the_document_tells_its_version_to_this_machine_only(
    host: str, told: bool, tmp_path: Path
) -> None:
    async with whole(tmp_path, host=host, insecure=True) as client:
        at_home = str(client.base_url.copy_with(host="127.0.0.1", path="/openapi.json"))
        answer = await client.get(at_home)
    assert answer.json()["info"]["version"] == (__version__ if told else "0")
    assert (__version__ in answer.text) == told
