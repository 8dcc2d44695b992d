"""The shell of the workbench: tabs, themes, help, quitting, a terminal that is too small, and faults of our own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.app import SystemCommand
from textual.command import CommandList
from textual.content import Content
from textual.widgets import Markdown

from npurun_tui.app import WorkbenchApp
from npurun_tui.models import builtin
from npurun_tui.models.store import ModelStore
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.screens.models import ModelsPane
from npurun_tui.screens.quit import QuitScreen
from npurun_tui.screens.tabs import plain_command
from npurun_tui.settings import Remembered, Settings
from npurun_tui.stylesheets import stylesheets
from npurun_tui.text import one_line
from npurun_tui.widgets.key_bar import KeyBar
from npurun_tui.widgets.prompt import Prompt
from npurun_tui.widgets.tab_bar import TabBar
from tests.support.index_server import pause_after, serve
from tests.support.models import add_cpu_model
from tests.support.pulling import only_index
from tests.support.tiny_model import NAME, build_tiny_model
from tests.support.workbench import (
    NARROW,
    WIDE,
    burst,
    cells,
    home_paths,
    is_filled,
    make_app,
    notices,
    table,
    until,
)

SECRET = "my private prompt"


@pytest.fixture
def slow_pull(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A catalog with one model whose download stops after 300 kB until the event is set."""
    tiny = build_tiny_model()
    monkeypatch.setattr(builtin, "CATALOG", (tiny.entry,))
    gate = threading.Event()
    with serve(tiny) as index:
        only_index(monkeypatch, index.url)
        index.faults.append(pause_after(300_000, gate))
        yield gate
        gate.set()


def is_dark(app: WorkbenchApp) -> bool:
    return app.current_theme.dark


def is_covered(app: WorkbenchApp) -> bool:
    """The sentence about the terminal's size is over everything."""
    cover = app.main.query_one("#too-small")
    return cover.display and cover.region.contains_region(app.main.region)


def remembered_theme(home: Path) -> str:
    return Remembered(home_paths(home).remembered).get("theme")


# --- tabs --------------------------------------------------------------------------------------


async def test_a_pane_is_made_on_its_first_visit_and_kept(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        assert len(app.main.panes.children) == 1
        await pilot.press("2")
        await until(pilot, lambda: app.main.pane.id == "chat")
        chat = app.main.pane
        await pilot.press("ctrl+pageup")
        await until(pilot, lambda: app.main.pane.id == "models")
        await pilot.press("ctrl+pagedown")
        await until(pilot, lambda: app.main.pane is chat)
        assert len(app.main.panes.children) == 2


async def test_a_digit_is_typed_where_one_types(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: app.main.pane.id == "chat")
        await pilot.press("1", "q", "question_mark")
        assert app.main.query_one(Prompt).text == "1q?"
        assert app.main.pane.id == "chat"
        assert app.is_running


async def test_tabs_can_be_changed_while_one_types(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("alt+2")
        await until(pilot, lambda: app.main.pane.id == "chat")
        await pilot.press("alt+1")
        await until(pilot, lambda: app.main.pane.id == "models")
        assert app.main.query_one(Prompt).text == ""


async def test_the_key_bar_names_only_keys_that_work_while_one_types(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: app.main.query(Prompt).first().has_focus)
        await pilot.pause()
        shown = app.main.query_one(KeyBar).render().plain
        assert "^q Quit" in shown
        assert "F1 Keys" in shown
        assert "?" not in shown


async def test_q_does_not_quit_beside_the_prompt(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: app.main.pane.id == "chat")
        app.set_focus(None)
        await pilot.press("q")
        await pilot.pause()
        assert app.is_running
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)


async def test_digits_without_a_tab_do_nothing(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("9")
        assert isinstance(app.main.pane, ModelsPane)


async def test_tabs_and_keys_can_be_clicked(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        bar = app.main.query_one(TabBar)
        await pilot.click(bar, offset=(bar.render().plain.index("Chat"), 0))
        await until(pilot, lambda: app.main.pane.id == "chat")
        await pilot.click(bar, offset=(bar.render().plain.index("Models"), 0))
        await until(pilot, lambda: app.main.pane.id == "models")
        keys = app.main.query_one(KeyBar)
        await pilot.click(keys, offset=(keys.render().plain.index("Keys"), 0))
        await until(pilot, lambda: bool(app.screen.query("HelpPanel")))


async def test_a_model_named_at_the_start_is_opened_in_the_chat(tmp_path: Path) -> None:
    add_cpu_model(home_paths(tmp_path).models, "alpha")
    app = make_app(tmp_path, model="alpha")
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: app.main.pane.id == "chat")


# --- help, palette -----------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["f1", "question_mark"])
async def test_help_comes_and_goes_and_speaks_of_the_pane(app: WorkbenchApp, key: str) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: bool(app.screen.query("HelpPanel")))
        words = "**Enter** does what is next"  # of the Models tab
        await until(pilot, lambda: words in app.screen.query_one("#widget-help", Markdown).source)
        await pilot.press(key)
        await until(pilot, lambda: not app.screen.query("HelpPanel"))


async def test_the_palette_has_the_tabs_and_the_pane_s_commands(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: is_filled(app))
        titles = [command.title for command in app.get_system_commands(app.main)]
        assert {"Go to Chat", "Refresh the models", "Dark or light", "Theme", "Quit"} <= set(titles)
        assert "Go to Models" not in titles


@pytest.mark.parametrize(
    "name", ["[@click=app.quit]clickme", "[B]", r"\[red]", "[/]", "[1]", "[[$x] ", "a[", "]\u202e["]
)
async def test_a_name_in_the_palette_is_never_markup(name: str) -> None:
    def nothing() -> None: ...

    command = plain_command(SystemCommand(f"Remove {name}", name, nothing))
    for text in (command.title, command.help):
        content = Content.from_markup(text)
        assert not content.spans
        assert "\u202e" not in content.plain
    title = Content.from_markup(command.title).plain
    assert title.replace("\N{SET MINUS}", "\\") == one_line(f"Remove {name}")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such folder names")
async def test_a_folder_named_like_a_link_stays_text_in_the_palette(tmp_path: Path) -> None:
    name = "[@click=app.quit]clickme"
    folder = home_paths(tmp_path).models / name
    folder.mkdir(parents=True)
    (folder / "npurun.json").write_text("{")
    app = make_app(tmp_path)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: is_filled(app))
        await pilot.press("ctrl+p", *"clickme")

        def found() -> list[Content]:
            options = app.screen.query_one(CommandList).options
            shown = [option.prompt for option in options if isinstance(option.prompt, Content)]
            return [prompt for prompt in shown if f"Remove {name}" in prompt.plain]

        await until(pilot, lambda: bool(found()))
        assert not any("@click" in str(span.style) for span in found()[0].spans)


