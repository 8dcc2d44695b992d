"""The Server tab, with a real server behind it whose answers are written down."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Select, Static

from npurun_tui.app import WorkbenchApp
from npurun_tui.models.store import ModelStore
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.screens.models import ModelsPane
from npurun_tui.screens.server import ServerPane
from npurun_tui.screens.server_connect import ConnectScreen
from npurun_tui.screens.server_details import ServerDetailsScreen
from npurun_tui.screens.server_settings import ServerSettingsScreen
from npurun_tui.screens.server_token import TokenScreen
from npurun_tui.server.asking import Text
from npurun_tui.server.log import RequestLog
from npurun_tui.server.records import RequestRecord
from npurun_tui.server.state import ServerState
from npurun_tui.settings import Remembered
from npurun_tui.text import printable
from tests.server.ollama_site import add_model
from tests.server.scripted import Step, done
from tests.support.server_tab import behind_the_tab, forever
from tests.support.workbench import NARROW, WIDE, home_paths, make_app, status, until

CHAT = {"model": "small", "messages": [{"role": "user", "content": "Hi"}]}
ENDLESS: tuple[Step, ...] = (Text("Once"), forever, done())


@asynccontextmanager
async def opened(
    home: Path, *, size: tuple[int, int] = NARROW, start: bool = True, **config: Any
) -> AsyncIterator[tuple[Pilot[None], WorkbenchApp, ServerPane]]:
    """The tab, with a server on a free port unless told otherwise."""
    app = make_app(home)
    async with app.run_test(size=size) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: bool(app.main.query(ServerPane)))
        pane = app.main.query_one(ServerPane)
        pane.config = replace(pane.config, **{"port": 0, **config})
        if start:
            await pilot.press("s")
            await until(pilot, lambda: pane.running)
        yield pilot, app, pane


def client(pane: ServerPane, **more: Any) -> httpx.AsyncClient:
    """A client of the server that runs."""
    return httpx.AsyncClient(base_url=pane.url, timeout=20, verify=False, **more)  # noqa: S501


def rows(pane: ServerPane) -> list[list[str]]:
    """The texts of the table."""
    return [[cell.text for cell in pane.table.row(key)] for key in pane.table.keys]


def states(pane: ServerPane) -> list[str]:
    """The Status column."""
    return [row[5] for row in rows(pane)]


def head(pane: ServerPane) -> str:
    """The three lines above the table."""
    lines = (pane.query_one(f"#server-{name}") for name in ("state", "access", "work"))
    return "\n".join(line.render().plain for line in lines)  # type: ignore[union-attr]


def note(pane: ServerPane) -> str:
    """The sentence below the plot; empty where it is hidden."""
    line = pane.query_one("#server-note", Static)
    return str(line.content) if line.display else ""


async def confirmed(pilot: Pilot[None], app: WorkbenchApp) -> str:
    """Wait for a question; its text."""
    await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
    return str(app.screen.query_one(".dialog-text", Static).content)


# --- starting and stopping -----------------------------------------------------------------------


async def test_it_starts_answers_is_seen_everywhere_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    async with opened(tmp_path) as (pilot, app, pane):
        port = pane.url.rpartition(":")[2]
        assert f"● running at http://127.0.0.1:{port}" in head(pane)
        assert "no token: every program on this machine may ask" in head(pane)
        assert "this machine only, no TLS" in head(pane)
        await until(pilot, lambda: f"serving :{port}" in status(app))
        await pilot.press("1")
        async with client(pane, headers={"User-Agent": "OpenAI/Python 3.57.0"}) as http:
            answer = await http.post("/v1/chat/completions", json=CHAT)
        assert answer.json()["choices"][0]["message"]["content"] == "Hello, wörld 🎉"
        assert f"serving :{port}" in status(app)
        await pilot.press("4")
        await until(pilot, lambda: states(pane) == ["✓ 200 stop"])
        [row] = rows(pane)
        assert row[1:5] == ["openai (Python)", "openai", "chat/completions", "small"]
        assert row[8:12] == ["30", "10", "5", "100.0"]
        await until(pilot, lambda: "1 request, 30→5 tok" in head(pane))
        await pilot.press("s")
        await until(pilot, lambda: not pane.running and not pane.changing)
        assert "○ stopped" in head(pane)
        await until(pilot, lambda: "serving" not in status(app))
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient() as http:
                await http.get(f"http://127.0.0.1:{port}/")


async def test_a_taken_port_is_a_sentence_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with opened(tmp_path, start=False, port=port) as (pilot, app, pane):
            await pilot.press("s")
            await until(pilot, lambda: "✗ failed" in head(pane))
            assert note(pane) == (
                f"Port {port} on 127.0.0.1 is in use. Choose another port, or end what uses it."
            )
            await until(pilot, lambda: "server failed" in status(app))
            pane.config = replace(pane.config, port=0)
            await pilot.press("s")
            await until(pilot, lambda: pane.running)
            assert note(pane) == ""


async def test_a_certificate_that_cannot_be_read_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    cert = tmp_path / "cert.pem"
    cert.write_text("no certificate")
    async with opened(tmp_path, start=False, tls_cert=cert, tls_key=cert) as (pilot, app, pane):
        await pilot.press("s")
        await until(pilot, lambda: "✗ failed" in head(pane))
        assert "are not a PEM certificate" in note(pane)
        assert app.is_running


async def test_stopping_with_a_request_on_its_way_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answerer = behind_the_tab(monkeypatch, ENDLESS)
    async with opened(tmp_path) as (pilot, app, pane), client(pane) as http:
        asked = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT))
        await until(pilot, lambda: states(pane) == ["▶ writing"])
        await pilot.press("s")
        assert "1 request is on its way" in await confirmed(pilot, app)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is app.main)
        assert pane.running
        await pilot.press("x")
        await confirmed(pilot, app)
        await pilot.press("y")
        await asked
        assert answerer.running == 0


async def test_leaving_with_a_request_on_its_way_asks_and_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    behind_the_tab(monkeypatch, (Text("Once"), lambda: _opened(gate), done()))
    async with opened(tmp_path) as (pilot, app, pane), client(pane) as http:
        asked = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT))
        await until(pilot, lambda: states(pane) == ["▶ writing"])
        await pilot.press("q")
        assert "it answers may finish" in await confirmed(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: "◐ stopping: 1 request may finish" in head(pane))
        assert app.is_running
        gate.set()
        assert (await asked).status_code == 200
        await until(pilot, lambda: not app.is_running)


async def _opened(gate: asyncio.Event) -> None:
    """Wait, on the server's loop, for an event of the test's."""
    while not gate.is_set():  # noqa: ASYNC110 - the event belongs to another loop
        await asyncio.sleep(0.01)


# --- the requests --------------------------------------------------------------------------------


async def test_a_request_can_be_aborted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answerer = behind_the_tab(monkeypatch, ENDLESS)
    async with opened(tmp_path) as (pilot, app, pane), client(pane) as http:
        asked = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT))
        await until(pilot, lambda: states(pane) == ["▶ writing"])
        await pilot.press("x")
        assert "/v1/chat/completions" in await confirmed(pilot, app)
        await pilot.press("y")
        assert (await asked).status_code >= 500
        await until(pilot, lambda: states(pane) == ["✗ aborted"])
        assert answerer.running == 0
        assert pane.check_action("abort", ()) is False


async def test_the_screen_goes_on_while_answers_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch, (*(Text("word ") for _ in range(5000)), done()))
    async with opened(tmp_path) as (pilot, _app, pane), client(pane) as http:
        asked = asyncio.create_task(
            http.post("/v1/chat/completions", json={**CHAT, "stream": True})
        )
        await pilot.press("slash", *"small")
        assert pane.wanted == "small"
        assert (await asked).text.count("word ") == 5000
        await until(pilot, lambda: states(pane) == ["✓ 200 stop"])


async def test_the_cursor_stays_on_its_request_while_others_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    async with opened(tmp_path) as (pilot, _app, pane), client(pane) as http:
        for _ in range(3):
            await http.get("/v1/models")
        await until(pilot, lambda: len(pane.table.keys) == 3)
        assert pane.table.cursor == 0
        await http.get("/v1/models")
        await until(pilot, lambda: len(pane.table.keys) == 4)
        assert pane.table.cursor == 0  # it follows the newest
        await pilot.press("down")
        kept = pane.table.cursor_key
        await http.get("/v1/models")
        await until(pilot, lambda: len(pane.table.keys) == 5)
        assert pane.table.cursor_key == kept
        assert pane.table.cursor == 2
        await pilot.press("home")
        await http.get("/v1/models")
        await until(pilot, lambda: len(pane.table.keys) == 6)
        assert pane.table.cursor == 0


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
async def test_a_flood_of_refusals_is_one_row_that_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    behind_the_tab(monkeypatch)
    log = RequestLog(home_paths(tmp_path).database)
    log.closed(RequestRecord(method="GET", path="/v1/models", status=200, client="curl/8", began=1))
    for number in range(600):
        log.closed(
            RequestRecord(
                id=f"refused-{number}",
                method="POST",
                path="/api/chat",
                client="ollama/1",
                status=429,
                began=2.0 + number,
            )
        )
    await asyncio.to_thread(log.close)
    async with opened(tmp_path, size=size) as (pilot, app, pane):
        await until(pilot, lambda: states(pane) == ["✗ 429 ×600", "✓ 200"])
        assert pane.check_action("abort", ()) is False
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ServerDetailsScreen))
        panel = app.screen.query_one("#facts-text", Static)
        await until(pilot, lambda: "600 times" in str(panel.content))
        assert "refused-599" in str(panel.content)
        assert "and 550 more: the filter 429 shows the newest one by one" in str(panel.content)
        await pilot.press("escape", "slash", *"429", "enter")
        await until(pilot, lambda: len(pane.table.keys) == 200)
        assert set(states(pane)) == {"✗ 429"}
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, ServerDetailsScreen))
        panel = app.screen.query_one("#facts-text", Static)
        await until(pilot, lambda: "refused-598" in str(panel.content))
        assert "times" not in str(panel.content)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: states(pane) == ["✗ 429 ×600", "✓ 200"])


@contextmanager
def another_server(database: Path) -> Iterator[int]:
    """A process that has answered a request, as a server with the same log, and lives on; its id."""
    program = (
        "import sys; from pathlib import Path\n"
        "from npurun_tui.server.log import RequestLog, RequestRecord\n"
        "log = RequestLog(Path(sys.argv[1]))\n"
        "log.closed(RequestRecord(method='POST', path='/api/chat', status=200, client='curl/8'))\n"
        "log.flush(); print('written', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(database)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        yield process.pid
        process.communicate("")


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
async def test_what_another_server_answered_is_marked_and_not_offered_to_abort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    behind_the_tab(monkeypatch)
    database = home_paths(tmp_path).database
    async with opened(tmp_path, size=size) as (pilot, app, pane), client(pane) as http:
        await http.get("/v1/models")
        await until(pilot, lambda: len(rows(pane)) == 1)
        assert "◇" not in rows(pane)[0][0]
        assert "Server" not in [column.title for column in pane.table.columns]
        with ThreadPoolExecutor() as thread:
            other = another_server(database)
            pid = await asyncio.wrap_future(thread.submit(other.__enter__))
            await http.get("/v1/nothing")  # which has the log read again
            await until(pilot, lambda: len(rows(pane)) == 3)
            marked = [(row[3], "◇" in row[0], row[12]) for row in rows(pane)]
            assert marked == [
                ("nothing", False, ""),
                ("chat", True, f"pid {pid}"),
                ("models", False, ""),
            ]
            shown = [column.title for column in pane.table.columns]
            assert ("Server" in shown) is (size == WIDE)
            assert {"Route", "Status"} <= set(shown)
            await pilot.press("down")
            await until(pilot, lambda: pane.entry is not None and bool(pane.entry.server))
            assert pane.check_action("abort", ()) is False
            assert "Abort the request" not in [c.title for c in pane.palette_commands()]
            await pilot.press("d")
            await until(pilot, lambda: isinstance(app.screen, ServerDetailsScreen))
            panel = app.screen.query_one("#facts-text", Static)
            await until(pilot, lambda: f"not this one: pid {pid}" in str(panel.content))
            await pilot.press("escape")
            await asyncio.wrap_future(thread.submit(other.__exit__, None, None, None))
        await http.get("/v1/nothing")
        await until(pilot, lambda: len(rows(pane)) == 4)
        # It has ended: what a workbench answered before its last start is not marked.
        assert [(row[12], "◇" in row[0]) for row in rows(pane)] == [("", False)] * 4


async def test_a_filter_finds_words_and_watchers_are_hidden_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    async with opened(tmp_path) as (pilot, _app, pane), client(pane) as http:
        for path in ("/healthz", "/v1/models", "/v1/nothing", "/api/tags", "/metrics"):
            await http.get(path)
        await until(pilot, lambda: len(pane.table.keys) == 3)
        await pilot.press("slash", *"404")
        await until(pilot, lambda: [row[3] for row in rows(pane)] == ["nothing"])
        await pilot.press("enter", "escape")
        await until(pilot, lambda: len(pane.table.keys) == 3)
        await pilot.press("slash", *"health")
        await until(pilot, lambda: [row[3] for row in rows(pane)] == ["/healthz"])
        await pilot.press("escape")
        await until(pilot, lambda: len(pane.table.keys) == 3)
        assert pane.table.has_focus


async def test_details_follow_a_request_and_copy_it_as_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answerer = behind_the_tab(monkeypatch, ENDLESS)
    async with opened(tmp_path, log_prompts=True) as (pilot, app, pane), client(pane) as http:
        asked = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT))
        await until(pilot, lambda: states(pane) == ["▶ writing"])
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ServerDetailsScreen))
        await until(pilot, lambda: "▶ writing" in facts(app))
        assert "POST /v1/chat/completions" in facts(app)
        await pane._control.abort(pane.table.keys[0])
        await asked
        await until(pilot, lambda: "✗ aborted" in facts(app))
        await until(pilot, lambda: "--data-raw" in facts(app))
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard.startswith("curl"))
        assert f"{pane.url}/v1/chat/completions" in app.clipboard
        assert json.dumps(CHAT["messages"][0], separators=(",", ":")) in app.clipboard
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert answerer.running == 0


def facts(app: WorkbenchApp) -> str:
    """What the details say."""
    return str(app.screen.query_one("#facts-text", Static).content)


async def test_what_a_client_sends_is_plain_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    agent = "[red]evil[/] \u009b31m \u00ad"
    async with opened(tmp_path, size=WIDE) as (pilot, app, pane), client(pane) as http:
        headers = [(b"User-Agent", agent.encode("latin-1"))]
        await http.post("/v1/chat/completions", json={**CHAT, "model": "\x1b[2J"}, headers=headers)
        await until(pilot, lambda: len(pane.table.keys) == 1)
        for cell in rows(pane)[0]:
            assert printable(cell) == cell
        assert rows(pane)[0][1] == "[red]evil["
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ServerDetailsScreen))
        await until(pilot, lambda: "[red]evil[/]" in facts(app))
        assert printable(facts(app)) == facts(app)


async def test_the_log_is_there_in_the_next_run_and_can_be_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    async with opened(tmp_path) as (pilot, app, pane), client(pane) as http:
        await http.get("/v1/models")
    async with opened(tmp_path, start=False) as (pilot, app, pane):
        await until(pilot, lambda: states(pane) == ["✓ 200"])
        pane.forget()
        await confirmed(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: rows(pane) == [])
        empty = pane.query_one("#server-empty", Static)
        assert empty.display
        assert "Press s to start" in str(empty.content)
        await pilot.press("s")
        await until(pilot, lambda: pane.running)
        await until(pilot, lambda: "at the address above" in str(empty.content))
        assert empty.display


# --- setting up ----------------------------------------------------------------------------------


async def edit(pilot: Pilot[None], app: WorkbenchApp) -> ServerSettingsScreen:
    """Open the set-up."""
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.screen, ServerSettingsScreen) and app.screen._ready)
    screen = app.screen
    assert isinstance(screen, ServerSettingsScreen)
    return screen


def fault(screen: ServerSettingsScreen) -> str:
    """What the set-up's line says is wrong."""
    line = screen.query_one("#server-fault", Static)
    return str(line.content) if line.has_class("-fault") else ""


