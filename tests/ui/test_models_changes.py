"""The Models tab while things change under it: other programs, failures, servers that fall silent, another catalog."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from npurun_tui.app import WorkbenchApp
from npurun_tui.models import builtin, fit, jobs
from npurun_tui.models.fit import MachineFacts
from npurun_tui.models.manifest import Manifest
from npurun_tui.models.store import ModelStore
from npurun_tui.screens import model_local, model_look
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.widgets.key_bar import KeyBar
from tests.support.index_server import Index, pause_after, serve
from tests.support.index_server import status as answer
from tests.support.models import add_cpu_model
from tests.support.pulling import assert_installed, only_index, pull_all
from tests.support.tiny_model import NAME, TinyModel
from tests.support.workbench import (
    NARROW,
    cells,
    details,
    home_paths,
    make_app,
    notices,
    pane,
    table,
    until,
)

MACHINE = MachineFacts((), "None was found here.", "", cpu_engine=True, memory=16_000_000_000)
HOLD = """
import sys
from pathlib import Path
from npurun_tui.models.lock import model_lock
with model_lock(Path(sys.argv[1]), sys.argv[2]):
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def index(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    monkeypatch.setattr(builtin, "CATALOG", (tiny.entry,))
    monkeypatch.setattr(fit, "machine_facts", lambda: MACHINE)
    monkeypatch.setattr(model_look, "WATCH", 0.05)
    with serve(tiny) as index:
        only_index(monkeypatch, index.url)
        yield index


def state(app: WorkbenchApp, name: str = NAME) -> str:
    return cells(app, name)[1] if name in table(app).keys else ""


def keys(app: WorkbenchApp) -> dict[str, str]:
    """What the footer and the help call each key that does something now."""
    return {key: active.binding.description for key, active in app.screen.active_bindings.items()}


async def on(pilot: Pilot[None], app: WorkbenchApp, name: str = NAME) -> None:
    await until(pilot, lambda: name in table(app).keys)
    table(app).go_to(name)
    await pilot.pause()


# --- keys are called what they do --------------------------------------------------------------


async def test_the_keys_are_called_what_they_do(
    gate: threading.Event, index: Index, app: WorkbenchApp
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app)
        assert keys(app)["p"] == "Pull"
        assert not {"space", "c", "u", "v"} & set(keys(app))
        await pilot.press("p")
        await until(pilot, lambda: "━" in state(app))
        assert "p" not in keys(app)
        assert (keys(app)["space"], keys(app)["c"]) == ("Pause", "Cancel")
        await pilot.press("space")
        await until(pilot, lambda: state(app).startswith("‖ paused"))
        assert (keys(app)["p"], keys(app)["space"]) == ("Resume", "Resume")
        assert f"Resume {NAME}" in {command.title for command in pane(app).palette_commands()}
        index.always = answer(404)
        await pilot.press("space")
        await until(pilot, lambda: state(app).startswith("✗ failed"))
        assert (keys(app)["p"], keys(app)["c"]) == ("Retry", "Cancel")
        await pilot.press("slash")
        assert "slash" not in keys(app), "here it is a letter"


async def test_a_click_on_the_footer_does_what_it_says(
    gate: threading.Event, app: WorkbenchApp
) -> None:
    async def click(pilot: Pilot[None], words: str) -> None:
        await until(pilot, lambda: words in app.main.query_one(KeyBar).render().plain)
        place = app.main.query_one(KeyBar).render().plain.index(words)
        await pilot.click(KeyBar, offset=(place, 0))

    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app)
        await click(pilot, "p Pull")
        await until(pilot, lambda: "━" in state(app))
        await click(pilot, "space Pause")
        await until(pilot, lambda: state(app).startswith("‖ paused"))
        gate.set()
        await click(pilot, "p Resume")
        await until(pilot, lambda: state(app) == "✓ installed")


async def test_what_failed_stays_in_sight_until_it_is_put_aside(
    index: Index, app: WorkbenchApp
) -> None:
    index.always = answer(404)
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app)
        await pilot.press("p")
        await until(pilot, lambda: state(app).startswith("✗ failed"))
        await pilot.press("R")
        await until(pilot, lambda: not pane(app)._stale)
        assert state(app) == "✗ failed"
        assert "does not have the file" in details(app)
        await pilot.press("c")
        await until(pilot, lambda: state(app) == "· available")
        assert "does not have the file" not in details(app)


# --- what is here, and is replaced -------------------------------------------------------------


async def test_a_broken_model_of_the_catalog_is_pulled_anew(
    app: WorkbenchApp, store: ModelStore, tiny: TinyModel
) -> None:
    await pull_all(tiny, store)
    model = store.get(NAME)
    (model.folder / model.manifest.files.model).write_bytes(b"cut")
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app)
        assert state(app) == "✗ broken"
        assert keys(app)["p"] == "Replace"
        await pilot.press("enter")
        assert any("Press p to pull" in notice for notice in notices(app)), "Enter replaces nothing"
        await pilot.press("p")
        await until(pilot, lambda: state(app) == "✓ installed")
    assert_installed(tiny, store)


async def test_a_new_copy_that_fails_or_waits_is_told_of_and_the_old_one_stays(
    gate: threading.Event, index: Index, app: WorkbenchApp, store: ModelStore, tiny: TinyModel
) -> None:
    index.faults.clear()
    await pull_all(tiny, store)
    file = store.get(NAME).folder / store.get(NAME).manifest.files.model
    file.write_bytes(b"\0" + tiny.gguf[1:])
    index.faults.append(pause_after(300_000, gate))
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app)
        await pilot.press("v")
        await until(pilot, lambda: keys(app).get("p") == "Replace")
        await pilot.press("p")
        await until(pilot, lambda: "━" in state(app))
        await pilot.press("space")
        await until(pilot, lambda: keys(app).get("p") == "Resume")
        assert state(app) == "✗ damaged"
        assert "A pull of a new copy was begun" in details(app)
        index.always = answer(404)
        await pilot.press("p")
        await until(pilot, lambda: keys(app).get("p") == "Retry")
        assert "Pulling it anew failed." in details(app)
        assert file.exists()
        await pilot.press("c")
        await until(pilot, lambda: keys(app).get("p") == "Replace")
        assert store.partials() == {}
        assert file.exists()


