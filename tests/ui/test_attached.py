"""The workbench attached to a real server whose answers are written down; and how it offers to be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from npurun_tui.app import WorkbenchApp
from npurun_tui.attach.services import Attachment
from npurun_tui.chat.model import STOPPED
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import ModelBusy
from npurun_tui.screens.attach_offer import AttachScreen
from npurun_tui.screens.attached_models import AttachedModels
from npurun_tui.screens.attached_server import AttachedServer
from npurun_tui.screens.chat import ChatPane
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.screens.server_details import ServerDetailsScreen
from npurun_tui.server.asking import Text
from npurun_tui.server.records import RequestRecord
from npurun_tui.server.tokens import hash_token
from npurun_tui.settings import Settings
from npurun_tui.widgets.row_table import RowTable
from npurun_tui.widgets.safe_input import SafeInput
from npurun_tui.widgets.tab_bar import TabBar
from tests.server.scripted import HELLO, Step, done
from tests.support.attached import There, server_there
from tests.support.server_tab import forever
from tests.support.workbench import NARROW, home_paths, notices, status, until

ENDLESS: tuple[Step, ...] = (Text("Once"), forever, done())


@asynccontextmanager
async def attached(
    tmp_path: Path, script: tuple[Step, ...] = HELLO, token: str = "", **config: Any
) -> AsyncIterator[tuple[Pilot[None], WorkbenchApp, There]]:
    """The workbench, and what it is attached to."""
    async with server_there(tmp_path / "there", script, **config) as there:
        app = WorkbenchApp(
            home_paths(tmp_path / "here"), Settings(), attached=Attachment(there.url, token)
        )
        app.animation_level = "none"
        async with app.run_test(size=NARROW) as pilot:
            yield pilot, app, there


def models(app: WorkbenchApp) -> AttachedModels:
    return app.main.query_one(AttachedModels)


def row(app: WorkbenchApp, key: str) -> list[str]:
    return [cell.text for cell in models(app).table.row(key)]


def note(pane: AttachedModels | AttachedServer) -> str:
    line = pane.query_one("#attached-note", Static)
    return str(line.content) if line.display else ""


# --- what is seen everywhere -----------------------------------------------------------------------


async def test_the_bar_and_the_tabs_say_whose_they_are(tmp_path: Path) -> None:
    async with attached(tmp_path) as (pilot, app, there):
        assert f"attached to {there.where}" in status(app)
        await until(pilot, lambda: "● ready  small" in status(app))
        assert f"npurun-tui at {there.where}" in app.main.query_one(TabBar).render().plain
        await there.control.stop()
        await until(pilot, lambda: "cannot be reached" in status(app))
        assert f"attached to {there.where}" in status(app)


# --- chat --------------------------------------------------------------------------------------


async def test_a_chat_over_http(tmp_path: Path) -> None:
    async with attached(tmp_path) as (pilot, app, there):
        await pilot.press("2")
        pane = app.main.query_one(ChatPane)
        await until(pilot, lambda: pane.session.chat.model == "small")
        assert f"small at {there.where}" in str(app.main.query_one("#chat-title", Static).content)
        await pilot.press(*"Hi", "enter")
        await until(pilot, lambda: len(pane.session.chat.messages) == 2 and not pane.session.busy)
        answer = pane.session.chat.messages[1]
        assert answer.content == "Hello, wörld 🎉"
        assert there.answerer.asks[0].messages[-1].content == "Hi"
        [kept] = await app.services.chats.summaries()
        assert kept.message_count == 2


async def test_an_answer_is_stopped_by_escape(tmp_path: Path) -> None:
    async with attached(tmp_path, ENDLESS) as (pilot, app, there):
        await pilot.press("2")
        pane = app.main.query_one(ChatPane)
        await until(pilot, lambda: pane.session.chat.model == "small")
        await pilot.press(*"Hi", "enter")
        await until(pilot, lambda: pane.session.partial == "Once")
        await pilot.press("escape")
        await until(pilot, lambda: not pane.session.busy)
        assert pane.session.chat.messages[1].outcome == STOPPED
        await until(pilot, lambda: there.answerer.running == 0)


async def test_a_chat_without_the_token_says_what_to_give(tmp_path: Path) -> None:
    async with attached(tmp_path, token="wrong", infer_token=hash_token("right")) as (
        pilot,
        app,
        _,
    ):
        await pilot.press("2")
        await until(pilot, lambda: any("--auth-token" in text for text in notices(app)))
        assert "401" in status(app)


# --- models ------------------------------------------------------------------------------------


async def test_that_machines_models(tmp_path: Path) -> None:
    async with attached(tmp_path) as (pilot, app, there):
        await until(pilot, lambda: models(app).table.keys == ["small", "thinker"])
        await until(pilot, lambda: row(app, "thinker")[4] == "512")
        assert row(app, "small")[1:4] == ["● loaded for ever", "1 kB", "Q4_1"]
        assert row(app, "thinker")[1] == "installed"
        head = models(app).query_one("#attached-head").render()
        assert f"Models of {there.where}" in str(head)


@pytest.mark.parametrize("tab", ["1", "4"])
async def test_the_table_fits_beside_the_help(tmp_path: Path, tab: str) -> None:
    def fits(table: RowTable) -> bool:
        return 2 + sum(column.width + 2 for column in table.columns) <= table.size.width

    async with attached(tmp_path) as (pilot, app, there):
        await pilot.press(tab)
        if tab == "4":
            await until(pilot, lambda: bool(app.main.query(AttachedServer)))
            async with httpx.AsyncClient() as client:
                await client.get(f"{there.url}/api/version")
        table = app.main.pane.query_one(RowTable)
        await until(pilot, lambda: bool(table.keys) and fits(table))
        await pilot.press("f1")
        await until(pilot, lambda: table.size.width < 80 and fits(table))
        await pilot.press("escape")
        await until(pilot, lambda: table.size.width == 80 and len(table.columns) > 3)
        assert fits(table)


async def test_several_pulls_one_of_them_cancelled(tmp_path: Path) -> None:
    async with attached(tmp_path) as (pilot, app, there):
        await until(pilot, lambda: len(models(app).table.keys) == 2)
        for name in ("first", "second", "nonsense"):
            await pilot.press("p")
            await until(pilot, lambda: bool(app.screen.query("#pull-name")))
            app.screen.query_one("#pull-name", SafeInput).value = name
            await pilot.press("enter")
        await until(pilot, lambda: row(app, "pull:second")[1].endswith("40 %"))
        await until(pilot, lambda: row(app, "pull:nonsense")[1] == "✗ failed")
        assert any("No catalog names it" in text for text in notices(app))
        models(app).table.go_to("pull:second")
        await pilot.press("c")
        await until(pilot, lambda: there.shelves.stopped == ["second"])
        models(app).table.go_to("pull:nonsense")
        await pilot.press("c")
        there.shelves.going.set()
        await until(pilot, lambda: models(app).table.keys == ["first", "small", "thinker"])


async def test_pulls_that_run_are_asked_about_before_quitting(tmp_path: Path) -> None:
    async with attached(tmp_path) as (pilot, app, there):
        app.attached.pulls.start("first")  # type: ignore[union-attr]  # it is attached
        await until(pilot, lambda: "pull:first" in models(app).table.keys)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
    assert there.shelves.stopped == ["first"]


async def test_removing_asks_first(tmp_path: Path) -> None:
    async with attached(tmp_path) as (pilot, app, there):
        await until(pilot, lambda: len(models(app).table.keys) == 2)
        models(app).table.go_to("thinker")
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        assert there.shelves.names == ["small", "thinker"]
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: models(app).table.keys == ["small"])
        assert there.shelves.names == ["small"]


async def test_without_the_admins_scope_removing_says_what_to_give(tmp_path: Path) -> None:
    async with attached(
        tmp_path,
        token="infer",
        infer_token=hash_token("infer"),
        admin_token=hash_token("admin"),
    ) as (pilot, app, there):
        await until(pilot, lambda: len(models(app).table.keys) == 2)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: any("admin token" in text for text in notices(app)))
        assert there.shelves.names == ["small", "thinker"]
        await pilot.press("4")
        pane = app.main.query_one(AttachedServer)
        await until(pilot, lambda: "admin token with --auth-token" in note(pane))


# --- the server --------------------------------------------------------------------------------


async def test_that_servers_requests_and_ending_one(tmp_path: Path) -> None:
    async with attached(tmp_path, ENDLESS) as (pilot, app, there):
        await pilot.press("4")
        pane = app.main.query_one(AttachedServer)
        body = {
            "model": "small",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
        }
        async with (
            httpx.AsyncClient(base_url=there.url, verify=False, timeout=20) as client,  # noqa: S501
            client.stream("POST", "/v1/chat/completions", json=body) as answer,
        ):
            await until(pilot, lambda: any(entry.live for entry in pane.entries.values()))
            await until(pilot, lambda: pane.entry is not None and pane.entry.state == "▶ writing")
            assert str(pane.query_one("#attached-access").render()).startswith("no token")
            await pilot.press("x")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            await pilot.press("y")
            rest = b"".join([chunk async for chunk in answer.aiter_raw()])
            assert b"ended here" in rest
        await until(pilot, lambda: any(e.state == "✗ aborted" for e in pane.entries.values()))
        await pilot.press("slash", *"tags")
        await until(pilot, lambda: not any("chat" in e.row.path for e in pane.entries.values()))
        await pilot.press("escape")
        await until(pilot, lambda: any("chat" in e.row.path for e in pane.entries.values()))


def chats(pane: AttachedServer) -> list[str]:
    """What became of the chats, in the table's order."""
    return [entry.state for entry in pane.entries.values() if entry.row.path == "/api/chat"]


