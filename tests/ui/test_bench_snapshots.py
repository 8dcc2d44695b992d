"""How the Bench tab looks: narrow and wide, at work and at its end, and its dialog boxes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from npurun_tui.app import WorkbenchApp
from npurun_tui.screens.bench import BenchPane
from npurun_tui.screens.bench_compare import BenchCompareScreen
from npurun_tui.screens.bench_details import BenchDetailsScreen
from npurun_tui.screens.bench_export import BenchExportScreen
from npurun_tui.screens.bench_history import BenchHistoryScreen
from npurun_tui.screens.bench_setup import BenchSetupScreen
from npurun_tui.screens.bench_view import BenchView
from npurun_tui.settings import Paths, Settings
from tests.support import bench_scene as scene
from tests.support.bench_scene import Played
from tests.support.workbench import NARROW, until

SnapCompare = Callable[..., bool]
Before = Callable[[Pilot[Any]], Awaitable[None]]
Scene = Callable[[Played], None]

VERY_WIDE = (160, 50)
sizes = pytest.mark.parametrize("size", [NARROW, VERY_WIDE], ids=["80x24", "160x50"])


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same time of day everywhere, and a clock that stands still."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(BenchView, "elapsed", 4.0)
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkbenchApp:
    """Relative folders, since a picture shows them, and a version that stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("npurun_tui.app.__version__", "1.2.3")
    home = Path()
    paths = Paths(home / "models", home / "data", home / "state", home / "config.toml")
    made = WorkbenchApp(paths, Settings())
    played = Played(made.services.bench_history.add)
    made.services.__dict__["bench"] = played
    return made


def working(played: Played) -> None:
    played.begin()
    played.tell(*scene.at_work())


def done(played: Played) -> None:
    played.begin(scene.A, scene.B)
    played.tell(*scene.ended(scene.session(sides=(scene.A, scene.B))))


def nothing(_played: Played) -> None:
    """A first visit."""


def filled(app: WorkbenchApp) -> None:
    """Four benches in the history, one of which was cut short."""
    for index in range(4):
        app.services.bench_history.add(
            replace(
                scene.session(runs=12 + index, slower=0.05 * index),
                id=f"{index:016x}",
                began=scene.BEGAN + index * 4000,
                complete=index != 2,
                reason="The endpoint died." if index == 2 else "",
            )
        )


def shows(what: Scene, *keys: str, theme: str = "", box: type[Any] | None = None) -> Before:
    """Open the tab with this bench; then press `keys`, after which `box` is in front."""

    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, WorkbenchApp)
        app.animation_level = "none"
        if theme:
            app.theme = theme
        await pilot.press("3")
        await until(pilot, lambda: bool(app.main.query(BenchPane)))
        pane = app.main.query_one(BenchPane)
        what(app.services.bench)  # type: ignore[arg-type]  # the one that is played
        await until(pilot, lambda: pane.session is None or len(pane.sections) > 0)
        await until(pilot, lambda: not pane._due)
        for key in keys:
            await pilot.press(key)
        if box is not None:
            await until(pilot, lambda: isinstance(app.screen, box))
            for field in app.screen.query(Input):
                field.cursor_blink = False
        await pilot.pause(0.1)

    return before


@sizes
def test_first_visit(app: WorkbenchApp, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(app, terminal_size=size, run_before=shows(nothing))


@sizes
@pytest.mark.parametrize("theme", ["textual-dark", "textual-light"], ids=["dark", "light"])
def test_at_work(
    app: WorkbenchApp, snap_compare: SnapCompare, size: tuple[int, int], theme: str
) -> None:
    assert snap_compare(app, terminal_size=size, run_before=shows(working, theme=theme))


@sizes
def test_two_sides(app: WorkbenchApp, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(app, terminal_size=size, run_before=shows(done))


@pytest.mark.parametrize("presses", [1, 2, 3], ids=["rate", "first", "none"])
def test_panels(app: WorkbenchApp, snap_compare: SnapCompare, presses: int) -> None:
    before = shows(done, *["p"] * presses)
    assert snap_compare(app, terminal_size=NARROW, run_before=before)


@sizes
def test_set_up(app: WorkbenchApp, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    before = shows(nothing, "e", box=BenchSetupScreen)
    assert snap_compare(app, terminal_size=size, run_before=before)


def test_details(app: WorkbenchApp, snap_compare: SnapCompare) -> None:
    before = shows(done, "down", "d", box=BenchDetailsScreen)
    assert snap_compare(app, terminal_size=NARROW, run_before=before)


@sizes
def test_history(app: WorkbenchApp, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    filled(app)
    opened = shows(nothing, "h", box=BenchHistoryScreen)

    async def before(pilot: Pilot[Any]) -> None:
        await opened(pilot)
        await until(pilot, lambda: len(pilot.app.screen.table.keys) == 4)  # type: ignore[attr-defined]
        await pilot.press("down", "m", "down")
        await pilot.pause(0.1)

    assert snap_compare(app, terminal_size=size, run_before=before)


@sizes
def test_comparison(app: WorkbenchApp, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    filled(app)
    opened = shows(nothing, "h", box=BenchHistoryScreen)

    async def before(pilot: Pilot[Any]) -> None:
        await opened(pilot)
        await until(pilot, lambda: len(pilot.app.screen.table.keys) == 4)  # type: ignore[attr-defined]
        await pilot.press("m", "end", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, BenchCompareScreen))
        await pilot.pause(0.1)

    assert snap_compare(app, terminal_size=size, run_before=before)


def test_export(app: WorkbenchApp, snap_compare: SnapCompare) -> None:
    opened = shows(done, "x", box=BenchExportScreen)

    async def before(pilot: Pilot[Any]) -> None:
        await opened(pilot)
        pilot.app.screen._say("In benches, where no folder is named.")  # type: ignore[attr-defined]
        await pilot.pause(0.1)

    assert snap_compare(app, terminal_size=NARROW, run_before=before)
