"""Several pulls at once in the Models tab: queue, pause, cancel, limit, what runs here, and quitting meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import Context
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from npurun_tui import units
from npurun_tui.app import WorkbenchApp
from npurun_tui.engine.spec import Backend
from npurun_tui.models import builtin, fit
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.fit import MachineFacts
from npurun_tui.models.store import ModelStore
from npurun_tui.screens import model_look, model_texts
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.screens.model_limit import LimitScreen
from npurun_tui.screens.models import ModelsPane
from tests.support.index_server import Index, pause_after, serve
from tests.support.pulling import only_index
from tests.support.tiny_model import TinyModel, build_tiny_model
from tests.support.workbench import (
    NARROW,
    WIDE,
    burst,
    cells,
    details,
    home_paths,
    make_app,
    notices,
    pane,
    status,
    table,
    until,
)

A, B, C = NAMES = ("tiny-a", "tiny-b", "tiny-c")
NPU = "bundle"
MACHINE = MachineFacts((), "None was found here.", "", cpu_engine=True, memory=16_000_000_000)


@pytest.fixture(scope="module")
def tiny() -> TinyModel:
    return build_tiny_model()


def entry(tiny: TinyModel, name: str, backend: Backend = "llama.cpp") -> CatalogEntry:
    return replace(tiny.entry, name=name, backend=backend)


@pytest.fixture
def index(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """Three models that the one index has, and one that needs an NPU."""
    catalog = (*(entry(tiny, name) for name in NAMES), entry(tiny, NPU, "genie"))
    monkeypatch.setattr(builtin, "CATALOG", catalog)
    monkeypatch.setattr(fit, "machine_facts", lambda: MACHINE)
    with serve(tiny) as index:
        only_index(monkeypatch, index.url)
        yield index


@pytest.fixture
def gate(index: Index) -> Iterator[threading.Event]:
    """The first two downloads stop after 300 kB until the gate is opened."""
    gate = threading.Event()
    index.faults.extend([pause_after(300_000, gate)] * 2)
    yield gate
    gate.set()


@pytest.fixture
def app(tmp_path: Path) -> WorkbenchApp:
    return make_app(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(home_paths(tmp_path).models)


def state(app: WorkbenchApp, name: str) -> str:
    return cells(app, name)[1]


def disk(app: WorkbenchApp) -> str:
    return str(app.main.query_one("#disk", Static).content)


async def press_on(pilot: Pilot[None], app: WorkbenchApp, name: str, *keys: str) -> None:
    """Press keys with the cursor on the model `name`."""
    await until(pilot, lambda: name in table(app).keys)
    table(app).go_to(name)
    await pilot.pause()
    await pilot.press(*keys)


async def two_at_once(pilot: Pilot[None], app: WorkbenchApp) -> None:
    """A and B are being pulled, C waits."""
    for name in NAMES:
        await press_on(pilot, app, name, "p")
    await until(pilot, lambda: "━" in state(app, A) and "━" in state(app, B))
    await until(pilot, lambda: state(app, C) == "… queued")


def dialog(app: WorkbenchApp) -> str:
    """The texts of the question in front."""
    return "\n".join(str(part.render()) for part in app.screen.query(".dialog-title, .dialog-text"))


async def asked(pilot: Pilot[None], app: WorkbenchApp) -> str:
    await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
    return dialog(app)


async def test_a_pull_that_a_client_of_the_server_began_moves_as_well(
    index: Index,
    gate: threading.Event,
    app: WorkbenchApp,
    tiny: TinyModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is begun in the context of the server's loop, which knows no app."""
    monkeypatch.setattr(
        model_look, "WATCH", 1000
    )  # else a look at the disk would show it now and then
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: A in table(app).keys)
        Context().run(app.services.pulls.start, entry(tiny, A))
        await until(pilot, lambda: "━" in state(app, A))
        gate.set()
        await until(pilot, lambda: state(app, A) == "✓ installed")


async def test_two_run_with_their_own_bars_and_the_third_is_queued(
    gate: threading.Event, app: WorkbenchApp, store: ModelStore
) -> None:
    async with app.run_test(size=WIDE) as pilot:
        await two_at_once(pilot, app)
        assert "Queued" in details(app)
        assert "↓ 2 pulls, 1 queued" in status(app)
        assert "pulls need" in disk(app)
        assert "Pace" in [column.title for column in table(app).columns]
        # What has arrived counts while it arrives, though nobody looks at the folder meanwhile.
        pane = app.main.query_one(ModelsPane)
        assert pane.state.seen.used == 0
        here = sum(pane.state.arrived(name) for name in (A, B))
        assert here >= 2 * 300_000
        await until(pilot, lambda: disk(app).startswith(f"models {units.size(here)}"))
        gate.set()
        await until(pilot, lambda: all(state(app, name) == "✓ installed" for name in NAMES))
        assert "pulls need" not in disk(app)
        assert "Pace" not in [column.title for column in table(app).columns]
    assert [model.name for model in store.scan()[0]] == list(NAMES)