async def test_a_new_token_is_shown_once_and_only_its_hash_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    async with opened(tmp_path, start=False) as (pilot, app, pane):
        screen = await edit(pilot, app)
        screen.query_one("#token", Select).value = "new"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, TokenScreen))
        token = str(app.screen.query_one("#token-0", Static).content)
        assert token.startswith("npt_")
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard == token)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert "token asked, for everything" in head(pane)
        await pilot.press("s")
        await until(pilot, lambda: pane.running)
        async with client(pane) as http:
            assert (await http.get("/v1/models")).status_code == 401
            http.headers["Authorization"] = f"Bearer {token}"
            assert (await http.get("/v1/models")).status_code == 200
        screen = await edit(pilot, app)
        choices = [str(words) for words, _ in screen.query_one("#token", Select)._options]
        assert choices[0] == "one is set, and stays"
    kept = Remembered(home_paths(tmp_path).remembered).get("server")
    assert pane.config.infer_token.hex() in kept
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or token.encode() not in file.read_bytes(), file
    async with opened(tmp_path, start=False) as (pilot, app, pane):
        assert "token asked, for everything" in head(pane)


async def test_no_one_is_let_in_from_elsewhere_by_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    async with opened(tmp_path, start=False) as (pilot, app, pane):
        before = pane.config
        screen = await edit(pilot, app)
        screen.query_one("#bind").value = "0.0.0.0:0"  # type: ignore[attr-defined]
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Other machines can reach 0.0.0.0" in fault(screen))
        assert screen.query_one("#bind").has_focus
        assert pane.config == before
        screen.query_one("#insecure", Select).value = "yes"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is app.main)
        assert pane.config.insecure
        assert "✗ NO TOKEN" in head(pane)
        assert "no TLS: readable on the way" in head(pane)