async def test_a_flood_there_is_one_row_and_the_order_is_that_of_beginning(tmp_path: Path) -> None:
    async with attached(tmp_path) as (pilot, app, there):
        for number in range(470):
            there.control.log.closed(
                RequestRecord(
                    id=f"chat-{number}",
                    method="POST",
                    path="/api/chat",
                    client="ollama/1",
                    status=200 if number < 250 else 429,
                    began=10.0 + number,
                )
            )
        there.control.log.closed(
            RequestRecord(id="long", path="/api/chat", status=200, outcome="length", began=1.0)
        )
        await pilot.press("4")
        pane = app.main.query_one(AttachedServer)
        whole = ["✗ 429 ×220", *["✓ 200"] * 250, "✓ 200 length"]
        await until(pilot, lambda: chats(pane) == whole)
        for _ in range(3):  # it stays like that: the second look asks for no less than the first
            seen, look = pane.entries, pane._look_now
            look.set()
            await until(pilot, lambda seen=seen: pane.entries is not seen)  # type: ignore[misc]
            assert chats(pane) == whole
        flood = next(key for key, entry in pane.entries.items() if entry.run)
        assert flood == "chat-250"
        while pane.table.cursor_key != flood:
            await pilot.press("down")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ServerDetailsScreen))
        panel = app.screen.query_one("#facts-text", Static)
        await until(pilot, lambda: "220 times" in str(panel.content))
        assert "chat-469" in str(panel.content)
        await pilot.press("escape", "slash", *"429", "enter")
        await until(pilot, lambda: set(chats(pane)) == {"✗ 429"})
        await pilot.press("escape")
        await until(pilot, lambda: chats(pane) == whole)