# --- themes ------------------------------------------------------------------------------------


async def test_the_theme_is_remembered(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        assert is_dark(app)
        await pilot.press("f2")
        assert not is_dark(app)
        await until(pilot, lambda: remembered_theme(tmp_path) == app.theme)
    again = make_app(tmp_path)
    async with again.run_test(size=NARROW):
        assert again.theme == app.theme


async def test_of_many_quick_switches_the_last_theme_is_remembered(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await burst(pilot, *["f2"] * 7)
        await app.workers.wait_for_complete()
        assert remembered_theme(tmp_path) == app.theme


async def test_the_configured_theme_goes_before_the_remembered_one(tmp_path: Path) -> None:
    Remembered(home_paths(tmp_path).remembered).set("theme", "nord")
    app = make_app(tmp_path, Settings(theme="ansi-dark"))
    async with app.run_test(size=NARROW) as pilot:
        assert app.theme == "ansi-dark"
        await pilot.press("f2")
        assert app.theme == "ansi-light"


async def test_a_theme_that_does_not_exist_is_named(tmp_path: Path) -> None:
    app = make_app(tmp_path, Settings(theme="[red]no such"))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: bool(notices(app)))
        assert "[red]no such" in notices(app)[0]


async def test_a_state_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    home_paths(tmp_path).state.write_text("a file")
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("f2")
        await app.workers.wait_for_complete()
        assert not is_dark(app)


async def test_warnings_of_the_settings_are_shown(tmp_path: Path) -> None:
    app = make_app(tmp_path, Settings(warnings=("config.toml: [b]unknown[/b] setting.",)))
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: notices(app) == ["config.toml: [b]unknown[/b] setting."])


# --- size --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(59, 24), (80, 15), (1, 1), (10, 40)])
async def test_a_terminal_that_is_too_small_says_so_and_comes_back(
    app: WorkbenchApp, size: tuple[int, int]
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: is_filled(app))
        assert not is_covered(app)
        await pilot.resize_terminal(*size)
        await pilot.pause()
        assert is_covered(app)
        assert f"{size[0]} × {size[1]}" in str(app.main.query_one("#too-small").render())
        await pilot.resize_terminal(60, 16)
        await pilot.pause()
        assert not is_covered(app)
        assert app.focused is table(app)


