"""The Models tab as it is seen: the filter, the table, the details, the disk. What can be done is in `models`.

Nothing here changes anything: what is on the disk is looked at in `model_look`, and the rows are made by `model_rows`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.content import Content
from textual.geometry import Size
from textual.timer import Timer
from textual.widgets import Input, Static

from npurun_tui.screens.model_disk import disk_line
from npurun_tui.screens.model_look import ModelsLook
from npurun_tui.screens.model_order import Order, arranged
from npurun_tui.screens.model_row import ModelRow
from npurun_tui.screens.model_table import WITH_PACE, WITHOUT_PACE, FilterInput, MadeCells
from npurun_tui.screens.model_texts import first_model_card
from npurun_tui.text import printable
from npurun_tui.widgets.facts import FactsPanel
from npurun_tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from npurun_tui.hardware.summary import RuntimeSummary
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.fit import MachineFacts
    from npurun_tui.models.jobs import PullManager
    from npurun_tui.models.store import ModelStore

WIDE: Final = 100
"""From this width on the details stand beside the table, else below it."""
TALL: Final = 20
"""Below this height the details below the table would take it the rows; they come when they are asked for."""
MAX_DETAILS: Final = 56
FIRST_PAINT: Final = 0.05
"""Seconds that the first paint may wait for the first scan; painting twice costs about as much."""
REFRESH: Final = 0.25
"""Seconds between two redraws while something is pulled."""


class ModelsView(ModelsLook):
    """Models on this machine, and the ones that can be pulled."""

    def __init__(
        self,
        store: ModelStore,
        pulls: PullManager,
        catalog: Callable[[], Sequence[CatalogEntry]],
        *,
        runtime: Callable[[], Awaitable[RuntimeSummary]],
        machine: Callable[[], Awaitable[MachineFacts]],
    ) -> None:
        """`catalog` may block: it is asked in a thread."""
        super().__init__(store, pulls, catalog, runtime=runtime, machine=machine)
        # Held, not looked up: what ends in a worker while the screen is taken down finds no widget any more.
        self._beginners = Static(id="first-model")
        self._filter = FilterInput(placeholder="any words", compact=True, id="models-filter")
        self._count = Static(id="models-count")
        self.table = RowTable(id="models-table")
        self._cells = MadeCells()
        self._panel = FactsPanel(id="models-details")
        self._disk = Static(id="disk")
        self._runtime = Static(id="runtime")
        self._order = Order()
        self._offer: object = None
        self._new = ""  # what an import has just brought: the cursor goes there when its row comes
        self._details: bool | None = None  # None: the person has not said whether they want them
        self._card = ""
        self._paced = False
        self._redraw: Timer | None = None

    def compose(self) -> ComposeResult:
        """The card for beginners, the filter, the table and the details, what is known of disk and NPU."""
        yield self._beginners
        with Horizontal(id="models-filter-line"):
            yield Static("/", id="models-filter-sign")
            yield self._filter
            yield self._count
        with Container(id="models-body"):
            yield self.table
            yield self._panel
        yield self._disk
        yield self._runtime

    @property
    def row(self) -> ModelRow | None:
        """The model under the cursor."""
        return self.state.rows.get(self.table.cursor_key or "")

    @property
    def rows(self) -> Sequence[ModelRow]:
        """Every model, also those that the filter hides."""
        return list(self.state.rows.values())

    @property
    def wanted(self) -> str:
        """What the filter holds."""
        return self._filter.value.strip()

    def focus_main(self) -> None:
        """The table has the keyboard."""
        self.table.focus()

    # --- layout --------------------------------------------------------------------------------

    async def on_mount(self) -> None:
        """Have the rows in the first paint, unless the disk is slow: then they come when they are there."""
        self._fit()
        self.begin_looking()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_PAINT):
                await self._scanned.wait()
        self.call_after_refresh(self._ask_system)

    def on_resize(self) -> None:
        """Follow the terminal."""
        self._fit()
        self.show_disk()

    def watch_virtual_size(self) -> None:
        """Textual (8.2) tells of no resize where a widget that is just mounted, the help, takes the room, and something
        asked for any widget's place before the layout: the room is another one all the same."""
        self.call_later(self.on_resize)

    @property
    def _room(self) -> Size:
        """Cells across the tab, of which the help takes some, and lines of the terminal."""
        return Size(self.size.width or self.app.size.width, self.app.size.height)

    def _fit(self) -> None:
        """Details beside the table or below it, and the table's columns in what is left."""
        size = self._room
        wide = size.width >= WIDE
        beside = min(MAX_DETAILS, size.width * 34 // 100) if wide else 0
        self._panel.styles.width = beside or None
        self.table.fit(WITH_PACE if self._paced else WITHOUT_PACE, size.width - beside)
        shown = size.height >= TALL if self._details is None else self._details
        self.set_class(not shown, "-no-details")
        if wide != self.has_class("-wide"):
            self.set_class(wide, "-wide")
            self.refresh_bindings()

    # --- what is shown -------------------------------------------------------------------------

    def show(self) -> None:
        """Draw what has changed."""
        if not self.is_attached:
            return
        rows = self.state.make_rows()
        self._show_pace()
        shown = arranged(rows, self._order, self.wanted)
        self.table.mark(self._order.column, self._order.sign)
        self.table.show(self._cells.of(shown))
        self._visit_what_is_new()
        self._show_count(len(shown), len(rows))
        card = str(self.state.seen.error or first_model_card(rows))
        if card != self._card:  # an update lays out the whole screen
            self._card = card
            self._beginners.update(Content(printable(card)))
            self.set_class(bool(card), "-no-model")
        self.show_disk()
        self._show_details()

    def _visit_what_is_new(self) -> None:
        """Put the cursor on what is being imported, once, and on what came of it; not where the filter hides it."""
        if self._new in self.state.rows:
            self._go_to(self._new)
            self._new = ""
        for job in self.state.imports.values():
            if job.settled.is_set() and not job.fault and not job.visited:
                job.visited = True
                self._go_to(job.name)

    def _go_to(self, name: str) -> None:
        if name in self.table.keys:
            self.table.go_to(name)

    def _show_pace(self) -> None:
        """Speed and time left have a column while something is on its way."""
        busy = self.state.busy
        if busy != self._paced:
            self._paced = busy
            self._fit()
        self.measure_often(busy)

    def _show_count(self, shown: int, every: int) -> None:
        words = f"{shown} of {every}" if self.wanted else f"{every}"
        self._count.update(Content(words), layout=False)

    def show_disk(self) -> None:
        """Draw how much room there is."""
        state, limit = self.state, self._pulls.limiter.rate
        line, warns = disk_line(
            state.seen.disk, state.used, state.needed, limit, self._room.width - 2
        )
        self._disk.update(Content(line), layout=False)
        self._disk.set_class(warns, "-warns")

    def show_runtime(self, words: str) -> None:
        """Draw what was found of the NPU."""
        self._runtime.update(Content(words))

    def _show_details(self) -> None:
        row = self.row
        if row is not None:
            self._panel.say(row.label, row.title, row.progress, row.note, row.facts, row.sections)
        elif self.wanted:
            self._panel.say("No model matches.", note="Escape shows all of them again.")
        else:
            self._panel.say("")
        offer = row and (row.kind, row.removable, row.pull, row.checking)
        if (offer, self.wanted) != self._offer:
            self._offer = (offer, self.wanted)
            self.refresh_bindings()

    def redraw_soon(self) -> None:
        """Progress is drawn a few times a second."""
        if self._redraw is None:
            self._redraw = self.set_timer(REFRESH, self.redraw)

    def redraw(self) -> None:
        """Draw progress. Not while the disk is looked at: what has just ended would be shown as it never was."""
        if self._redraw is not None:
            self._redraw.stop()
        self._redraw = None
        if not self.is_on_screen:
            return  # `on_show` goes on
        if not self._stale:
            self.show()
        if self.state.busy:
            self.redraw_soon()  # a thread tells nobody that it goes on, and a server not that it is silent

    def on_show(self) -> None:
        """What changed behind another tab was not drawn, and others write to the disk as well."""
        if self._scanned.is_set():
            self.redraw()
            self.look_again()

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self._show_details()

    # --- sorting and filtering -----------------------------------------------------------------

    @on(RowTable.HeaderClicked)
    def _header_clicked(self, event: RowTable.HeaderClicked) -> None:
        self.sort_by(event.title)

    def sort_by(self, column: str) -> None:
        """Sort by a column; once more reverses."""
        self.sort(self._order.clicked(column))

    def sort(self, order: Order) -> None:
        """Sort by another column, or the other way round."""
        self._order = order
        self.show()

    def action_filter(self) -> None:
        """Show the filter and give it the keyboard."""
        self.add_class("-filtered")
        self._filter.focus()

    def clear_filter(self) -> None:
        """Show every model again."""
        self._filter.value = ""
        self.remove_class("-filtered")
        self.table.focus()
        self.show()

    @on(Input.Changed, "#models-filter")
    def _filter_changed(self) -> None:
        self.show()

    @on(Input.Submitted, "#models-filter")
    def _filter_done(self) -> None:
        """To the rows that are left; an empty filter goes."""
        self.set_class(bool(self.wanted), "-filtered")
        self.table.focus()