# --- the offer ---------------------------------------------------------------------------------


@contextmanager
def other_process(home: Path, url: str) -> Iterator[int]:
    """A living process that has left word of a server at `url`."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    path = home_paths(home).beacon
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"url": url, "pid": child.pid, "started": 0}))
    try:
        yield child.pid
    finally:
        child.kill()
        child.communicate()


def here(home: Path, token: str = "") -> WorkbenchApp:
    app = WorkbenchApp(home_paths(home), Settings(), token=token)
    app.animation_level = "none"
    return app


async def test_a_second_workbench_offers_to_attach(tmp_path: Path) -> None:
    async with server_there(tmp_path / "there") as there:
        with other_process(tmp_path / "here", there.url) as pid:
            app = here(tmp_path / "here")
            async with app.run_test(size=NARROW) as pilot:
                await until(pilot, lambda: bool(app.screen.query("#stay:focus")))
                text = str(app.screen.query_one(".dialog-text", Static).content)
                assert there.url in text
                assert f"process {pid}" in text
                await pilot.press("a")
                await until(pilot, lambda: not app.is_running)
    assert app.attach_to is not None
    assert app.attach_to[0] in text


async def test_staying_is_the_default_and_a_model_for_the_npu_is_asked_about_again(
    tmp_path: Path,
) -> None:
    async with server_there(tmp_path / "there") as there:
        with other_process(tmp_path / "here", there.url):
            app = here(tmp_path / "here")
            async with app.run_test(size=NARROW) as pilot:
                await until(pilot, lambda: bool(app.screen.query("#stay:focus")))
                await pilot.press("enter")
                await until(pilot, lambda: not isinstance(app.screen, AttachScreen))
                assert app.attach_to is None
                await app.before_load(ModelSpec("cpu", "llama.cpp", tmp_path))
                asking = app.run_worker(
                    app.before_load(ModelSpec("npu", "genie", tmp_path)), exit_on_error=False
                )
                await until(pilot, lambda: isinstance(app.screen, AttachScreen))
                await pilot.press("a")
                await until(pilot, lambda: asking.is_finished)
                assert isinstance(asking.error, ModelBusy)
    assert app.attach_to is not None


async def test_a_server_with_a_token_is_asked_with_one(tmp_path: Path) -> None:
    async with server_there(tmp_path / "there", infer_token=hash_token("right")) as there:
        with other_process(tmp_path / "here", there.url):
            app = here(tmp_path / "here", "known")
            async with app.run_test(size=NARROW) as pilot:
                await until(pilot, lambda: isinstance(app.screen, AttachScreen))
                await until(pilot, lambda: bool(app.screen.query("#stay:focus")))
                field = app.screen.query_one("#attach-token", SafeInput)
                assert field.value == "known"
                field.value = "right"
                await pilot.press("shift+tab")
                await until(pilot, lambda: field.has_focus)
                await pilot.press("enter")
                await until(pilot, lambda: not app.is_running)
    assert app.attach_to is not None
    assert app.attach_to[1] == "right"


def a_dead_one() -> int:
    """The id of a process that is no more."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    return dead.pid


@pytest.mark.parametrize("of", ["nobody", "this process", "a dead one", "a silent one"])
async def test_nothing_is_offered_where_no_other_server_lives(tmp_path: Path, of: str) -> None:
    path = home_paths(tmp_path).beacon
    path.parent.mkdir(parents=True)
    pid = {"nobody": 0, "this process": os.getpid(), "a dead one": a_dead_one()}.get(
        of, os.getppid()
    )
    if pid:
        path.write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": pid, "started": 0}))
    app = here(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        assert await app._offer_to_attach() is False
        assert not isinstance(app.screen, AttachScreen)
