"""The chat's settings by themselves."""

from __future__ import annotations

from textual.app import App
from textual.widgets import Select

from npurun_tui.chat.model import ChatSettings
from npurun_tui.screens.chat_settings import ChatSettingsScreen, Chosen
from npurun_tui.stylesheets import stylesheets


async def test_models_of_another_server_may_be_called_anything() -> None:
    hostile = "[/red]\x1b[2J[link=x]y"
    app: App[None] = App(css_path=list(stylesheets()))
    chosen: list[Chosen | None] = []
    async with app.run_test(size=(80, 24)) as pilot:
        screen = ChatSettingsScreen(["alpha", hostile], hostile, ChatSettings())
        app.push_screen(screen, chosen.append)
        await pilot.pause()
        screen.query_one("#model", Select).focus()
        await pilot.press("enter")
        await pilot.pause()
        assert "\x1b[2J" not in app.export_screenshot()
        await pilot.press("escape", "ctrl+s")
        await pilot.pause()
    assert [each and each.model for each in chosen] == [hostile]
