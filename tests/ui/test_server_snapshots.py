"""How the Server tab looks: narrow and wide, stopped and at work, and its dialog boxes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot

from npurun_tui.app import WorkbenchApp
from npurun_tui.engine.engine import EngineStatus
from npurun_tui.screens import server_view
from npurun_tui.screens.server import ServerPane
from npurun_tui.screens.server_connect import ConnectScreen
from npurun_tui.screens.server_settings import Chosen, ServerSettingsScreen
from npurun_tui.screens.server_token import TokenScreen
from npurun_tui.server.log import RequestLog
from npurun_tui.server.records import RequestRecord
from npurun_tui.server.state import ServerState, ServerStatus
from npurun_tui.settings import Paths, Settings
from tests.support.workbench import NARROW, WIDE, until

SnapCompare = Callable[..., bool]
Before = Callable[[Pilot[None]], Awaitable[None]]

NOW = 1_800_000_000.0
VERY_WIDE = (150, 40)
URL = "http://127.0.0.1:11435"
WORKING = ServerStatus(
    ServerState.RUNNING,
    URL,
    started=NOW - 200,
    active=2,
    total=5,
    failed=2,
    prompt_tokens=2412,
    completion_tokens=613,
)
TAKEN = ServerStatus(
    ServerState.FAILED,
    reason="Port 11435 on 127.0.0.1 is in use. Choose another port, or end what uses it.",
)
CLIENTS = ("OpenAI/Python 3.57.0", "ollama-python/0.6.3 (x86_64 linux)", "curl/8.5.0")

sizes = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same time of day everywhere, and a clock that stands still."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(server_view, "time", SimpleNamespace(time=lambda: NOW))
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Relative folders, since a picture shows them, and a version that stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("npurun_tui.app.__version__", "1.2.3")
    home = Path()
    return Paths(home / "models", home / "data", home / "state", home / "config.toml")


def record(number: int, **values: Any) -> RequestRecord:
    """A chat of one of three clients."""
    openai = number % 3 == 0
    return RequestRecord(
        **{
            "id": f"{number:012x}",
            "began": NOW - 240 + number * 40,
            "peer": "127.0.0.1",
            "client": CLIENTS[number % 3],
            "dialect": "openai" if openai else "ollama",
            "method": "POST",
            "path": "/v1/chat/completions" if openai else "/api/chat",
            "model": "smollm2-135m-instruct",
            "stream": True,
            "request_bytes": 119,
            "body_sha256": "ab" * 32,
            **values,
        }
    )


def ended(number: int, **values: Any) -> RequestRecord:
    """One that was answered."""
    figures: dict[str, Any] = {
        "status": 200, "outcome": "stop", "queue_ms": 1.2, "load_ms": 0.0, "ttft_ms": 81.0 * (number + 1),
        "total_ms": 9000.0 + number * 900, "prompt_tokens": 603, "cached_tokens": 571,
        "completion_tokens": 120 + 40 * number, "decode_tps": 15.5 + number,
    }  # fmt: skip
    return record(number, **{**figures, **values})


def fill(log: RequestLog) -> None:
    """Five requests that have ended, two that are on their way."""
    for one in (
        ended(0),
        ended(1),
        ended(2, status=404, outcome="There is no such model.", ttft_ms=None, prompt_tokens=None,
              cached_tokens=None, completion_tokens=None, decode_tps=None, model="no-such"),
        ended(3, outcome="length", queue_ms=4210.0),
        ended(4, status=499, outcome="client left", decode_tps=None, completion_tokens=None),
    ):  # fmt: skip
        log.opened(one)
        log.closed(one)
    log.opened(record(5, phase="prefill", read=0.4, status=200, began_at=5.0))
    log.opened(record(6, phase="queued", ahead=1, began_at=6.0))


def shows(
    *keys: str, status: ServerStatus | None = None, filled: bool = True, theme: str = ""
) -> Before:
    """Open the tab with this status and these requests; then press `keys`."""

    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, WorkbenchApp)
        app.animation_level = "none"
        if theme:
            app.theme = theme
        await pilot.press("4")
        await until(pilot, lambda: bool(app.main.query(ServerPane)))
        pane = app.main.query_one(ServerPane)
        if filled:
            fill(pane._control.log)
            pane._engine = lambda: EngineStatus(holder=f"{CLIENTS[2]}: m", waiting=("chat",))
        if status is not None:
            pane._control._set(status)
        await until(pilot, lambda: len(pane.table.keys) == (7 if filled else 0))
        await pilot.press(*keys)
        await pilot.pause()

    return before


def boxed(before: Before, kind: type[object]) -> Before:
    """Then wait for a dialog box."""

    async def opened(pilot: Pilot[Any]) -> None:
        await before(pilot)
        await until(pilot, lambda: isinstance(pilot.app.screen, kind))
        await pilot.pause(0.2)
        for field in pilot.app.screen.query("Input"):
            field.cursor_blink = False  # type: ignore[attr-defined]
        await pilot.pause()

    return opened


@sizes
def test_stopped(paths: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    before = shows(filled=False)
    assert snap_compare(WorkbenchApp(paths, Settings()), terminal_size=size, run_before=before)


@pytest.mark.parametrize("theme", ["", "textual-light"], ids=["dark", "light"])
@pytest.mark.parametrize("size", [NARROW, WIDE, VERY_WIDE], ids=["80x24", "120x40", "150x40"])
def test_at_work(
    paths: Paths, snap_compare: SnapCompare, size: tuple[int, int], theme: str
) -> None:
    app = WorkbenchApp(paths, Settings())
    before = shows(status=WORKING, theme=theme)
    assert snap_compare(app, terminal_size=size, run_before=before)


def test_failed(paths: Paths, snap_compare: SnapCompare) -> None:
    app = WorkbenchApp(paths, Settings())
    before = shows(status=TAKEN)
    assert snap_compare(app, terminal_size=NARROW, run_before=before)


def test_filtered(paths: Paths, snap_compare: SnapCompare) -> None:
    app = WorkbenchApp(paths, Settings())

    async def before(pilot: Pilot[Any]) -> None:
        await shows("slash", *"ollama", status=WORKING)(pilot)
        pane = app.main.query_one(ServerPane)
        pane._filter.cursor_blink = False
        await until(pilot, lambda: pane.state.words == "ollama")
        await pilot.pause()

    assert snap_compare(app, terminal_size=NARROW, run_before=before)


@sizes
def test_details(paths: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = WorkbenchApp(paths, Settings())
    before = shows("down", "down", "down", "d", status=WORKING)

    async def opened(pilot: Pilot[Any]) -> None:
        await before(pilot)
        await until(pilot, lambda: "curl" in str(app.screen.query_one("#facts-text").render()))
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=opened)


@sizes
def test_set_up(paths: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = WorkbenchApp(paths, Settings())
    before = boxed(shows("e", status=WORKING), ServerSettingsScreen)
    assert snap_compare(app, terminal_size=size, run_before=before)


@sizes
def test_connect(paths: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = WorkbenchApp(paths, Settings())
    before = boxed(shows("c", status=WORKING), ConnectScreen)

    async def third(pilot: Pilot[Any]) -> None:
        await before(pilot)
        await pilot.press("down", "down")
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=third)


def test_a_new_token(paths: Paths, snap_compare: SnapCompare) -> None:
    app = WorkbenchApp(paths, Settings())

    async def before(pilot: Pilot[Any]) -> None:
        await shows(filled=False)(pilot)
        config = replace(app.main.query_one(ServerPane).config)
        chosen = Chosen(config, "npt_" + "x" * 43, "npt_" + "y" * 43)
        await app.push_screen(TokenScreen(chosen))
        await asyncio.sleep(0)
        await pilot.pause()

    assert snap_compare(app, terminal_size=NARROW, run_before=before)
