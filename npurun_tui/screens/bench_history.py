"""The benches that were kept: one is shown in the tab, two are compared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widgets import Static

from npurun_tui.bench.records import Session
from npurun_tui.errors import NpurunError
from npurun_tui.screens import bench_words
from npurun_tui.screens.bench_rows import figure, span
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.widgets.notices import complain, say
from npurun_tui.widgets.row_table import Cell, Column, Row, RowTable

if TYPE_CHECKING:
    from npurun_tui.bench.history import History, Kept

LIMIT: Final = 500
"""Benches that are listed, the newest."""

COLUMNS: Final = (
    Column("", 2),
    Column("When", 16),
    Column("Model", 16),
    Column("Device", 12, rank=1),
    Column("tok/s", 6, right=True),
    Column("TTFT", 7, right=True),
    Column("Runs", 5, right=True, rank=2),
    Column("Against", 20, rank=4),
    Column("Ended", 10, rank=3),
)
_MODEL: Final = 2
_EMPTY: Final = "Nothing was kept yet: every bench of this tab is, when it ends."
_HELP: Final = (
    "Enter shows it. m marks one, Enter on another compares them. Delete removes, Escape closes."
)
_MARKED: Final = "● is marked: Enter on another one compares them. m takes the mark away."

T = TypeVar("T")


class BenchHistoryScreen(ModalScreen[Session | None]):
    """Dismissed with the session that is to be shown, or None."""

    HELP = """\
    ## Earlier benches

    **Enter** shows one in the tab. **m** marks one, and **Enter** on another then compares the two: the older one is
    on the left. **Delete** removes one for good, after a question. **✗**: it ended before all was measured.
    """

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("m,space", "mark", "Mark"),
        Binding("delete,backspace", "remove", "Remove"),
        Binding("escape,h,q", "close", "Close"),
    ]

    def __init__(self, history: History) -> None:
        """Reads it in a thread."""
        super().__init__()
        self._history = history
        self._kept: dict[str, Kept] = {}
        self._marked = ""
        self.table = RowTable(id="bench-history-table")
        self._help = Static(id="bench-history-help", classes="dialog-help")

    def compose(self) -> ComposeResult:
        """The list, and what can be done with it."""
        with Vertical(classes="dialog-box", id="bench-history"):
            yield Static("Earlier benches", classes="dialog-title")
            yield self.table
            yield self._help

    def on_mount(self) -> None:
        """Read the list."""
        self.table.focus()
        self.read()

    def on_resize(self, _event: Resize) -> None:
        """Follow the terminal."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if width := self.table.size.width:
            self.table.fit(COLUMNS, width, grower=_MODEL)

    @work(group="history")
    async def read(self) -> None:
        """What is kept now."""
        found = await self._try(lambda: asyncio.to_thread(self._history.list, LIMIT))
        self._kept = {kept.id: kept for kept in found or []}
        self._show()
        if self._history.notice:
            say(self, self._history.notice, severity="warning")

    async def _try(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """What `work` gives; where it cannot, that is said."""
        try:
            return await work()
        except NpurunError as error:
            complain(self, error)
            return None

    def _show(self) -> None:
        if self._marked not in self._kept:
            self._marked = ""
        self._fit()
        self.table.show(
            {key: _cells(kept, key == self._marked) for key, kept in self._kept.items()}
        )
        words = _MARKED if self._marked else _HELP if self._kept else _EMPTY
        self._help.update(Content(words))

    def action_mark(self) -> None:
        """Mark the bench under the cursor, or take the mark away."""
        key = self.table.cursor_key or ""
        self._marked = "" if key == self._marked else key
        self._show()

    @on(RowTable.Selected)
    def _selected(self, event: RowTable.Selected) -> None:
        if self._marked and self._marked != event.key:
            self.compare(self._marked, event.key)
        else:
            self.choose(event.key)

    @work(group="choose", exclusive=True)
    async def choose(self, key: str) -> None:
        """Close with the session of that id."""
        session = await self._try(lambda: asyncio.to_thread(self._history.get, key))
        if session is not None:
            self.dismiss(session)

    @work(group="choose", exclusive=True)
    async def compare(self, one: str, other: str) -> None:
        """Both side by side, the older one on the left."""
        from npurun_tui.screens.bench_compare import BenchCompareScreen, compared

        old, new = sorted((one, other), key=lambda key: self._kept[key].began)
        found = await self._try(lambda: asyncio.to_thread(compared, self._history, old, new))
        if found is not None:
            await self.app.push_screen_wait(BenchCompareScreen(found))

    @work(group="choose", exclusive=True)
    async def action_remove(self) -> None:
        """Remove the bench under the cursor for good."""
        kept = self._kept.get(self.table.cursor_key or "")
        if kept is None:
            return
        words = (
            f"{kept.model} of {bench_words.when(kept.began)} is taken out of the history for good."
        )
        box = ConfirmScreen("Remove this bench?", words, yes="Remove", no="Keep")
        if await self.app.push_screen_wait(box):
            await self._try(lambda: asyncio.to_thread(self._history.remove, kept.id))
            self.read()

    def action_close(self) -> None:
        """Back to the tab."""
        self.dismiss(None)


def _cells(kept: Kept, marked: bool) -> Row:
    look = "" if kept.complete else "warning"
    texts = (
        f"{'●' if marked else ' '}{'' if kept.complete else '✗'}",
        bench_words.when(kept.began),
        kept.name or kept.model,
        kept.device,
        figure(kept.decode_tps),
        span(kept.ttft_ms),
        f"{kept.runs:,}",
        kept.baseline,
        "complete" if kept.complete else "incomplete",
    )
    return tuple(Cell(text, look) for text in texts)
