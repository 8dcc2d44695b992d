"""The Bench tab: what is seen of a bench, and what can be done with it. What happens is told by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Markdown, Select, Static

from npurun_tui.app import WorkbenchApp
from npurun_tui.bench.events import (
    Noted,
    RunBegan,
    RunEnded,
    Sampled,
    Ticked,
    Waiting,
)
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.records import Sample, Session
from npurun_tui.screens import bench_fields
from npurun_tui.screens.bench import BenchPane
from npurun_tui.screens.bench_compare import BenchCompareScreen
from npurun_tui.screens.bench_details import BenchDetailsScreen
from npurun_tui.screens.bench_export import BenchExportScreen
from npurun_tui.screens.bench_fields import Setup
from npurun_tui.screens.bench_help import FIELD_HELP
from npurun_tui.screens.bench_history import BenchHistoryScreen
from npurun_tui.screens.bench_setup import BenchSetupScreen
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.settings import Remembered, Settings
from npurun_tui.widgets.key_bar import KeyBar
from tests.support import bench_scene as scene
from tests.support.bench_scene import Played
from tests.support.models import add_cpu_model
from tests.support.real_model import NAME
from tests.support.workbench import NARROW, WIDE, home_paths, make_app, notices, status, until

HOSTILE = "\x1b]0;owned\x07[red]x[/red]\u202e"


@asynccontextmanager
async def opened(
    home: Path, *, size: tuple[int, int] = NARROW
) -> AsyncIterator[tuple[Pilot[None], WorkbenchApp, BenchPane, Played]]:
    """The tab, over a control that the test plays; what it keeps goes to the real history."""
    app = make_app(home)
    played = Played(app.services.bench_history.add)
    app.services.__dict__["bench"] = played
    app.reports._following.append(played.subscribe(app.reports._bench_changed))
    async with app.run_test(size=size) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: bool(app.main.query(BenchPane)))
        yield pilot, app, app.main.query_one(BenchPane), played


def head(pane: BenchPane) -> str:
    """The three lines above the gauges."""
    lines = (pane.query_one(f"#bench-{name}") for name in ("state", "sides", "plan"))
    return "\n".join(line.render().plain for line in lines)  # type: ignore[union-attr]


def rows(pane: BenchPane) -> list[list[str]]:
    """The texts of the table."""
    return [[cell.text for cell in pane.table.row(key)] for key in pane.table.keys]


def figures(pane: BenchPane) -> str:
    """The panel with percentiles and sentences."""
    return str(pane.query_one("#bench-figures #facts-text", Static).content)


def keys(app: WorkbenchApp) -> str:
    """The footer."""
    return app.main.query_one(KeyBar).render().plain


async def played_to_its_end(pilot: Pilot[None], played: Played, session: Session) -> None:
    """A bench that ends with `session`, which is kept."""
    played.begin(*session.sides)
    await asyncio.to_thread(played._keep or (lambda _: None), session)
    played.tell(*scene.ended(session))
    await pilot.pause()


# --- what is seen --------------------------------------------------------------------------------


async def test_rows_come_one_by_one_and_the_one_that_goes_is_before_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, _app, pane, played):
        assert "○ idle" in head(pane)
        played.begin()
        played.tell(RunBegan("a", "joke", 2048, 0, True, 0, 0, 12))
        await until(pilot, lambda: [row[0] for row in rows(pane)] == ["▶ warm-up"])
        played.tell(Ticked(12.4, 37, 22.0, 104.2))
        await until(pilot, lambda: rows(pane)[0][6:10] == ["37", "22 ms", "", "104"])
        played.tell(RunEnded(scene.run(0, warmup=True)))
        await until(pilot, lambda: [row[0] for row in rows(pane)] == ["warm-up"])
        assert {cell.look for cell in pane.table.row("0")} == {"quiet"}
        played.tell(RunBegan("a", "matmul", 2048, 0, False, 0, 0, 12))
        await until(pilot, lambda: rows(pane)[0][0] == "▶ 1")
        assert rows(pane)[0][6] == ""  # the last run's tick is not this one's
        played.tell(RunEnded(scene.run(1)))
        await until(pilot, lambda: [row[0] for row in rows(pane)] == ["1", "warm-up"])
        assert rows(pane)[0] == [
            "1", "matmul", "A", "2,048", "52", "0", "128", "29 ms", "900", "101", "101", "-0.2 %", "1.3 s",
        ]  # fmt: skip


async def test_warm_ups_and_failures_are_in_no_figure(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, _app, pane, played):
        played.begin()
        warm = replace(scene.run(0, warmup=True), host=replace(scene.run(0).host, decode_tps=1.0))
        failed = scene.run(2, outcome="failed")
        played.tell(RunEnded(warm), RunEnded(scene.run(1)), RunEnded(failed))
        await until(pilot, lambda: "Decode" in figures(pane))
        assert [row[0] for row in rows(pane)] == ["✗ failed", "1", "warm-up"]
        [line] = [line for line in figures(pane).splitlines() if line.startswith("Decode")]
        assert line.split()[2:] == ["101.0"] * 5 + ["1"]
        assert "2 runs, 1 without figures" in head(pane)


async def test_it_says_who_holds_the_permit_and_the_bar_says_that_it_waits(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, app, pane, played):
        played.begin()
        played.tell(Waiting(1, "chat"))
        await until(pilot, lambda: "◐ waiting: chat holds the permit" in head(pane))
        assert "bench waits" in status(app)
        await pilot.press("1")
        played.tell(*scene.at_work())
        await until(pilot, lambda: "bench 6/12" in status(app))
        await pilot.press("3")
        await until(pilot, lambda: len(rows(pane)) == 8)
        assert "run 7 of 12: 256 tokens" in head(pane)


async def test_gauges_name_what_this_machine_does_not_tell(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, _app, pane, played):
        played.begin()
        played.tell(*scene.at_work())
        line = pane.query_one("#bench-gauge-line")
        await until(pilot, lambda: "not measurable here: Power, NPU" in line.render().plain)  # type: ignore[union-attr]
        played.tell(Sampled(Sample(20.0, cpu_percent=55, watts=12.34, npu_percent=71.2)))
        await until(pilot, lambda: "Power 12.3 W" in line.render().plain)  # type: ignore[union-attr]
        assert "NPU 71 %" in line.render().plain  # type: ignore[union-attr]
        assert "not measurable here: Memory, Temp" in line.render().plain  # type: ignore[union-attr]


async def test_a_narrow_terminal_has_one_panel_and_a_wide_one_has_all(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, app, pane, played):
        await played_to_its_end(pilot, played, scene.session())
        parts = {
            name: pane.query_one(f"#bench-{name}")
            for name in ("figures", "rate", "first", "gauges")
        }

        def seen() -> set[str]:
            return {name for name, part in parts.items() if part.size.height and part.is_on_screen}

        await until(pilot, lambda: seen() == {"figures"})
        for expected in ({"rate"}, {"first"}, set(), {"figures"}):
            await pilot.press("p")
            await until(pilot, lambda expected=expected: seen() == expected)  # type: ignore[misc]
        assert "p Panel" in keys(app)
        await pilot.resize_terminal(160, 50)
        await until(pilot, lambda: seen() == set(parts))
        await until(pilot, lambda: "p Panel" not in keys(app))
        assert "12.2 s" not in pane._rate.text  # the warm-up is not in it
        assert "tok/s over time" in pane._rate.text
        assert "256 tokens" in pane._first.text


async def test_two_sides_are_told_apart_without_colours(tmp_path: Path) -> None:
    async with opened(tmp_path, size=(160, 50)) as (pilot, _app, pane, played):
        session = scene.session(sides=(scene.A, scene.B))
        await played_to_its_end(pilot, played, session)
        await until(pilot, lambda: {row[2] for row in rows(pane)} == {"A", "B"})
        assert "A: smollm2-135m-instruct · CPU (llama.cpp) against B: small · 127.0.0.1:9" in head(
            pane
        )
        assert "⠶ A  ○ B" in pane._rate.text
        assert "● A  ○ B" in pane._first.text
        assert pane._first.text.count("●") > 3


async def test_the_smallest_terminal_still_tells_the_sides_apart(tmp_path: Path) -> None:
    async with opened(tmp_path, size=(60, 16)) as (pilot, _app, pane, played):
        await played_to_its_end(pilot, played, scene.session(sides=(scene.A, scene.B)))
        await until(pilot, lambda: len(rows(pane)) == 24)
        wanted = ["Run", "Prompt", "Side", "In", "TTFT", "tok/s"]
        await until(pilot, lambda: [column.title for column in pane.table.columns] == wanted)


async def test_turns_say_whether_the_cache_was_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, _app, pane, played):
        played.begin()
        turn = replace(scene.run(1), prompt="conversation", turn=3)
        played.tell(RunEnded(turn), RunEnded(replace(turn, reuse=True)))
        await until(pilot, lambda: len(rows(pane)) == 2)
        assert [row[1] for row in rows(pane)] == ["turn 3 kept", "turn 3 anew"]


async def test_what_a_model_or_a_server_says_is_plain_text(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, _app, pane, played):
        side = replace(scene.A, model=HOSTILE, device=HOSTILE)
        played.begin(side)
        run = replace(scene.run(1, outcome="failed"), prompt=HOSTILE, fault=HOSTILE)
        played.tell(Waiting(1, HOSTILE), RunEnded(run), Noted(HOSTILE))
        await until(pilot, lambda: len(rows(pane)) == 1)
        await until(pilot, lambda: "[red]x[/red]" in figures(pane))
        await pilot.press("enter")
        await pilot.pause()
        seen = head(pane) + figures(pane) + str(rows(pane))
        assert "[red]x[/red]" in seen
        assert not any(sign in seen for sign in ("\x1b", "\x07", "\u202e"))


async def test_ten_thousand_rows_cost_one_row_each(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, _app, pane, played):
        played.begin()
        state = played.state
        state.runs.extend(scene.run(index) for index in range(10_000))
        played.tell(RunBegan("a", "joke", 2048, 2500, False, 0, 10_000, 20_000))
        await until(pilot, lambda: len(pane.table.keys) == 10_001)
        before = pane.table.row("0")
        played.tell(RunEnded(scene.run(10_000)))
        await until(pilot, lambda: len(pane.table.keys) == 10_001 and "10000" in pane.table.keys)
        assert pane.table.row("0") is before  # made once
        await pilot.press("end")
        assert pane.table.cursor_key == "0"
        assert pane.run_under_cursor is state.runs[0]


# --- what can be done ----------------------------------------------------------------------------


async def test_stopping_asks_and_quitting_asks(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, app, _pane, played):
        played.begin()
        played.tell(*scene.at_work())
        stopped: list[bool] = []
        played.stop = lambda: stopped.append(True)  # type: ignore[method-assign]
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "7 runs will be kept" in str(app.screen.query_one(".dialog-text", Static).content)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is app.main)
        assert not stopped
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert app.screen.asks == "a bench is on its way. Quit?"  # type: ignore[attr-defined]
        await pilot.press("n")
        await until(pilot, lambda: app.screen is app.main)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: stopped == [True])


async def test_without_a_model_it_says_what_to_do(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, _app, pane, _played):
        await pilot.press("s")
        await until(pilot, lambda: "pull one in the Models tab" in note(pane))


async def test_a_baseline_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, app, pane, _played):
        add_cpu_model(app.services.paths.models, "small")
        pane.setup = Setup("small", "127.0.0.1:1")
        await pilot.press("s")
        await until(pilot, lambda: "cannot be reached" in note(pane))
        assert not pane.running
        assert not pane.preparing


@pytest.mark.parametrize("key", ["s", "escape"])
async def test_a_bench_can_be_called_off_before_it_begins(tmp_path: Path, key: str) -> None:
    silent = asyncio.Event()  # an endpoint that takes its time

    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server, opened(tmp_path) as (pilot, app, pane, played):
        add_cpu_model(app.services.paths.models, "small")
        pane.setup = Setup("small", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        pane.fault = "It did not answer."
        await pilot.press("s")
        await until(pilot, lambda: "looking whether both sides" in head(pane))
        await pilot.press(key)
        await until(pilot, lambda: not pane.preparing)
        assert not played.state.running
        assert note(pane) == ""
        await pilot.press("s")
        await until(pilot, lambda: "looking whether both sides" in head(pane))
        silent.set()


def note(pane: BenchPane) -> str:
    """The sentence below the head; empty where it is hidden."""
    line = pane.query_one("#bench-note", Static)
    return str(line.content) if line.display else ""


async def test_keys_are_offered_only_when_they_work(tmp_path: Path) -> None:
    async with opened(tmp_path, size=WIDE) as (pilot, app, pane, played):
        await until(pilot, lambda: "s Start/stop" in keys(app))
        assert "x Export" not in keys(app)
        await pilot.press("x", "y", "d", "escape")  # which does nothing
        assert app.screen is app.main
        await played_to_its_end(pilot, played, scene.session())
        await until(pilot, lambda: "x Export" in keys(app))
        titles = {command.title for command in pane.palette_commands()}
        assert {"Start the bench", "Export the bench", "Earlier benches"} <= titles
        assert "Next panel" not in titles


async def test_the_set_up_is_checked_and_remembered(tmp_path: Path) -> None:
    add_cpu_model(home_paths(tmp_path).models, "alpha")
    add_cpu_model(home_paths(tmp_path).models, "beta")
    async with opened(tmp_path) as (pilot, app, pane, _played):
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, BenchSetupScreen))
        await until(pilot, lambda: app.focused is not None)
        app.screen.query_one("#model", Select).value = "beta"
        app.screen.query_one("#lengths", Input).value = "32, 128 max"
        app.screen.query_one("#prompts", Input).value = "joke nonsense"
        await pilot.press("ctrl+s")
        fault = app.screen.query_one("#bench-fault", Static)
        await until(pilot, lambda: "no prompt 'nonsense'; there are: joke," in str(fault.content))
        assert app.focused is app.screen.query_one("#prompts")
        app.screen.query_one("#prompts", Input).value = "joke"
        app.screen.query_one("#duration_s", Input).value = "5m"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is app.main)
        assert "joke, lengths 32 128 max, 128 tokens, stress for 5 min 00 s" in head(pane)
        await app.workers.wait_for_complete()
    async with opened(tmp_path) as (_pilot, _app, pane, _played):
        assert pane.setup.model == "beta"
        assert pane.setup.plan.lengths == (32, 128, 0)
        assert pane.setup.plan.duration_s == 300


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
async def test_each_field_of_the_set_up_is_explained(tmp_path: Path, size: tuple[int, int]) -> None:
    assert set(FIELD_HELP) == {field.key for field in bench_fields.FIELDS} | {"model", "energy"}
    async with opened(tmp_path, size=size) as (pilot, app, _pane, _played):
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, BenchSetupScreen))
        await until(pilot, lambda: app.focused is not None)
        await pilot.press("f1")
        await until(pilot, lambda: bool(app.screen.query("#widget-help")))
        text = app.screen.query_one("#widget-help", Markdown)
        for key, help_text in FIELD_HELP.items():
            app.screen.query_one(f"#{key}").focus()
            await until(pilot, lambda words=help_text: text.source == words.rstrip())  # type: ignore[misc]
            await until(pilot, lambda: text.max_scroll_y == 0)


async def test_a_run_can_be_looked_at(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, app, _pane, played):
        await played_to_its_end(pilot, played, scene.session())
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, BenchDetailsScreen))
        text = app.screen.query_one("#facts-text", Static)
        await until(pilot, lambda: "103.0 tok/s; engine 103.2 tok/s" in str(text.content))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_the_history_shows_compares_and_removes(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, app, pane, played):
        old = scene.session()
        new = replace(
            scene.session(runs=20, slower=0.2), id="fedcba9876543210", began=old.began + 60
        )
        await played_to_its_end(pilot, played, old)
        await played_to_its_end(pilot, played, new)
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, BenchHistoryScreen))
        table = app.screen.table  # type: ignore[attr-defined]
        await until(pilot, lambda: list(table.keys) == [new.id, old.id])
        await pilot.press("m")
        assert table.row(new.id)[0].text == "●"
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, BenchCompareScreen))
        text = app.screen.query_one("#facts-text", Static)
        await until(pilot, lambda: "Decode p50" in str(text.content))
        assert "slower" in str(text.content)
        await pilot.press("y")
        await until(pilot, lambda: "Decode p50" in app.clipboard)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BenchHistoryScreen))
        await pilot.press("m", "enter")
        await until(pilot, lambda: app.screen is app.main)
        assert "Escape goes back" in head(pane)
        await until(pilot, lambda: len(rows(pane)) == 12)
        await pilot.press("escape")
        await until(pilot, lambda: len(rows(pane)) == 20 and pane.kept is None)
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, BenchHistoryScreen))
        await until(pilot, lambda: len(app.screen.table.keys) == 2)  # type: ignore[attr-defined]
        await pilot.press("delete")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: list(app.screen.table.keys) == [old.id])  # type: ignore[attr-defined]


@pytest.mark.parametrize("ending", [".json", ".csv", ".md", ".svg", ".html"])
async def test_export_writes_what_the_ending_says(tmp_path: Path, ending: str) -> None:
    async with opened(tmp_path) as (pilot, app, _pane, played):
        await played_to_its_end(pilot, played, scene.session())
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, BenchExportScreen))
        field = app.screen.query_one("#export-path", Input)
        await until(pilot, lambda: field.has_focus)
        assert field.value == "bench-smollm2-135m-instruct-20270115-0800.html"
        path = tmp_path / f"out{ending}"
        field.value = str(tmp_path / "out.txt")
        await pilot.press("enter")
        fault = app.screen.query_one("#export-fault", Static)
        await until(pilot, lambda: "must end with one of .html" in str(fault.content))
        path.write_text("before")
        field.value = str(path)
        await pilot.press("enter")
        await until(pilot, lambda: "is there already" in str(fault.content))
        assert path.read_text() == "before"
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert "smollm2-135m-instruct" in path.read_text("utf-8")
        assert any("Written" in text for text in notices(app))


async def test_the_shown_bench_is_copied_as_markdown(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, app, _pane, played):
        await played_to_its_end(pilot, played, scene.session())
        await pilot.press("y")
        await until(pilot, lambda: "| " in app.clipboard)
        assert "smollm2-135m-instruct" in app.clipboard


async def test_an_incomplete_bench_says_why(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, _app, pane, played):
        session = replace(scene.session(), complete=False, reason="The endpoint died.")
        await played_to_its_end(pilot, played, session)
        await until(pilot, lambda: "✗ incomplete: The endpoint died." in head(pane))


@pytest.mark.model
async def test_the_real_model_from_s_to_the_history_and_a_file(
    tmp_path: Path, real_models: Path
) -> None:
    paths = replace(home_paths(tmp_path), models=real_models)
    plan = Plan(prompts=("joke",), lengths=(64,), outputs=(8,), repeats=2, energy=False)
    setup = bench_fields.dump(bench_fields.Setup(NAME, plan=plan))
    Remembered(paths.remembered).set("bench", setup)
    app = WorkbenchApp(paths, Settings())
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: bool(app.main.query(BenchPane)))
        pane = app.main.query_one(BenchPane)
        async with app.reports.follow_engine().permit("chat"):
            await pilot.press("s")
            await until(pilot, lambda: "chat holds the permit" in head(pane))
            await until(pilot, lambda: "bench waits" in status(app))
        await pilot.press("1")  # it goes on behind another tab
        await until(pilot, lambda: "permit: bench" in status(app), 60)
        await until(pilot, lambda: pane.session is not None, 120)
        await pilot.press("3")
        await until(pilot, lambda: "✓ done in" in head(pane))
        assert [row[0] for row in rows(pane)] == ["2", "2", "1", "1", "warm-up"]
        await until(pilot, lambda: "What it means" in figures(pane))
        [kept] = await asyncio.to_thread(app.services.bench_history.list)
        assert (kept.model, kept.runs, kept.complete) == (NAME, 4, True)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, BenchExportScreen))
        field = app.screen.query_one("#export-path", Input)
        await until(pilot, lambda: field.has_focus)
        field.value = str(tmp_path / "bench.json")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
    document = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert [run["prompt_tokens"] for run in document["runs"] if run["prompt"] == "64 tokens"] == [
        64,
        64,
    ]
    assert all(run["ttft_ms"] > 0 for run in document["runs"])


# --- what is kept of a set-up --------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "[]", "nonsense", '{"repeats": "-1"}', '{"repeats": 7}', '{"lengths": "0 x"}', "{" * 5000],
)
def test_a_damaged_set_up_is_the_usual_one(text: str) -> None:
    assert bench_fields.load(text) == bench_fields.Setup()


def test_a_set_up_survives_the_round_trip() -> None:
    texts = {
        **bench_fields.as_texts(bench_fields.Setup()),
        "baseline": "http://127.0.0.1:11434#small", "prompts": "number joke", "text": "Why, though?",
        "lengths": "32 max", "outputs": "1 64", "contexts": "own 2048", "duration_s": "2h", "turns": "3",
    }  # fmt: skip
    setup, faults = bench_fields.checked("m", texts, energy=False, before=bench_fields.Setup().plan)
    assert faults == {}
    assert setup.plan.prompts == ("number", "joke", "Why, though?")
    assert setup.plan.contexts == (0, 2048)
    assert setup.plan.duration_s == 7200
    assert bench_fields.load(bench_fields.dump(setup)) == setup


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("~nobody-of-that-name/out.html", "There is no folder"),
        (f"{'x' * 300}.html", "could not be written"),
    ],
)
async def test_a_path_that_cannot_be_is_a_sentence(tmp_path: Path, path: str, words: str) -> None:
    async with opened(tmp_path) as (pilot, app, _pane, played):
        await played_to_its_end(pilot, played, scene.session())
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, BenchExportScreen))
        field = app.screen.query_one("#export-path", Input)
        await until(pilot, lambda: field.has_focus)
        field.value = path
        await pilot.press("enter")
        fault = app.screen.query_one("#export-fault", Static)
        await until(pilot, lambda: words in str(fault.content))