# --- other programs ----------------------------------------------------------------------------


async def test_what_other_programs_bring_and_remove_is_seen_by_itself(
    app: WorkbenchApp, store: ModelStore
) -> None:
    add_cpu_model(store.root, "alpha")
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app, "alpha")
        add_cpu_model(store.root, "beta")
        await until(pilot, lambda: state(app, "beta") == "✓ installed")
        assert table(app).cursor_key == "alpha"
        store.remove("alpha")
        await until(pilot, lambda: "alpha" not in table(app).keys)
        assert table(app).cursor_key == "beta"


async def test_what_another_program_works_on_is_not_said_to_be_paused(
    app: WorkbenchApp, store: ModelStore
) -> None:
    folder = store.layout.partial_root
    command = [sys.executable, "-c", HOLD, str(folder), NAME]
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app)
        other = await asyncio.create_subprocess_exec(*command, stdin=PIPE)
        await until(pilot, lambda: state(app) == "↓ elsewhere")
        assert f"(process {other.pid})" in details(app)
        assert not {"p", "space", "c", "r"} & set(keys(app))
        await other.communicate(b"")
        await until(pilot, lambda: state(app) == "· available")
        assert keys(app)["p"] == "Pull"


async def test_what_was_found_of_files_is_forgotten_with_the_files(
    index: Index, app: WorkbenchApp, store: ModelStore, tiny: TinyModel
) -> None:
    await pull_all(tiny, store)
    file = store.get(NAME).folder / store.get(NAME).manifest.files.model
    file.write_bytes(b"\0" + tiny.gguf[1:])
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app)
        await pilot.press("v")
        await until(pilot, lambda: state(app) == "✗ damaged")
        index.always = answer(404)
        await pilot.press("p")
        await until(pilot, lambda: keys(app).get("p") == "Retry")
        index.always = None
        await pull_all(tiny, store, force=True)  # as another program would
        await until(pilot, lambda: state(app) == "✓ installed")
        await until(pilot, lambda: "p" not in keys(app))
        assert "differs" not in details(app)
        assert "failed" not in details(app)


@pytest.mark.parametrize("removed", [False, True], ids=["replaced", "removed"])
async def test_a_model_that_changes_while_it_is_hashed_is_not_called_damaged(
    app: WorkbenchApp,
    store: ModelStore,
    tiny: TinyModel,
    monkeypatch: pytest.MonkeyPatch,
    removed: bool,
) -> None:
    await pull_all(tiny, store)
    monkeypatch.setattr(model_look, "WATCH", 3600.0)
    gate, before = threading.Event(), model_local.LocalJob.advance

    def advance(job: model_local.LocalJob, done: int, total: int) -> None:
        before(job, done, total)
        gate.wait(30)

    monkeypatch.setattr(model_local.LocalJob, "advance", advance)
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app)
        await pilot.press("v")
        await until(pilot, lambda: "%" in state(app))
        model = store.get(NAME)
        if removed:
            store.remove(NAME)
        else:
            (model.folder / model.manifest.files.model).write_bytes(b"\1" + tiny.gguf[1:])
            Manifest.read(model.folder).write(model.folder)
        gate.set()
        await until(pilot, lambda: bool(notices(app)))
        assert notices(app) == [f"{NAME} was changed while it was compared."]
        await until(pilot, lambda: state(app) == ("· available" if removed else "✓ installed"))


# --- silence, and other catalogs ---------------------------------------------------------------


async def test_a_server_that_falls_silent_is_said(
    gate: threading.Event, app: WorkbenchApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "STILL", 0.2)
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app)
        await pilot.press("p")
        await until(pilot, lambda: state(app).startswith("… waiting"))
        await until(pilot, lambda: cells(app, NAME)[2].startswith("silent for"))
        assert re.search(r"Nothing has come for \d+ s\.", details(app))
        gate.set()
        await until(pilot, lambda: state(app) == "✓ installed")


async def test_a_pull_goes_on_where_the_catalog_has_lost_its_model(
    gate: threading.Event,
    app: WorkbenchApp,
    monkeypatch: pytest.MonkeyPatch,
    tiny: TinyModel,
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app)
        await pilot.press("p")
        await until(pilot, lambda: "━" in state(app))
        monkeypatch.setattr(builtin, "CATALOG", (replace(tiny.entry, name="other"),))
        await pilot.press("R")
        await until(pilot, lambda: "other" in table(app).keys)
        assert "━" in state(app)
        assert keys(app)["space"] == "Pause"
        monkeypatch.setattr("npurun_tui.screens.model_texts.CHEAP", 1000)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        gate.set()
        await until(pilot, lambda: state(app) == "✓ installed")


async def test_a_folder_that_cannot_be_read_stays_said(tmp_path: Path) -> None:
    home_paths(tmp_path).models.write_text("a file")
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: bool(notices(app)))
        card = app.main.query_one("#first-model")
        await until(pilot, lambda: card.display)
        assert "cannot be read" in str(card.render())
        home_paths(tmp_path).models.unlink()
        await until(pilot, lambda: "No model is here yet" in str(card.render()))
        assert len(notices(app)) == 1, "and is a notice only once"
