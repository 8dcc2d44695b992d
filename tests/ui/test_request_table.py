"""The table of requests, which is the one of a bench's runs as well: when it follows the newest row."""

from __future__ import annotations

from textual.app import App, ComposeResult

from npurun_tui.screens.server_table import RequestTable
from npurun_tui.widgets.row_table import Cell, Column


class RequestApp(App[None]):
    CSS = "RequestTable { width: 19; height: 6; scrollbar-size-vertical: 1; overflow-x: hidden; }"

    def compose(self) -> ComposeResult:
        yield RequestTable()

    @property
    def table(self) -> RequestTable:
        return self.query_one(RequestTable)

    def show(self, *keys: str) -> None:
        self.table.fit((Column("Name", 8), Column("Extra", 6)), 19)
        self.table.update_rows({key: (Cell(key), Cell("")) for key in keys})


async def test_a_click_on_an_older_row_stays_with_it_and_one_on_the_newest_follows() -> None:
    app = RequestApp()
    async with app.run_test() as pilot:
        app.show("2", "1")
        await pilot.click(RequestTable, offset=(2, 2))
        app.show("3", "2", "1")
        assert app.table.cursor_key == "1"
        await pilot.click(RequestTable, offset=(2, 1))
        app.show("4", "3", "2", "1")
        await pilot.pause()
        assert app.table.cursor_key == "4"
