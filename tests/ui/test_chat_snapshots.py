"""How the Chat tab looks: narrow and wide, dark and light, empty, filled, with its list and its settings."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from npurun_tui.app import WorkbenchApp
from npurun_tui.chat.library import ChatLibrary
from npurun_tui.chat.model import STOPPED, Chat, ChatSettings, Message
from npurun_tui.engine.transcript import TurnStats
from npurun_tui.screens.chat import ChatPane
from npurun_tui.screens.chat_list import ChatList
from npurun_tui.screens.chat_settings import ChatSettingsScreen
from npurun_tui.settings import Paths, Settings
from tests.support.models import add_cpu_model
from tests.support.workbench import NARROW, WIDE, until

SnapCompare = Callable[..., bool]
Before = Callable[[Pilot[None]], Awaitable[None]]

NOW = 1_800_000_000.0
LIGHT, ANSI = "textual-light", "ansi-dark"
ANSWER = """\
Rayleigh scattering: air scatters **short** wavelengths more than long ones.

1. Sunlight holds every colour.
2. The air scatters blue about *ten times* as much as red.

```python
def scattering(wavelength: float) -> float:
    return wavelength ** -4  # so blue wins
```
"""
STATS = TurnStats(1062, 1024, 38, 128, 210.0, 180.9, 55.2, 2500.0, 1190, 8192)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A home with one model and two chats."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("npurun_tui.app.__version__", "1.2.3")
    home = Path()
    paths = Paths(home / "models", home / "data", home / "state", home / "config.toml")
    monkeypatch.setattr(ChatList, "now", staticmethod(lambda: NOW))
    add_cpu_model(paths.models, "sample-model")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, _fill(paths.database)).result()
    return paths


async def _fill(database: Path) -> None:
    library = ChatLibrary(database)
    older = Chat("sample-model", title="A haiku about rivers, and what became of it")
    older.messages = [Message("user", "Write a haiku."), Message("assistant", "Water", STATS)]
    newer = Chat("sample-model", ChatSettings(system="Be brief.", seed=7), "Why is the sky blue?")
    newer.messages = [
        Message("user", "Why is the sky blue?"),
        Message("assistant", ANSWER, STATS),
        Message("user", "And at sunset?\nIn one sentence."),
        Message("assistant", "Then the light has a longer way", STATS, STOPPED),
    ]
    await library.save(older)
    await library.save(newer)
    await library.aclose()
    with closing(sqlite3.connect(database)) as connection, connection:
        for chat, age in ((older, 3 * 3600), (newer, 5 * 60)):
            connection.execute("UPDATE chat SET updated = ? WHERE id = ?", (NOW - age, chat.id))


def shows(*keys: str, theme: str = "", opened: bool = True, settings: bool = False) -> Before:
    """Open the Chat tab and, unless told otherwise, the newer chat; then press `keys`."""

    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, WorkbenchApp)
        app.animation_level = "none"
        if theme:
            app.theme = theme
        await pilot.press("2")
        await until(pilot, lambda: bool(app.main.query(ChatPane)))
        pane = app.main.query_one(ChatPane)
        await until(pilot, lambda: pane.query_one(ChatList).option_count == 2)
        if opened:
            await pilot.press("ctrl+o", "enter")
            await until(pilot, lambda: len(pane.session.chat.messages) == 4)
        await pilot.press(*keys)
        if settings:
            await until(pilot, lambda: isinstance(app.screen, ChatSettingsScreen))
        for area in app.screen.query(TextArea):
            area.cursor_blink = False
        await pilot.pause()

    return before


sizes = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])


@pytest.mark.parametrize("theme", ["", LIGHT, ANSI], ids=["dark", "light", "ansi"])
@sizes
def test_a_chat(paths: Paths, snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    app = WorkbenchApp(paths, Settings())
    assert snap_compare(app, run_before=shows(theme=theme), terminal_size=size)


@sizes
def test_an_empty_chat(paths: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = WorkbenchApp(paths, Settings())
    assert snap_compare(app, run_before=shows(opened=False), terminal_size=size)


@sizes
def test_the_list(paths: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = WorkbenchApp(paths, Settings())
    assert snap_compare(app, run_before=shows("ctrl+o"), terminal_size=size)


@sizes
def test_the_settings(paths: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = WorkbenchApp(paths, Settings())
    assert snap_compare(app, run_before=shows("ctrl+s", settings=True), terminal_size=size)


@sizes
def test_editing_the_last_message(
    paths: Paths, snap_compare: SnapCompare, size: tuple[int, int]
) -> None:
    app = WorkbenchApp(paths, Settings())
    assert snap_compare(app, run_before=shows("ctrl+t"), terminal_size=size)
