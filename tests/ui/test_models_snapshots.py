"""How the Models tab looks: narrow and wide, dark and light, in every state that a person meets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from npurun_tui.app import WorkbenchApp
from npurun_tui.models.catalog import CATALOG
from npurun_tui.models.jobs import PullJob
from npurun_tui.models.layout import PART
from npurun_tui.models.pull import Phase, PullProgress
from npurun_tui.settings import Paths, Settings
from tests.support.models import add_broken_model, add_cpu_model, add_npu_model
from tests.support.workbench import NARROW, WIDE, is_filled, pane, table, until

SnapCompare = Callable[..., bool]
Before = Callable[[Pilot[None]], Awaitable[None]]

LIGHT = "textual-light"
NAME = CATALOG[0].name


class Halfway(PullJob):
    """A pull that stands still at figures that a picture can be compared with."""

    speed = 11_200_000.0
    eta = 4.7


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Relative folders, since a picture shows them, and a version that stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("npurun_tui.app.__version__", "1.2.3")
    home = Path()
    return Paths(home / "models", home / "data", home / "state", home / "config.toml")


@pytest.fixture
def filled(paths: Paths) -> Paths:
    """A few models of each kind."""
    add_npu_model(paths.models, "llama-3.2-3b-instruct", size=2_100_000)
    add_npu_model(paths.models, "phi-4-mini-instruct", size=2_900_000)
    add_cpu_model(paths.models, "qwen3-0.6b", size=480_000, context=32_768)
    add_broken_model(paths.models, "half-copied")
    return paths


def shows(theme: str = "", *keys: str, cursor: str = "", pulling: bool = False) -> Before:
    """Bring the app to what is to be seen, in the order: theme, pull, cursor, keys."""

    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, WorkbenchApp)
        app.animation_level = "none"
        if theme:
            app.theme = theme
        await until(pilot, lambda: is_filled(app))
        if pulling:
            job = Halfway(CATALOG[0], force=False)
            job.progress = PullProgress(Phase.DOWNLOADING, 40_200_000, CATALOG[0].download_size)
            app.services.pulls._jobs[NAME] = job
            app.services.pulls._tell(job)
            pane(app)._redraw_now()
        if cursor:
            table(app).go_to(cursor)
        await pilot.press(*keys)
        await pilot.pause()

    return before


@pytest.mark.parametrize("theme", ["", LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
def test_models(
    filled: Paths, snap_compare: SnapCompare, size: tuple[int, int], theme: str
) -> None:
    app = WorkbenchApp(filled, Settings())
    assert snap_compare(app, terminal_size=size, run_before=shows(theme))


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
def test_no_model_yet(paths: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(WorkbenchApp(paths, Settings()), terminal_size=size, run_before=shows())


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
def test_pulling(filled: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = WorkbenchApp(filled, Settings())
    before = shows(pulling=True, cursor=NAME)
    assert snap_compare(app, terminal_size=size, run_before=before)


def test_paused(paths: Paths, snap_compare: SnapCompare) -> None:
    app = WorkbenchApp(paths, Settings())
    partial = app.services.store.layout.partial(NAME)
    partial.mkdir(parents=True)
    (partial / PART).write_bytes(b"x" * 9_300_000)
    assert snap_compare(app, terminal_size=NARROW, run_before=shows())


def test_broken(filled: Paths, snap_compare: SnapCompare) -> None:
    app = WorkbenchApp(filled, Settings())
    assert snap_compare(app, terminal_size=NARROW, run_before=shows(cursor="half-copied"))


@pytest.mark.parametrize("theme", ["", LIGHT], ids=["dark", "light"])
def test_removal(filled: Paths, snap_compare: SnapCompare, theme: str) -> None:
    app = WorkbenchApp(filled, Settings())
    assert snap_compare(app, terminal_size=NARROW, run_before=shows(theme, "r"))


def test_help(filled: Paths, snap_compare: SnapCompare) -> None:
    app = WorkbenchApp(filled, Settings())
    assert snap_compare(app, terminal_size=WIDE, run_before=shows("", "f1"))


def test_ansi_colours(filled: Paths, snap_compare: SnapCompare) -> None:
    app = WorkbenchApp(filled, Settings())
    assert snap_compare(app, terminal_size=NARROW, run_before=shows("ansi-dark"))


def test_without_colours(
    filled: Paths, snap_compare: SnapCompare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = WorkbenchApp(filled, Settings())
    assert snap_compare(app, terminal_size=NARROW, run_before=shows())


def test_too_small(filled: Paths, snap_compare: SnapCompare) -> None:
    app = WorkbenchApp(filled, Settings())
    assert snap_compare(app, terminal_size=(50, 12), run_before=shows())