@pytest.mark.parametrize(
    ("key", "text", "sentence"),
    [
        ("bind", "a b:80", "is not an address to listen on"),
        ("bind", "localhost:99999", "is not an address to listen on"),
        ("max_queue", "many", "Queue must be a whole number"),
        ("keep_alive", "soon", "Keep alive must be seconds"),
        ("tls_cert", "/no/such/file", "TLS needs a certificate and its key"),
        ("allowed_hosts", "good.lan bad/name", "not a host's name"),
        ("cors_origins", "example.org", "wants origins such as"),
        ("cors_origins", "*", "* needs a token"),
    ],
)
async def test_each_field_is_checked_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, text: str, sentence: str
) -> None:
    async with opened(tmp_path, start=False) as (pilot, app, pane):
        before = pane.config
        screen = await edit(pilot, app)
        screen.query_one(f"#{key}").value = text  # type: ignore[attr-defined]
        await pilot.press("ctrl+s")
        await until(pilot, lambda: sentence in fault(screen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert pane.config == before


async def test_changes_of_a_running_server_count_after_the_restart_that_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    async with opened(tmp_path) as (pilot, app, pane):
        for answer, queue in (("n", "3"), ("y", "4")):
            screen = await edit(pilot, app)
            screen.query_one("#max_queue").value = queue  # type: ignore[attr-defined]
            await pilot.press("ctrl+s")
            await confirmed(pilot, app)
            await pilot.press(answer)
            await until(pilot, lambda: app.screen is app.main)
            if answer == "n":
                assert pane.in_force.max_queue == 8
                assert "The set-up was changed" in note(pane)
        await until(pilot, lambda: pane.running and pane.in_force.max_queue == 4)
        await until(pilot, lambda: note(pane) == "")


# --- connecting ----------------------------------------------------------------------------------


async def test_every_clients_text_can_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    async with opened(tmp_path) as (pilot, app, pane):
        monkeypatch.setattr(pane, "_installed", lambda: ["small"])
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ConnectScreen))
        await until(pilot, lambda: app.screen.query_one(OptionList).highlighted == 0)
        for _ in range(app.screen.query_one(OptionList).option_count):
            app.copy_to_clipboard("")
            await pilot.press("y")
            await until(pilot, lambda: bool(app.clipboard))
            assert pane.url in app.clipboard
            await pilot.press("j")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_the_palette_has_what_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_the_tab(monkeypatch)
    async with opened(tmp_path) as (pilot, _app, pane), client(pane) as http:
        await http.get("/v1/models")
        await until(pilot, lambda: len(pane.table.keys) == 1)
        titles = {command.title for command in pane.palette_commands()}
        assert {"Stop the server", "Connect a client", "Copy the request"} <= titles
        assert "Abort the request" not in titles
        assert pane._control.status.state is ServerState.RUNNING


async def test_a_model_that_a_client_copies_shows_in_the_models_tab(tmp_path: Path) -> None:
    add_model(ModelStore(home_paths(tmp_path).models), "small")
    async with opened(tmp_path) as (pilot, app, pane):
        await pilot.press("1")
        models = app.main.query_one(ModelsPane)
        await until(pilot, lambda: "small" in models.state.rows)
        async with client(pane) as http:
            copied = await http.post("/api/copy", json={"source": "small", "destination": "two"})
        assert copied.status_code == 200
        await until(pilot, lambda: "two" in models.state.rows)
