"""The Server tab of an attached workbench: that server's health, queue and requests.

It is neither started nor set up from here: who stopped it could not start it again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from textual import on, work
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from npurun_tui.attach.there import REFUSED
from npurun_tui.errors import NetworkUnavailable, NpurunError
from npurun_tui.screens import server_words
from npurun_tui.screens.attached_words import Seen, entry_of, seen_of
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.screens.model_table import FilterInput
from npurun_tui.screens.server_entry import CLIENT, Entry, cells_of, columns_for, ordered
from npurun_tui.screens.server_folding import folded, holding, is_flooded
from npurun_tui.screens.server_table import RequestTable
from npurun_tui.server.replay import Replay, Target, curl_of
from npurun_tui.text import one_line, printable
from npurun_tui.widgets.notices import complain
from npurun_tui.widgets.row_table import RowTable
from npurun_tui.widgets.sides import Sides

if TYPE_CHECKING:
    from npurun_tui.attach.requests import RemoteRequest
    from npurun_tui.attach.services import Attachment

EVERY: Final = 1.0
"""Seconds between two looks, while somebody looks."""
LIMIT: Final = 200
"""Requests that are asked for."""
MOST: Final = 500
"""Where most of those are refusals, which are folded; a server tells no more at once."""


class AttachedServer(Widget):
    """The server that the workbench is attached to."""

    HELP = """\
    ## Another server

    This is the server whose address stands above. Its requests are below, those on their way first. **Enter** or **d**
    shows all of one, **x** aborts it, **/** filters by words. **◇** marks what another server of that machine answered.
    Refusals of one client and route that follow each other are one row: *429 ×12*.
    Seeing them needs that server's admin token. It is started, stopped and set up where it runs.
    """

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("x", "abort", "Abort"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("d", "details", "Details"),
        Binding("escape", "escape", "Show all", show=False),
    ]

    def __init__(self, attached: Attachment) -> None:
        super().__init__()
        self._attached = attached
        self._there = attached.there
        self._seen: Seen | None = None
        self.entries: dict[str, Entry] = {}
        self._lines = tuple(Sides(id=f"attached-{name}") for name in ("state", "access", "work"))
        self._note = Static(id="attached-note")
        self._noted = ""
        self._filter = FilterInput(placeholder="any words", compact=True, id="attached-filter")
        self.table = RequestTable(id="attached-requests")
        self._look_now = asyncio.Event()
        self._limit = LIMIT
        self._not_before = 0.0
        """The clock does not look before this moment."""

    def compose(self) -> ComposeResult:
        """Head, note, filter, table."""
        yield from self._lines
        yield self._note
        with Horizontal(id="attached-filter-line"):
            yield Static("/", id="attached-filter-sign")
            yield self._filter
        yield self.table

    def on_mount(self) -> None:
        """Look at that server from now on."""
        self.set_interval(EVERY, self._tick)
        self._look_now.set()
        self._keep_looking()
        self.show()

    def on_resize(self) -> None:
        """The table takes the width that the help leaves."""
        self._fit()

    def _fit(self) -> None:
        columns = columns_for(self.entries.values())
        self.table.fit(columns, self.size.width or self.app.size.width, grower=CLIENT)

    def on_show(self) -> None:
        """What changed behind another tab was not asked for."""
        self._look_now.set()

    def focus_main(self) -> None:
        """The table has the keyboard."""
        self.table.focus()

    # --- looking -------------------------------------------------------------------------------

    def _tick(self) -> None:
        if self.is_on_screen and time.monotonic() >= self._not_before:
            self._look_now.set()

    @work(group="look")
    async def _keep_looking(self) -> None:
        """One look at a time: a slow server is asked less often."""
        while True:
            await self._look_now.wait()
            self._look_now.clear()
            fault = ""
            try:
                self._seen = seen_of(await self._there.status(), self._there.url)
                found = await self._there.requests(self._limit, self._filter.value.strip())
            except NpurunError as error:
                fault, self._seen = str(error), None
                away = isinstance(error, NetworkUnavailable)
                self._not_before = time.monotonic() + (0 if away else REFUSED)
            else:
                self._take(found)
            self._say(fault)
            self.show()

    def _take(self, found: list[RemoteRequest]) -> None:
        own = self._seen.process if self._seen is not None else 0
        told = [entry_of(request, own) for request in found]
        entries = [
            *ordered(entry for entry in told if entry.live),
            *ordered(entry for entry in told if not entry.live),
        ]
        if self._filter.value.strip():
            self.entries = {entry.row.request_id: entry for entry in entries}
        else:
            self.entries = folded(entries)
        # Of the first ones only: what is told beyond them must not end the reason why it is.
        flooded = len(found) >= LIMIT and is_flooded([each.row for each in found[:LIMIT]])
        self._limit = MOST if flooded else LIMIT

    # --- what is shown -------------------------------------------------------------------------

    def show(self) -> None:
        """Draw what has changed."""
        if not self.is_attached:
            return
        state, access, work = self._lines
        if self._seen is None:
            state.show(f"Server at {self._there.where}", "")
            access.show("", "")
            work.show("", "")
        else:
            seen = self._seen
            head = server_words.head(seen.status, seen.config, seen.engine)
            state.show(f"Server at {self._there.where}", head.state[1])
            access.show(*head.access)
            work.show(*head.work)
        self._fit()
        self.table.update_rows(cells_of(self.entries))
        self.refresh_bindings()

    def _say(self, fault: str) -> None:
        if fault != self._noted:
            self._noted = fault
            self._note.update(Content(printable(fault)))
            self.set_class(bool(fault), "-noted")

    # --- keys ----------------------------------------------------------------------------------

    @property
    def entry(self) -> Entry | None:
        """The request under the cursor."""
        return self.entries.get(self.table.cursor_key or "")

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 - Textual calls it by position
    ) -> bool | None:
        """The footer offers only what can be done now."""
        entry = self.entry
        allowed = {
            "abort": entry is not None and entry.live,
            "details": entry is not None,
            "escape": self.has_class("-filtered"),
        }
        return allowed.get(action, True)

    @on(RowTable.Selected)
    def action_details(self) -> None:
        """All of the request under the cursor."""
        from npurun_tui.screens.server_details import ServerDetailsScreen

        entry, key = self.entry, self.table.cursor_key or ""
        if entry is None:
            return
        self.app.push_screen(
            ServerDetailsScreen(entry, lambda: holding(self.entries, key) or entry, self._replay)
        )

    async def _replay(self, entry: Entry) -> Replay:
        """The request as a command; bodies are never told."""
        config = self._seen.config if self._seen is not None else None
        token = config is not None and bool(config.infer_token)
        admin = config is not None and bool(config.admin_token)
        return curl_of(entry.row, Target(self._there.url, token=token, admin_token=admin))

    @work(group="abort")
    async def action_abort(self) -> None:
        """End the request under the cursor there, after a question."""
        entry = self.entry
        if entry is None or not entry.live:
            return
        words = (
            f"{entry.client} asked {one_line(entry.row.path, 60)}; it gets an error, "
            "or half an answer."
        )
        box = ConfirmScreen("Abort this request?", words, yes="Abort", no="No")
        if not await self.app.push_screen_wait(box):
            return
        try:
            await self._there.abort(entry.row.request_id)
        except NpurunError as error:
            complain(self, error)
        self._look_now.set()

    def action_filter(self) -> None:
        """Show the filter and give it the keyboard."""
        self.add_class("-filtered")
        self._filter.focus()

    def action_escape(self) -> None:
        """Show every request again."""
        self._filter.value = ""
        self.remove_class("-filtered")
        self.table.focus()

    @on(Input.Changed, "#attached-filter")
    def _filter_changed(self) -> None:
        self._look_now.set()

    @on(Input.Submitted, "#attached-filter")
    def _filter_done(self) -> None:
        self.set_class(bool(self._filter.value.strip()), "-filtered")
        self.table.focus()

    def palette_commands(self) -> Iterable[SystemCommand]:
        """The commands of this tab."""
        yield SystemCommand("Filter the requests", "Client, model, status...", self.action_filter)
        entry = self.entry
        if entry is not None:
            yield SystemCommand("Details of the request", entry.state, self.action_details)
            if entry.live:
                yield SystemCommand("Abort the request", entry.client, self.action_abort)
