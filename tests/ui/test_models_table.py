"""The Models tab's table: sorted, filtered, and what stands below it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from npurun_tui.app import WorkbenchApp
from npurun_tui.models import fit
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.fit import MachineFacts
from npurun_tui.models.store import ModelStore
from npurun_tui.screens import model_disk
from npurun_tui.screens.model_disk import Disk
from npurun_tui.screens.model_table import FilterInput
from npurun_tui.widgets.row_table import RowTable
from tests.support.models import add_cpu_model, add_npu_model
from tests.support.workbench import (
    NARROW,
    WIDE,
    cells,
    details,
    home_paths,
    is_filled,
    make_app,
    pane,
    table,
    until,
)

MACHINE = MachineFacts(("v81",), "", "2.45.0", cpu_engine=True, memory=32_000_000_000)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkbenchApp:
    """Two models are installed, on a machine with a Snapdragon X2."""
    monkeypatch.setattr(fit, "machine_facts", lambda: MACHINE)
    monkeypatch.setattr(model_disk, "measure", lambda folder: Disk(3_000_000_000, 9_000_000_000))
    store = ModelStore(home_paths(tmp_path).models)
    add_npu_model(store.root, "zephyr", size=5000)
    add_cpu_model(store.root, "alpha", size=90_000)
    return make_app(tmp_path)


def names(app: WorkbenchApp) -> list[str]:
    return list(table(app).keys)


def heading(app: WorkbenchApp) -> str:
    return table(app).render_line(0).text


def count(app: WorkbenchApp) -> str:
    return str(app.main.query_one("#models-count", Static).content)


async def test_s_sorts_by_each_column_and_comes_round(app: WorkbenchApp) -> None:
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: is_filled(app))
        at_start = names(app)
        assert at_start[:2] == ["alpha", "zephyr"]
        assert "State▲" in heading(app)
        await pilot.press("s")
        assert "Model▲" in heading(app)
        assert names(app) == sorted(at_start)
        await pilot.press("S")
        assert "Model▼" in heading(app)
        assert names(app) == sorted(at_start, reverse=True)
        await pilot.press("R")
        await until(pilot, lambda: not pane(app)._stale)
        assert names(app) == sorted(at_start, reverse=True), "a refresh changes no order"
        await pilot.press("s", "s")
        assert "Size▲" in heading(app)
        assert names(app)[:3] == ["zephyr", "alpha", CATALOG[0].name]
        await pilot.press("s", "s", "s", "s")
        assert names(app) == at_start


async def test_a_click_on_a_header_sorts_and_the_next_one_reverses(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: is_filled(app))
        place = heading(app).index("Size")
        await pilot.click(RowTable, offset=(place, 0))
        await until(pilot, lambda: "Size▲" in heading(app))
        await pilot.click(RowTable, offset=(place, 0))
        await until(pilot, lambda: "Size▼" in heading(app))
        assert names(app)[-1] == "zephyr"


async def test_filtering_by_any_word(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: is_filled(app))
        every = len(names(app))
        await pilot.press("slash", *"qwen3 w4a16")
        await until(pilot, lambda: count(app) == f"2 of {every}")
        assert all("qwen3" in name for name in names(app))
        await pilot.press("enter")
        assert table(app).has_focus
        assert app.main.query_one("#models-filter-line").display, "it is seen as long as it holds"
        await pilot.press("escape")
        assert len(names(app)) == every
        assert not app.main.query_one("#models-filter-line").display
        await pilot.press("slash", *"installed", "down", "s")
        assert sorted(names(app)) == ["alpha", "zephyr"]
        assert "Model▲" in heading(app)
        await pilot.press("slash", "escape")
        assert len(names(app)) == every


async def test_a_filter_that_nothing_matches_says_so(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: is_filled(app))
        await pilot.press("slash", *"nonsense")
        await until(pilot, lambda: names(app) == [])
        assert "No model matches" in details(app)
        await pilot.press("enter", "p", "u", "c", "v", "y", "enter", "space")
        assert app.screen is app.main
        await pilot.press("escape")
        assert app.main.query_one(FilterInput).value == ""
        assert "alpha" in details(app)


async def test_what_is_offered_is_the_variant_for_this_machine(app: WorkbenchApp) -> None:
    name = "qwen3-4b-instruct-2507"
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: name in names(app) and cells(app, name)[3] == "✓ yes")
        assert cells(app, name)[4] == "≈3.1 GB"
        assert cells(app, "phi-3.5-mini")[3] == "✗ no"
        table(app).go_to(name)
        await until(pilot, lambda: "Hexagon       v81" in details(app))
        assert "sha256, recorded on the first pull" in " ".join(details(app).split())
        assert "verified" not in details(app)
        table(app).go_to("phi-3.5-mini")
        await until(pilot, lambda: "compiled for Hexagon v73" in " ".join(details(app).split()))


async def test_the_disk_is_measured(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: is_filled(app))
        line = str(app.main.query_one("#disk", Static).content)
        assert line.endswith("━━━━━───  3 GB free of 9 GB")
