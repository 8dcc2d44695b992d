"""F1: what it says within a dialog box, and that Escape leaves the help before anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import HelpPanel, Input, Markdown

from npurun_tui.app import WorkbenchApp
from npurun_tui.screens.server_fields import FIELDS
from npurun_tui.screens.server_help import FIELD_HELP, SET_UP
from npurun_tui.screens.server_settings import ServerSettingsScreen
from tests.support.workbench import NARROW, WIDE, make_app, until

CHOICES = {"token", "admin-token", "insecure", "tools", "log-prompts"}


def said(app: WorkbenchApp) -> str:
    """The help panel's text; empty where there is none."""
    panels = app.screen.query(HelpPanel)
    if not panels or not panels.first().has_class("-show-help"):
        return ""
    return panels.first().query_one("#widget-help", Markdown).source


async def set_up(pilot: Pilot[None], app: WorkbenchApp) -> None:
    await pilot.press("4", "e")
    await until(pilot, lambda: isinstance(app.screen, ServerSettingsScreen))
    await until(pilot, lambda: app.focused is not None)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
async def test_each_field_of_the_set_up_is_explained(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=size) as pilot:
        await set_up(pilot, app)
        await pilot.press("f1")
        for key in FIELD_HELP:
            app.screen.query_one(f"#{key}").focus()
            await until(pilot, lambda key=key: said(app) == FIELD_HELP[key].rstrip())  # type: ignore[misc]
            text = app.screen.query_one("#widget-help", Markdown)
            await until(pilot, lambda text=text: text.max_scroll_y == 0)  # type: ignore[misc]
        app.screen.query_one("#save").focus()
        await until(pilot, lambda: said(app) == SET_UP.rstrip())


def test_every_field_has_its_text() -> None:
    assert set(FIELD_HELP) == {field.key for field in FIELDS} | CHOICES


async def test_escape_leaves_the_help_first_and_the_dialog_box_after_it(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await set_up(pilot, app)
        app.screen.query_one("#bind", Input).value = "127.0.0.1:9"
        await pilot.press("f1")
        await until(pilot, lambda: bool(app.screen.query(HelpPanel)))
        await pilot.press("escape")
        await until(pilot, lambda: not app.screen.query(HelpPanel))
        assert isinstance(app.screen, ServerSettingsScreen)
        assert app.screen.query_one("#bind", Input).value == "127.0.0.1:9"
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


@pytest.mark.parametrize("tab", ["1", "2", "3", "4"])
async def test_escape_leaves_the_help_in_every_tab(tmp_path: Path, tab: str) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press(tab)
        if tab in "14":
            await pilot.press("slash")  # whose Escape is to end the filter
            await until(pilot, lambda: isinstance(app.focused, Input))
        before = app.focused
        await pilot.press("f1")
        await until(pilot, lambda: bool(app.screen.query(HelpPanel)))
        await pilot.press("escape")
        await until(pilot, lambda: not app.screen.query(HelpPanel))
        assert app.focused is before
        await pilot.press("escape")
        assert tab in "23" or not app.main.pane.has_class("-filtered")


async def test_the_palette_has_no_help_in_it(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press("f1")
        assert not app.screen.query(HelpPanel)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
