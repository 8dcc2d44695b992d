"""The admin's routes: what an attached workbench sees of a server, and how it ends a request there."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from npurun_tui.server.asking import Text
from npurun_tui.server.control import ServerControl
from npurun_tui.server.log import row_of
from npurun_tui.server.records import RequestRecord
from npurun_tui.storage.database import Database
from npurun_tui.storage.requests import RequestTable
from tests.server.scripted import done
from tests.support.server_tab import forever, listening
from tests.support.workbench import home_paths

CHAT = {"model": "small", "messages": [{"role": "user", "content": "a secret"}], "stream": True}
WATCHER = {"User-Agent": "npurun-tui/0.1"}


def client(control: ServerControl, **more: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=control.status.url, timeout=20, verify=False, **more)  # noqa: S501


async def requests(http: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await http.get("/npurun/requests", params=query)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["requests"]
    return found


async def test_requests_on_their_way_and_ended_are_told_without_what_was_said(
    tmp_path: Path,
) -> None:
    async with (
        listening(tmp_path, (Text("Once"), forever, done())) as control,
        client(control) as http,
    ):
        await http.get("/v1/models")
        async with http.stream("POST", "/v1/chat/completions", json=CHAT) as answer:
            chunks = answer.aiter_raw()  # held: what is thrown away hangs up
            await anext(chunks)
            live, ended = await requests(http)
            assert (live["live"], live["phase"], live["model"]) == (True, "decode", "small")
            assert (ended["live"], ended["path"], ended["status"]) == (False, "/v1/models", 200)
            assert "body" not in live
            assert "secret" not in str([live, ended])


async def test_words_and_limits(tmp_path: Path) -> None:
    async with listening(tmp_path) as control, client(control) as http:
        for path in ("/v1/models", "/api/tags", "/api/version"):
            await http.get(path)
        assert [r["path"] for r in await requests(http, words="tags")] == ["/api/tags"]
        assert [r["path"] for r in await requests(http, limit=1)] == ["/api/version"]
        for wrong in ("0", "501", "-1", "²", "x", "1" * 40, ""):
            assert (await http.get(f"/npurun/requests?limit={wrong}")).status_code == 400
        assert (await http.get(f"/npurun/requests?words={'w' * 201}")).status_code == 400


async def ended_by_now(http: httpx.AsyncClient) -> None:
    """Wait until no request is live: an answer's last byte leaves a moment before its request has ended."""
    async with asyncio.timeout(10):
        while any(row["live"] for row in await requests(http)):
            pass


async def test_a_request_is_ended_from_elsewhere(tmp_path: Path) -> None:
    async with (
        listening(tmp_path, (Text("Once"), forever, done())) as control,
        client(control) as http,
        http.stream("POST", "/v1/chat/completions", json=CHAT) as answer,
    ):
        chunks = answer.aiter_raw()
        await anext(chunks)
        [live] = await requests(http)
        ended = await http.post(f"/npurun/requests/{live['request_id']}/abort")
        assert ended.json() == {"aborted": True}
        rest = b"".join([chunk async for chunk in chunks])
        assert b"ended here" in rest
        await ended_by_now(http)
        again = await http.post(f"/npurun/requests/{live['request_id']}/abort")
        assert again.status_code == 404
        [row] = [r for r in await requests(http) if r["path"].endswith("completions")]
        assert row["outcome"] == "aborted here"


@pytest.mark.parametrize("name", ["nothing", "..%2F..", "%00", "a" * 300])
async def test_what_is_no_request_is_not_found(tmp_path: Path, name: str) -> None:
    async with listening(tmp_path) as control, client(control) as http:
        assert (await http.post(f"/npurun/requests/{name}/abort")).status_code in (400, 404)


async def test_the_looks_of_a_workbench_are_neither_kept_nor_counted(tmp_path: Path) -> None:
    async with (
        listening(tmp_path) as control,
        client(control, headers=WATCHER) as watcher,
        client(control) as other,
    ):
        for path in ("/healthz", "/npurun/status", "/npurun/requests"):
            assert (await watcher.get(path)).status_code == 200
        await watcher.get("/npurun/requests?limit=0")
        await other.get("/healthz")
        rows = await asyncio.to_thread(control.log.recent)
        assert [(row.path, row.status) for row in rows] == [
            ("/healthz", 200),
            ("/npurun/requests", 400),
        ]
        standing = (await watcher.get("/npurun/status")).json()
        assert (standing["active"], standing["total"], standing["failed"]) == (0, 2, 1)


def a_dead_one() -> int:
    """The id of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


async def test_the_process_is_told_of_servers_that_live(tmp_path: Path) -> None:
    dead = await asyncio.to_thread(a_dead_one)
    async with listening(tmp_path) as control, client(control) as http:
        await http.get("/v1/models")
        await asyncio.to_thread(control.log.recent)  # written, so that there is a table
        database = Database(home_paths(tmp_path).database)
        rows = [
            replace(row_of(RequestRecord(path=path)), process=process)
            for path, process in (("/living", os.getppid()), ("/dead", dead))
        ]
        await asyncio.to_thread(RequestTable(database).add, rows)
        await asyncio.to_thread(database.close)
        told = {row["path"]: row["process"] for row in await requests(http)}
    assert told == {"/dead": 0, "/living": os.getppid(), "/v1/models": os.getpid()}


async def test_how_the_server_stands(tmp_path: Path) -> None:
    async with listening(tmp_path) as control, client(control) as http:
        counted = asyncio.Event()  # a moment after its answer has arrived
        control.subscribe(lambda status: counted.set() if status.total else None)
        await http.post("/v1/chat/completions", json=CHAT)
        await asyncio.wait_for(counted.wait(), 10)
        found = (await http.get("/npurun/status")).json()
    assert (found["state"], found["model"], found["holder"]) == ("stopped", None, "")
    assert (found["total"], found["prompt_tokens"], found["active"]) == (1, 30, 1)
    assert (found["token"], found["admin_token"], found["max_queue"]) == (False, False, 8)
