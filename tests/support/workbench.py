"""The workbench for Pilot tests: a home of its own, and waiting for what the screen should show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Static

from npurun_tui.app import WorkbenchApp
from npurun_tui.screens.models import ModelsPane
from npurun_tui.settings import Paths, Settings
from npurun_tui.widgets.row_table import RowTable
from npurun_tui.widgets.status_bar import StatusBar

NARROW = (80, 24)
WIDE = (120, 40)


def home_paths(home: Path) -> Paths:
    """Everything below `home`."""
    return Paths.resolve({"NPURUN_TUI_HOME": str(home)})


def make_app(
    home: Path, settings: Settings | None = None, model: str | None = None
) -> WorkbenchApp:
    """The workbench over `home`, without animations."""
    app = WorkbenchApp(home_paths(home), settings or Settings(), model=model)
    app.animation_level = "none"
    return app


async def until(pilot: Pilot[None], condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Let the app run until `condition` holds; the test fails when it never does.

    Only then is every widget waited for: to ask all of them at each look costs more than what is looked for.
    """
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
            if condition():
                await pilot.pause(0)


async def burst(pilot: Pilot[None], *keys: str) -> None:
    """Press keys as one read of a terminal brings them: the second is there before the first is done with."""
    for key in keys:
        event = Key(key, key if len(key) == 1 else None)
        event.set_sender(pilot.app)
        pilot.app.post_message(event)
    await pilot.pause()


def pane(app: WorkbenchApp) -> ModelsPane:
    """The Models tab."""
    return app.main.query_one(ModelsPane)


def table(app: WorkbenchApp) -> RowTable:
    """Its table."""
    return app.main.query_one(RowTable)


def is_filled(app: WorkbenchApp) -> bool:
    """The Models tab is there with its rows and the runtime's line."""
    rows = bool(app.main.query(RowTable)) and len(table(app).keys) > 0
    return rows and bool(runtime_line(app))


def runtime_line(app: WorkbenchApp) -> str:
    """What the Models tab says of the NPU's runtime."""
    return str(app.main.query_one("#runtime", Static).content)


def cells(app: WorkbenchApp, name: str) -> list[str]:
    """The plain texts of a model's row."""
    return [cell.text for cell in table(app).row(name)]


def details(app: WorkbenchApp) -> str:
    """What the details panel says."""
    return str(app.main.query_one("#facts-text", Static).content)


def status(app: WorkbenchApp) -> str:
    """What the status bar says."""
    return app.main.query_one(StatusBar).render().plain


def notices(app: WorkbenchApp) -> list[str]:
    """The notices on the screen, oldest first."""
    return [notice.message for notice in app._notifications]
