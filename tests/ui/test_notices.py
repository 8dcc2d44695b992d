"""Notices never lie over anything: what stands there gives way to them, and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets._toast import Toast, ToastRack

from npurun_tui.app import WorkbenchApp
from npurun_tui.widgets.key_bar import KeyBar
from npurun_tui.widgets.notices import say
from npurun_tui.widgets.status_bar import StatusBar
from tests.support.workbench import NARROW, WIDE, make_app, until

LONG = "The lock is held by another process, which has to end before this model can be pulled. " * 2
PLACES = {
    "models": ("", "#models"),
    "chat": ("2", "#chat"),
    "bench": ("3", "#bench"),
    "server": ("4", "#server"),
    "connect": ("4 c", ".dialog-box"),
    "set-up": ("4 e", ".dialog-box"),
    "palette": ("4 ctrl+p", "CommandList"),
}
"""Keys, and what a notice must keep clear of then."""


def toasts(app: WorkbenchApp) -> list[Region]:
    return [toast.region for toast in app.screen.query(Toast) if toast.region]


def bars(app: WorkbenchApp) -> list[Widget]:
    return [app.main.query_one(StatusBar), app.main.query_one(KeyBar)]


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
@pytest.mark.parametrize("place", PLACES)
async def test_a_notice_covers_nothing(tmp_path: Path, place: str, size: tuple[int, int]) -> None:
    keys, kept_clear = PLACES[place]
    app = make_app(tmp_path)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press(*keys.split())
        await until(pilot, lambda: bool(app.screen.query(kept_clear)))
        app.clear_notifications()
        await until(pilot, lambda: not toasts(app))
        before = app.screen.query_one(kept_clear).region
        say(app, "Copied.")
        say(app, LONG, severity="error")
        await until(pilot, lambda: len(toasts(app)) == 2)
        covered = [app.screen.query_one(kept_clear), *bars(app)]
        for notice in toasts(app):
            assert app.screen.region.contains_region(notice)
            assert not [part for part in covered if part.region.overlaps(notice)]
        app.clear_notifications()
        await until(pilot, lambda: app.screen.query_one(kept_clear).region == before)


async def test_what_gave_way_can_be_clicked(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW, notifications=True) as pilot:
        await pilot.press("4", "c")
        await until(pilot, lambda: bool(app.screen.query("#clients")))
        for _ in range(4):
            say(app, LONG)
        await until(pilot, lambda: bool(toasts(app)))
        clients = app.screen.query_one("#clients", OptionList)
        await pilot.click("#clients", offset=(2, 4))
        await until(pilot, lambda: clients.highlighted == 4)


async def test_many_notices_leave_room_for_the_screen(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=NARROW, notifications=True) as pilot:
        for number in range(12):
            say(app, f"{number}. {LONG}")
        await until(pilot, lambda: len(app.screen.query(Toast)) == 12)
        newest = app.screen.query(Toast).last()
        await until(pilot, lambda: newest.region.bottom == app.main.query_one(StatusBar).region.y)
        assert app.screen.query_one(ToastRack).region.height == 6
        assert app.main.pane.region.height == NARROW[1] - 9
