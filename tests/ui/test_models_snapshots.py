"""How the Models tab looks: narrow and wide, dark and light, in every state that a person meets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from npurun_tui.app import WorkbenchApp
from npurun_tui.models import fit
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.fit import MachineFacts
from npurun_tui.models.jobs import JobState, PullJob
from npurun_tui.models.manifest import Flag, Manifest
from npurun_tui.models.pull import Phase, PullProgress
from npurun_tui.models.store import ModelStore
from npurun_tui.screens import model_disk
from npurun_tui.screens.model_disk import Disk
from npurun_tui.settings import Paths, Settings
from tests.support.models import add_broken_model, add_cpu_model, add_npu_model
from tests.support.workbench import NARROW, WIDE, is_filled, pane, status, table, until

SnapCompare = Callable[..., bool]
Before = Callable[[Pilot[None]], Awaitable[None]]

LIGHT = "textual-light"
NAME = CATALOG[0].name
SECOND, THIRD = CATALOG[4], CATALOG[5]
MACHINE = MachineFacts(("v73",), "", "2.45.0", cpu_engine=True, memory=32_000_000_000)
DISK = Disk(83_200_000_000, 271_000_000_000)
FLAGS = (
    Flag(
        "genie_config.json", "enable-graph-switching", True, "graphs are named prompt_ and token_"
    ),
    Flag("genie_config.json", "use-mmap", True, "its shards together are larger than 2 GB"),
    Flag("htp_backend_ext_config.json", "weight_sharing_enabled", None, "QAIRT 2.45 refuses it"),
)


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
    monkeypatch.setattr(fit, "machine_facts", lambda: MACHINE)
    monkeypatch.setattr(model_disk, "measure", lambda folder: DISK)
    return Paths(home / "models", home / "data", home / "state", home / "config.toml")


@pytest.fixture
def filled(paths: Paths) -> Paths:
    """A few models of each kind."""
    add_npu_model(paths.models, "llama-3.2-3b-instruct", size=2_100_000)
    add_npu_model(paths.models, "phi-4-mini-instruct", size=2_900_000)
    add_cpu_model(paths.models, "qwen3-0.6b", size=480_000, context=32_768)
    add_broken_model(paths.models, "half-copied")
    return paths


PULLS = ((CATALOG[0], 40_200_000), (SECOND, 1_900_000_000), (THIRD, 0))


def add_pull(app: WorkbenchApp, entry: CatalogEntry, done: int) -> None:
    """A pull that has fetched `done` bytes; one that waits, where that is nothing."""
    job = Halfway(entry, force=False)
    if done:
        job.state = JobState.RUNNING
        job.progress = PullProgress(Phase.DOWNLOADING, done, entry.download_size)
    app.services.pulls._jobs[entry.name] = job
    app.services.pulls._tell(job)


def shows(theme: str = "", *keys: str, cursor: str = "", pulling: int = 0) -> Before:
    """Bring the app to what is to be seen, in the order: theme, pull, cursor, keys."""

    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, WorkbenchApp)
        app.animation_level = "none"
        if theme:
            app.theme = theme
        await until(pilot, lambda: is_filled(app) and bool(pane(app).state.fits))
        for entry, done in PULLS[:pulling]:
            add_pull(app, entry, done)
        speed = "MB/s" if pulling else ""  # it comes a moment later
        await until(pilot, lambda: speed in status(app))
        pane(app).redraw()
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
    before = shows(pulling=1, cursor=NAME)
    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", [NARROW, WIDE, (160, 40)], ids=["80x24", "120x40", "160x40"])
def test_several_pulls(filled: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = WorkbenchApp(filled, Settings())

    async def before(pilot: Pilot[Any]) -> None:
        app.services.pulls.limiter.rate = 22_000_000
        await shows(pulling=3, cursor=SECOND.name)(pilot)

    assert snap_compare(app, terminal_size=size, run_before=before)


def test_no_room_for_the_pulls(
    filled: Paths, snap_compare: SnapCompare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_disk, "measure", lambda folder: Disk(2_000_000_000, 271_000_000_000))
    app = WorkbenchApp(filled, Settings())
    before = shows(pulling=3, cursor=THIRD.name)
    assert snap_compare(app, terminal_size=NARROW, run_before=before)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
def test_filtered(filled: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = WorkbenchApp(filled, Settings())
    before = shows("", "slash", *"qwen3", "down", "s", "s", "s", "S")
    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
def test_available(filled: Paths, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = WorkbenchApp(filled, Settings())
    assert snap_compare(app, terminal_size=size, run_before=shows(cursor=SECOND.name))


@pytest.mark.parametrize("size", [NARROW, WIDE, (160, 50)], ids=["80x24", "120x40", "160x50"])
def test_a_bundle_with_flags(
    paths: Paths, snap_compare: SnapCompare, size: tuple[int, int]
) -> None:
    folder = add_npu_model(paths.models, "qwen3-4b-instruct-2507", size=2_100_000)
    shards = {f"bundle/model_part_{part}_of_4.bin": f"{part}" * 64 for part in range(1, 5)}
    manifest = replace(
        Manifest.read(folder),
        qnn_sdk="2.45.0",
        template=CATALOG[4].template,
        tiers=(512, 1024, 2048, 4096),
        flags=FLAGS,
        sha256={"genie_config.json": "ab" * 32, **shards},
        hash_origin="recorded",
        archive_sha256="cd" * 32,
        source=str(CATALOG[4].source),
    )
    manifest.write(folder)
    app = WorkbenchApp(paths, Settings())
    assert snap_compare(app, terminal_size=size, run_before=shows())


@pytest.mark.parametrize("theme", ["", LIGHT], ids=["dark", "light"])
def test_import(filled: Paths, snap_compare: SnapCompare, theme: str) -> None:
    app = WorkbenchApp(filled, Settings())
    before = shows(theme, "o", *"/no/such/folder", "ctrl+s")

    async def refused(pilot: Pilot[Any]) -> None:
        await before(pilot)
        await until(pilot, lambda: app.screen.query_one("#import-line").has_class("-fault"))
        for field in app.screen.query(Input):
            field.cursor_blink = False  # else the picture depends on the moment
        await pilot.pause()

    assert snap_compare(app, terminal_size=NARROW, run_before=refused)


def test_limit(filled: Paths, snap_compare: SnapCompare) -> None:
    app = WorkbenchApp(filled, Settings())
    assert snap_compare(app, terminal_size=NARROW, run_before=shows("", "b"))


def test_a_pull_that_cannot_run_here(
    filled: Paths, snap_compare: SnapCompare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "machine_facts", lambda: replace(MACHINE, hexagons=("v81",)))
    app = WorkbenchApp(filled, Settings())
    assert snap_compare(app, terminal_size=NARROW, run_before=shows("", "p", cursor="phi-3.5-mini"))


def test_paused(paths: Paths, snap_compare: SnapCompare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelStore, "partials", lambda store: {NAME: 9_300_000})
    app = WorkbenchApp(paths, Settings())
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

    async def before(pilot: Pilot[Any]) -> None:
        await shows("", "f1")(pilot)
        await until(pilot, lambda: table(app).size.width < 100)  # the tab makes room for the help
        await until(pilot, lambda: not pane(app).has_class("-wide"))
        await pilot.pause()

    assert snap_compare(app, terminal_size=WIDE, run_before=before)


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