async def test_nothing_that_is_covered_hears_a_key(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: is_filled(app))
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.focused, Prompt))
        prompt = app.focused
        assert isinstance(prompt, Prompt)
        await pilot.press("h", "i")
        await pilot.resize_terminal(60, 15)
        await until(pilot, lambda: is_covered(app))
        await pilot.press("x", "enter", "ctrl+pageup", "p", "r", "ctrl+pagedown")
        assert app.screen is app.main
        assert not app.services.pulls.open_jobs
        await pilot.resize_terminal(*NARROW)
        await until(pilot, lambda: app.focused is prompt)
        assert prompt.text == "hi"


async def test_it_may_begin_too_small(app: WorkbenchApp) -> None:
    async with app.run_test(size=(20, 5)) as pilot:
        assert is_covered(app)
        await pilot.resize_terminal(*NARROW)
        await until(pilot, lambda: is_filled(app))
        assert not is_covered(app)


async def test_a_resize_behind_a_dialog_box_is_made_up_for(app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        app.push_screen(ConfirmScreen("Title", "Question?", yes="Yes", no="No"))
        await pilot.pause()
        await pilot.resize_terminal(40, 10)
        await pilot.press("escape")
        await until(pilot, lambda: is_covered(app))


# --- quitting ----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_quitting_is_one_key(app: WorkbenchApp, key: str) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0


async def test_two_quit_keys_in_one_read_ask_once(
    tmp_path: Path, slow_pull: threading.Event
) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: NAME in table(app).keys)
        await pilot.press("p")
        await until(pilot, lambda: "━" in cells(app, NAME)[1])
        await burst(pilot, "ctrl+q", "ctrl+q", "q")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is app.main)
        slow_pull.set()


async def test_the_question_before_quitting_follows_what_it_asks_about(
    tmp_path: Path, slow_pull: threading.Event
) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: NAME in table(app).keys)
        await pilot.press("p")
        await until(pilot, lambda: "━" in cells(app, NAME)[1])
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))

        def asked() -> str:
            parts = app.screen.query(".dialog-title, .dialog-text")
            return " ".join(str(part.render()) for part in parts)

        assert "1 pull is on its way" in asked()
        slow_pull.set()
        await until(pilot, lambda: "Nothing is on its way any more" in asked())
        assert "download" not in asked()
        await pilot.press("n")
        await until(pilot, lambda: app.screen is app.main)
        assert cells(app, NAME)[1] == "✓ installed"
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)


async def test_quitting_with_a_pull_asks_and_the_pull_resumes_in_the_next_run(
    tmp_path: Path, slow_pull: threading.Event
) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: NAME in table(app).keys)
        await pilot.press("p")
        await until(pilot, lambda: "━" in cells(app, NAME)[1])
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        text = str(app.screen.query_one(".dialog-text").render())
        assert "1 download will stop" in text
        assert "goes on from there" in text
        await pilot.press("n")
        await until(pilot, lambda: app.screen is app.main)
        assert app.is_running
        await pilot.press("q", "y")
        await until(pilot, lambda: not app.is_running)
    store = ModelStore(home_paths(tmp_path).models)
    assert store.partials()[NAME] > 0

    slow_pull.set()
    again = make_app(tmp_path)
    async with again.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: NAME in table(again).keys)
        assert cells(again, NAME)[1].startswith("‖ paused")
        await pilot.press("p")
        await until(pilot, lambda: cells(again, NAME)[1] == "✓ installed")
    assert store.get(NAME).name == NAME


# --- faults of our own -------------------------------------------------------------------------


async def test_a_fault_of_our_own_leaves_a_crash_file_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app(tmp_path)

    def fail() -> None:
        raise RuntimeError(SECRET)

    async def run() -> None:
        async with app.run_test(size=NARROW) as pilot:
            app.call_later(fail)
            await pilot.pause()

    with pytest.raises(RuntimeError):
        await run()
    assert app.crash is not None
    assert app.crash.parent == home_paths(tmp_path).state
    report = app.crash.read_text("utf-8")
    assert "RuntimeError" in report
    assert "in fail" in report
    assert "private" not in report
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    assert app.return_code == 1


def test_the_style_sheets_are_found_and_few() -> None:
    names = [path.name for path in stylesheets()]
    assert {"app.tcss", "models.tcss"} <= set(names)
    assert len(names) <= 7
