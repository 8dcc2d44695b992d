"""The table by itself: what it draws, where the cursor goes, and what it says of it."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.events import Click

from npurun_tui.widgets.row_table import Cell, Column, RowTable

COLUMNS = (Column("Name", 8), Column("Size", 5, right=True), Column("Extra", 6))


class TableApp(App[None]):
    """A table of 18 columns by 6 lines: a header and five rows."""

    CSS = "RowTable { width: 19; height: 6; scrollbar-size-vertical: 1; overflow-x: hidden; }"

    def __init__(self) -> None:
        super().__init__()
        self.moved: list[str] = []
        self.selected: list[str] = []

    def compose(self) -> ComposeResult:
        yield RowTable()

    @property
    def table(self) -> RowTable:
        return self.query_one(RowTable)

    def on_row_table_moved(self, event: RowTable.Moved) -> None:
        self.moved.append(event.key)

    def on_row_table_selected(self, event: RowTable.Selected) -> None:
        self.selected.append(event.key)

    def lines(self) -> list[str]:
        return [self.table.render_line(y).text.rstrip() for y in range(6)]


def rows(*keys: str) -> dict[str, tuple[Cell, ...]]:
    return {key: (Cell(key), Cell(str(len(key)), "good"), Cell("e")) for key in keys}


MANY = [f"row {number:02}" for number in range(20)]


@pytest.fixture
def app() -> TableApp:
    return TableApp()


async def test_lines_fit_exactly_whatever_is_in_them(app: TableApp) -> None:
    async with app.run_test():
        app.table.fit(COLUMNS, 19)
        app.table.show(rows("short", "a name that is too long", "字字字字字字", "é"))
        assert [column.title for column in app.table.columns] == ["Name", "Size"]
        widths = {app.table.render_line(y).cell_length for y in range(6)}
        assert widths == {app.table.size.width}
        shown = app.lines()
        assert shown[0].split() == ["Name", "Size"]
        assert shown[2].split()[0:2] == ["a", "name"]
        assert "…" in shown[2]
        assert "字字字 …" in shown[3], "half a sign is not drawn"
        assert shown[5] == ""


async def test_the_cursor_stays_within_and_in_view(app: TableApp) -> None:
    async with app.run_test() as pilot:
        app.table.fit(COLUMNS, 19)
        app.table.show(rows(*MANY))
        await pilot.pause()
        await pilot.press("up")
        assert app.table.cursor_key == "row 00"
        await pilot.press("j", "down", "k")
        assert app.table.cursor_key == "row 01"
        await pilot.press("end")
        assert app.table.cursor_key == "row 19"
        assert "row 19" in "\n".join(app.lines())
        await pilot.press("pageup")
        assert app.table.cursor_key == "row 15"
        await pilot.press("g")
        assert app.lines()[1].strip().startswith("row 00")
        await pilot.press("pagedown", "enter")
        assert app.selected == ["row 04"]


async def test_the_cursor_follows_its_row_and_says_when_that_changes(app: TableApp) -> None:
    async with app.run_test() as pilot:
        app.table.fit(COLUMNS, 19)
        app.table.show(rows("a", "b", "c"))
        app.table.go_to("b")
        await pilot.pause()
        app.table.show(rows("b", "c"))
        await pilot.pause()
        assert app.table.cursor_key == "b"
        app.table.show(rows("c"))
        await pilot.pause()
        assert app.table.cursor_key == "c"
        assert app.moved[-1] == "c"
        app.table.show({})
        await pilot.press("down", "enter")
        assert not app.table.cursor_key
        assert app.selected == []
        app.table.show(rows("d"))
        await pilot.press("enter")
        assert app.selected == ["d"]


async def test_a_changed_cell_is_drawn(app: TableApp) -> None:
    async with app.run_test() as pilot:
        app.table.fit(COLUMNS, 19)
        app.table.show(rows("a", "b"))
        app.table.show({**rows("a"), "b": (Cell("new"), Cell("9"), Cell(""))})
        await pilot.pause()
        assert app.lines()[2].split() == ["new", "9"]


async def test_a_click_below_the_last_row_or_on_the_header_is_nothing(app: TableApp) -> None:
    async with app.run_test() as pilot:
        app.table.fit(COLUMNS, 19)
        app.table.show(rows("a", "b"))
        await pilot.click(RowTable, offset=(2, 2))
        assert app.table.cursor_key == "b"
        await pilot.double_click(RowTable, offset=(2, 0))
        await pilot.double_click(RowTable, offset=(2, 5))
        assert app.table.cursor_key == "b"
        assert app.selected == []
        await pilot.double_click(RowTable, offset=(2, 1))
        assert app.selected == ["a"]


async def test_a_table_that_becomes_lower_keeps_its_cursor_in_view(app: TableApp) -> None:
    async with app.run_test() as pilot:
        app.table.fit(COLUMNS, 19)
        app.table.show(rows(*MANY))
        app.table.go_to("row 04")
        await pilot.pause()
        app.table.styles.height = 4
        await pilot.pause()
        assert "row 04" in "\n".join(app.table.render_line(y).text for y in range(4))


async def test_two_clicks_at_one_place_are_no_double_click_where_the_rows_have_moved(
    app: TableApp,
) -> None:
    async with app.run_test() as pilot:
        app.table.fit(COLUMNS, 19)
        app.table.show(rows("a", "b"))
        await pilot.click(RowTable, offset=(2, 1))
        app.table.show(rows("b", "a"))
        second = Click(app.table, 2, 1, 0, 0, 1, False, False, False, chain=2)
        app.screen._forward_event(second)
        await pilot.pause()
        assert (app.table.cursor_key, app.selected) == ("b", [])
        await pilot.double_click(RowTable, offset=(2, 1))
        assert app.selected == ["b"]


async def test_only_the_left_button_acts(app: TableApp) -> None:
    async with app.run_test() as pilot:
        app.table.fit(COLUMNS, 19)
        app.table.show(rows("a", "b"))
        await pilot.click(RowTable, offset=(2, 2), button=3, times=2)
        assert (app.table.cursor_key, app.selected) == ("a", [])


async def test_the_row_under_the_pointer_is_marked(app: TableApp) -> None:
    async with app.run_test() as pilot:
        app.table.fit(COLUMNS, 19)
        app.table.show(rows("a", "b"))
        await pilot.hover(RowTable, offset=(2, 2))
        assert app.table.hover == 1
        await pilot.hover(offset=(40, 15))
        assert app.table.hover == -1
