"""The Server tab as it is seen: the head, the plot, the table of requests. What can be done is in `server`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Sparkline, Static

from npurun_tui import units
from npurun_tui.screens import server_words
from npurun_tui.screens.model_table import FilterInput
from npurun_tui.screens.server_entry import CLIENT, Entry, cells_of, columns_for
from npurun_tui.screens.server_rates import MINUTES, STEP, answered_per_minute, token_rates
from npurun_tui.screens.server_state import RequestsState, read
from npurun_tui.screens.server_table import RequestTable
from npurun_tui.server.state import ServerState
from npurun_tui.text import printable
from npurun_tui.widgets.row_table import RowTable
from npurun_tui.widgets.sides import Sides

if TYPE_CHECKING:
    from npurun_tui.engine.engine import EngineStatus
    from npurun_tui.server.config import ServerConfig
    from npurun_tui.server.control import ServerControl

REFRESH: Final = 0.5
"""Seconds between two readings of the log."""
TICK: Final = 0.5
"""Seconds between two looks at what is on its way."""


class ServerView(Widget):
    """The server and its requests."""

    def __init__(
        self,
        control: ServerControl,
        engine: Callable[[], EngineStatus | None],
        config: ServerConfig,
    ) -> None:
        """`config` is how the server is set up; `engine` gives the engine's status, None while there is no engine."""
        super().__init__()
        self._control = control
        self._engine = engine
        self.config = config
        self.state = RequestsState(control.log)
        self._changed = asyncio.Event()
        self._lines = tuple(Sides(id=f"server-{name}") for name in ("state", "access", "work"))
        self._plot = Sparkline([0.0], id="server-plot")
        self._rate = Static(id="server-rate")
        self._note = Static(id="server-note")
        self._empty = Static(id="server-empty")
        self._noted = self._rated = self._told = ""
        self._plotted: object = None
        self._filter = FilterInput(placeholder="any words", compact=True, id="server-filter")
        self._count = Static(id="server-count")
        self.table = RequestTable(id="server-table")
        self._offer: object = None
        self._following: list[Callable[[], None]] = []

    def compose(self) -> ComposeResult:
        """Head, plot, note, filter, table."""
        yield from self._lines
        with Horizontal(id="server-plot-line"):
            yield self._plot
            yield self._rate
        yield self._note
        with Horizontal(id="server-filter-line"):
            yield Static("/", id="server-filter-sign")
            yield self._filter
            yield self._count
        yield self._empty
        yield self.table

    def on_mount(self) -> None:
        """Follow the server, the log and the clock."""
        self._fit()
        loop = asyncio.get_running_loop()
        self._following = [
            self._control.subscribe(lambda _status: self._status_changed()),
            self._control.log.subscribe(self._changed.set, loop),
        ]
        self.set_interval(TICK, self._tick)
        self._changed.set()
        self._keep_reading()
        self.show()

    def on_unmount(self) -> None:
        """Stop listening."""
        for unsubscribe in self._following:
            unsubscribe()

    def on_resize(self) -> None:
        """Follow the terminal."""
        self._fit()

    def _fit(self) -> None:
        # Before the first layout there is only the app's.
        width = self.size.width or self.app.size.width
        self.table.fit(columns_for(self.state.entries.values()), width, grower=CLIENT)

    def focus_main(self) -> None:
        """The table has the keyboard."""
        self.table.focus()

    # --- what is known -------------------------------------------------------------------------

    @property
    def entry(self) -> Entry | None:
        """The request under the cursor."""
        return self.state.entries.get(self.table.cursor_key or "")

    @property
    def in_force(self) -> ServerConfig:
        """The set-up of the server that runs; else of the one that would be started."""
        running = self._control.status.state in (ServerState.RUNNING, ServerState.STOPPING)
        return (self._control.config if running else None) or self.config

    @property
    def pending(self) -> bool:
        """The set-up was changed since the server was started."""
        return self.in_force != self.config

    @property
    def wanted(self) -> str:
        """What the filter holds."""
        return self._filter.value.strip()

    @work(group="reading")
    async def _keep_reading(self) -> None:
        """Read the log whenever it has changed, at most a few times a second, and only while somebody looks."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            words = self.wanted
            self.state.take(await asyncio.to_thread(read, self._control.log, words), words)
            self.show()
            await asyncio.sleep(REFRESH)

    def _status_changed(self) -> None:
        if self.is_on_screen:
            self.show()

    def _tick(self) -> None:
        if not self.is_on_screen or self._control.status.state is ServerState.STOPPED:
            return
        if self.state.look():
            self._changed.set()
        self.show()

    def on_show(self) -> None:
        """What changed behind another tab was not drawn."""
        self._changed.set()

    # --- what is shown -------------------------------------------------------------------------

    def show(self) -> None:
        """Draw what has changed."""
        if not self.is_attached:
            return
        status, now = self._control.status, time.time()
        head = server_words.head(status, self.in_force, self._engine())
        for line, sides in zip(self._lines, (head.state, head.access, head.work), strict=True):
            line.show(*sides)
        self._show_plot(now)
        self._show_note()
        entries = self.state.entries
        self._fit()
        self.table.update_rows(cells_of(entries))
        self._show_empty(empty=not entries and not self.state.words)
        if self.has_class("-filtered"):
            self._count.update(Content(str(len(entries))), layout=False)
        self._show_offer()

    def _show_empty(self, *, empty: bool) -> None:
        words = server_words.empty_words(self._control.status) if empty else ""
        if words != self._told:
            self._told = words
            self._empty.update(Content(words))
        self.set_class(empty, "-empty")

    def _show_plot(self, now: float) -> None:
        """The plot goes on by whole steps: what is in it changes with the log, not with each look at it."""
        seen, now = self.state.seen, (now // STEP + 1) * STEP
        if self._plotted == (seen, now):
            return
        self._plotted, latest = (seen, now), seen.latest
        rates = token_rates(latest, now)
        if self._plot.data != rates:
            self._plot.data = rates
        busy, asked = max(rates), answered_per_minute(latest, now)
        words = f"{units.rate(busy)} at most" if busy else f"{asked:.3g} requests/min"
        if words != self._rated:
            self._rated = words
            self._rate.update(Content(f"{words}, last {MINUTES} min"), layout=False)

    def _show_note(self) -> None:
        status = self._control.status
        note = status.reason or self.state.seen.fault
        if self.pending:
            note = "The set-up was changed: s stops the server, and s again starts it with that."
        if note != self._noted:  # an update lays out the whole screen
            self._noted = note
            self._note.update(Content(printable(note)))
            self.set_class(bool(note), "-noted")

    def _show_offer(self) -> None:
        entry = self.entry
        offer = (entry is None, entry is not None and entry.live, self._control.status.state)
        if offer != self._offer:
            self._offer = offer
            self.refresh_bindings()

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self._show_offer()

    # --- filtering -----------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Show the filter and give it the keyboard."""
        self.add_class("-filtered")
        self._filter.focus()

    def clear_filter(self) -> None:
        """Show every request again."""
        self._filter.value = ""
        self.remove_class("-filtered")
        self.table.focus()

    @on(Input.Changed, "#server-filter")
    def _filter_changed(self) -> None:
        self._changed.set()

    @on(Input.Submitted, "#server-filter")
    def _filter_done(self) -> None:
        """To the rows that are left; an empty filter goes."""
        self.set_class(bool(self.wanted), "-filtered")
        self.table.focus()