@pytest.mark.parametrize("columns", [60, 80, 100])
async def test_speed_and_time_left_of_each_are_seen_in_every_terminal(
    gate: threading.Event, app: WorkbenchApp, columns: int
) -> None:
    async with app.run_test(size=(columns, 24)) as pilot:
        await two_at_once(pilot, app)
        shown = [column.title for column in table(app).columns]
        assert shown[:3] == ["Model", "State", "Pace"]
        assert 2 + sum(column.width + 2 for column in table(app).columns) <= columns
        gate.set()


async def test_a_queued_one_can_be_taken_out_and_a_running_one_makes_room(
    gate: threading.Event, app: WorkbenchApp
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await two_at_once(pilot, app)
        await press_on(pilot, app, C, "space")
        await until(pilot, lambda: state(app, C) == "· available")
        await press_on(pilot, app, C, "space", "enter")
        await until(pilot, lambda: state(app, C) in {"· available", "… queued"})
        await press_on(pilot, app, C, "p")
        await until(pilot, lambda: state(app, C) == "… queued")
        await press_on(pilot, app, A, "space")
        await until(pilot, lambda: state(app, A).startswith("‖ paused"))
        await until(pilot, lambda: state(app, C) == "✓ installed")
        gate.set()
        await press_on(pilot, app, A, "space")
        await until(pilot, lambda: state(app, A) == "✓ installed")


async def test_they_go_on_behind_another_tab(gate: threading.Event, app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await two_at_once(pilot, app)
        await pilot.press("2")
        await until(pilot, lambda: app.main.pane.id == "chat")
        gate.set()
        await until(pilot, lambda: "↓" not in status(app))
        await pilot.press("alt+1")
        await until(pilot, lambda: all(state(app, name) == "✓ installed" for name in NAMES))


async def test_cancelling_a_little_asks_nothing_and_throws_it_away(
    gate: threading.Event, app: WorkbenchApp, store: ModelStore
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await two_at_once(pilot, app)
        await press_on(pilot, app, A, "c")
        await until(pilot, lambda: state(app, A) == "· available")
        assert app.screen is app.main
        assert not store.layout.partial(A).exists()


async def test_cancelling_much_asks_and_keeping_is_the_default(
    gate: threading.Event, app: WorkbenchApp, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_texts, "CHEAP", 100_000)
    async with app.run_test(size=NARROW) as pilot:
        await two_at_once(pilot, app)
        await press_on(pilot, app, A, "c")
        assert "throws away" in await asked(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert "━" in state(app, A)
        await press_on(pilot, app, A, "space")
        await until(pilot, lambda: state(app, A).startswith("‖ paused"))
        await press_on(pilot, app, A, "c")
        await asked(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: state(app, A) == "· available")
        assert store.partials().get(A) is None


async def test_a_limit_is_set_shown_and_taken_back(index: Index, app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await press_on(pilot, app, A, "b")
        await until(pilot, lambda: isinstance(app.screen, LimitScreen))
        await pilot.press(*"fast", "enter")
        assert "must be a number" in str(app.screen.query_one("#rate-help", Static).content)
        await pilot.press("ctrl+u", *"2M", "enter")
        await until(pilot, lambda: app.screen is app.main)
        assert app.services.pulls.limiter.rate == 2_000_000
        assert "limit 2 MB/s" in disk(app)
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, LimitScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        await pilot.press("b", "0", "enter")
        await until(pilot, lambda: app.services.pulls.limiter.rate == 0)
        assert "limit" not in disk(app)


async def test_what_cannot_run_here_says_so_and_is_pulled_only_after_a_question(
    index: Index, app: WorkbenchApp
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: NPU in table(app).keys and cells(app, NPU)[3] == "✗ no")
        assert cells(app, A)[3] == "✓ yes"
        await press_on(pilot, app, NPU)
        assert "It cannot run here. It needs a Snapdragon's NPU." in details(app)
        await pilot.press("p")
        assert "Snapdragon" in await asked(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert state(app, NPU) == "· available"
        assert app.services.pulls.open_jobs == []
        await pilot.press("enter")
        await asked(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: NPU in app.services.pulls.jobs)
        await app.services.pulls.wait(NPU)


async def test_quitting_asks_and_the_key_again_quits(
    gate: threading.Event, app: WorkbenchApp, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("npurun_tui.screens.quit.READ", 3600.0)
    async with app.run_test(size=NARROW) as pilot:
        await two_at_once(pilot, app)
        await burst(pilot, "ctrl+q", "ctrl+q")  # one read: no second decision
        assert "3 pulls are on their way. Quit?" in await asked(pilot, app)
        assert app.is_running
        monkeypatch.setattr("npurun_tui.screens.quit.READ", 0.0)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)
    assert set(store.partials()) >= {A, B}


async def test_a_command_is_copied(index: Index, app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await press_on(pilot, app, A, "y")
        await until(pilot, lambda: bool(notices(app)))
        assert pane(app).app.clipboard == f"npurun-tui pull {A}"
