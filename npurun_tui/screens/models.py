"""The Models tab: what is installed, what can be pulled, and what is known of the one under the cursor.

The pane only shows and asks: rows come from `model_rows`, scanning and removing run in worker threads, and downloads
belong to the `PullManager`, so that they go on while another tab is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from textual import on, work
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Container
from textual.content import Content
from textual.geometry import Size
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from npurun_tui import units
from npurun_tui.errors import NpurunError
from npurun_tui.screens.messages import UseModel
from npurun_tui.screens.model_rows import (
    Kind,
    ModelRow,
    first_model_card,
    model_rows,
    removal_question,
)
from npurun_tui.widgets.facts import FactsPanel
from npurun_tui.widgets.notices import complain, say
from npurun_tui.widgets.row_table import Cell, Column, RowTable

if TYPE_CHECKING:
    from npurun_tui.hardware.summary import RuntimeSummary
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.jobs import PullJob, PullManager
    from npurun_tui.models.store import BrokenModel, InstalledModel, ModelStore

COLUMNS: Final = (
    Column("Model", 22),
    Column("State", 14),
    Column("Size", 7, right=True),
    Column("On", 3),
    Column("Quant", 6),
    Column("Context", 7, right=True),
)
WIDE: Final = 100
"""From this width on the details stand beside the table, else below it."""
TALL: Final = 20
"""Below this height the details below the table would take it the rows; they come when they are asked for."""
MAX_DETAILS: Final = 56
FIRST_PAINT: Final = 0.05
"""Seconds that the first paint may wait for the first scan; painting twice costs about as much."""
REFRESH: Final = 0.25
"""Seconds between two redraws while something is pulled."""

_LOOKS: Final = {
    Kind.INSTALLED: "strong",
    Kind.BROKEN: "error",
    Kind.FAILED: "error",
    Kind.PULLING: "good",
    Kind.PAUSED: "warning",
    Kind.AVAILABLE: "quiet",
}


class ModelsPane(Widget):
    """Models on this machine, and the ones that can be pulled."""

    HELP = """\
    What is **installed** comes first, then what can be **pulled**. *On* is what it runs on: NPU or CPU.

    **Enter** does what is next: it pulls, resumes, or opens the model in the chat. A pull that was stopped, by
    **c**, by quitting or by a power cut, goes on from where it was.
    """

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("u", "use", "Chat"),
        Binding("p", "pull", "Pull"),
        Binding("c", "cancel", "Cancel"),
        Binding("r,delete", "remove", "Remove", key_display="r"),
        Binding("R,f5", "refresh", "Refresh", key_display="R", show=False),
        Binding("d", "details", "Details"),
        Binding("i", "runtime", "Runtime", show=False),
    ]

    def __init__(
        self,
        store: ModelStore,
        pulls: PullManager,
        catalog: Sequence[CatalogEntry],
        *,
        in_use: Callable[[str], bool],
        released: Callable[[str], AbstractAsyncContextManager[None]],
        runtime: Callable[[], Awaitable[RuntimeSummary]],
    ) -> None:
        """`in_use` says whether the engine has a model; within `released` it does not have it.

        `released` raises ModelBusy while the model answers. `runtime` says what models for the NPU would run on.
        """
        super().__init__()
        self._in_use = in_use
        self._released = released
        self._runtime = runtime
        self._found: RuntimeSummary | None = None
        self._store = store
        self._pulls = pulls
        self._catalog = catalog
        self._installed: list[InstalledModel] = []
        self._broken: list[BrokenModel] = []
        self._partials: dict[str, int] = {}
        self._rows: dict[str, ModelRow] = {}
        self._offer: tuple[Kind, bool] | None = None
        self._details: bool | None = None  # None: the person has not said whether they want them
        self._card = ""
        self._redraw: Timer | None = None
        self._scanned = asyncio.Event()
        self._unsubscribe: Callable[[], None] | None = None

    def compose(self) -> ComposeResult:
        """The card for beginners, the table, the details."""
        yield Static(id="first-model")
        with Container(id="models-body"):
            yield RowTable(id="models-table")
            yield FactsPanel(id="models-details")
        yield Static(id="runtime")

    @property
    def table(self) -> RowTable:
        """The table of models."""
        return self.query_one(RowTable)

    def focus_main(self) -> None:
        """The table has the keyboard."""
        self.table.focus()

    async def on_mount(self) -> None:
        """Have the rows in the first paint, unless the disk is slow: then they come when they are there."""
        self._fit(self.app.size)
        self._unsubscribe = self._pulls.subscribe(self._job_changed)
        self._scan()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_PAINT):
                await self._scanned.wait()
        self.call_after_refresh(self._ask_runtime)

    @work(exclusive=True, group="runtime")
    async def _ask_runtime(self) -> None:
        """Name the runtime that was found, or say that there is none; asking the system takes a second or two."""
        self._found = found = await self._runtime()
        sign = "●" if found.ok else "○"
        self.query_one("#runtime", Static).update(Content(f"{sign} {found.words}"))

    def on_unmount(self) -> None:
        """Stop listening."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    def on_resize(self) -> None:
        """Follow the terminal."""
        self._fit(self.app.size)

    def _fit(self, size: Size) -> None:
        """Details beside the table or below it, and the table's columns in what is left."""
        wide = size.width >= WIDE
        beside = min(MAX_DETAILS, size.width * 34 // 100) if wide else 0
        self.query_one(FactsPanel).styles.width = beside or None
        self.table.fit(COLUMNS, size.width - beside)
        shown = size.height >= TALL if self._details is None else self._details
        self.set_class(not shown, "-no-details")
        if wide != self.has_class("-wide"):
            self.set_class(wide, "-wide")
            self.refresh_bindings()

    # --- what is shown -------------------------------------------------------------------------

    @work(exclusive=True, group="scan")
    async def _scan(self) -> None:
        """Look at the disk in a thread: a folder of models on a network drive must not stop the screen."""
        try:
            self._installed, self._broken = await asyncio.to_thread(self._store.scan)
            self._partials = await asyncio.to_thread(self._store.partials)
        except NpurunError as error:
            complain(self, error)
        finally:
            self._scanned.set()
        self._show()

    def _show(self) -> None:
        rows = model_rows(
            self._installed, self._broken, self._partials, self._catalog, self._pulls.jobs
        )
        self._rows = {row.name: row for row in rows}
        self.table.show({row.name: _cells(row) for row in rows})
        card = first_model_card(rows)
        if card != self._card:  # an update lays out the whole screen
            self._card = card
            self.query_one("#first-model", Static).update(Content(card))
            self.set_class(bool(card), "-no-model")
        self._show_details()

    def _show_details(self) -> None:
        row = self.row
        if row is None:
            return
        self.query_one(FactsPanel).say(row.label, row.title, row.progress, row.note, row.facts)
        if (offer := (row.kind, row.removable)) != self._offer:
            self._offer = offer
            self.refresh_bindings()

    @property
    def row(self) -> ModelRow | None:
        """The model under the cursor."""
        return self._rows.get(self.table.cursor_key or "")

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self._show_details()

    def _job_changed(self, job: PullJob) -> None:
        """Progress is drawn a few times a second, an end at once."""
        if job.state == "running":
            if self._redraw is None:
                self._redraw = self.set_timer(REFRESH, self._redraw_now)
            return
        self._scan()  # what is on the disk has changed; until that is known the row stays as it is
        if job.state == "done":
            say(self, f"{job.entry.name} is installed. Press u to chat with it.")
        elif job.state == "failed" and job.error is not None:
            complain(self, job.error)

    def _redraw_now(self) -> None:
        self._redraw = None
        if self.is_on_screen:
            self._show()

    def on_show(self) -> None:
        """What changed behind another tab was not drawn."""
        if self._scanned.is_set():
            self._show()

    # --- what can be done ----------------------------------------------------------------------

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 - Textual calls it by position
    ) -> bool | None:
        """The footer offers only what the model under the cursor allows."""
        row = self.row
        allowed = {
            "use": row is not None and row.kind is Kind.INSTALLED,
            "pull": row is not None and row.pullable,
            "cancel": row is not None and row.kind is Kind.PULLING,
            "remove": row is not None and row.removable,
            "details": not self.has_class("-wide"),
        }
        return allowed.get(action, True)

    @on(RowTable.Selected)
    def _selected(self) -> None:
        """Enter: what comes next for this model."""
        row = self.row
        if row is None:
            return
        if row.pullable:
            self.pull(row.name)
        elif row.kind is Kind.INSTALLED:
            self.post_message(UseModel(row.name))
        elif row.kind is Kind.PULLING:
            say(self, f"{row.name} is being pulled; c stops it, and what has arrived is kept.")
        else:
            say(self, f"{row.note} Press r to remove it.", severity="warning")

    def action_use(self) -> None:
        """Chat with the model under the cursor."""
        if self.row is not None:
            self.post_message(UseModel(self.row.name))

    def action_pull(self) -> None:
        """Pull, or go on pulling, the model under the cursor."""
        if self.row is not None:
            self.pull(self.row.name)

    def pull(self, name: str) -> None:
        """Begin or resume a download; the screen follows it by its messages."""
        entry = next(entry for entry in self._catalog if entry.name == name)
        try:
            self._pulls.start(entry)
        except NpurunError as error:
            complain(self, error)
        self._show()

    def action_cancel(self) -> None:
        """Stop the download of the model under the cursor; what has arrived is kept."""
        if self.row is not None:
            self._pulls.cancel(self.row.name)

    def action_remove(self) -> None:
        """Ask, then delete the model under the cursor."""
        if self.row is not None:
            self.remove_model(self.row)

    @work(group="remove")
    async def remove_model(self, row: ModelRow) -> None:
        """Ask, delete in a thread, and say how much was freed."""
        from npurun_tui.screens.confirm import ConfirmScreen

        question = removal_question(row, in_use=self._in_use(row.name))
        box = ConfirmScreen(f"Remove {row.label}?", question, yes="Remove", no="Keep")
        if not await self.app.push_screen_wait(box):
            return
        try:
            async with self._released(row.name):
                freed = await asyncio.to_thread(self._store.remove, row.name)
        except NpurunError as error:
            complain(self, error)
        else:
            say(self, f"{row.label} was removed; {units.size(freed)} are free again.")
        self._scan()

    def action_refresh(self) -> None:
        """Look at the disk again."""
        self._scan()

    def action_runtime(self) -> None:
        """Say what was found of the NPU and its runtime."""
        if self._found is None:
            say(self, "The system is still being asked.")
            return
        lines = [f"{label}: {value}" for label, value in self._found.details]
        say(self, "\n".join([self._found.words, *lines, "`npurun-tui doctor` has all of it."]))

    def action_details(self) -> None:
        """Show or hide the details where they share the height with the table."""
        self._details = self.has_class("-no-details")
        self.set_class(not self._details, "-no-details")

    def palette_commands(self) -> Iterable[SystemCommand]:
        """Every model's commands by its name."""
        for row in self._rows.values():
            if row.pullable:
                yield SystemCommand(
                    f"Pull {row.name}", f"Download {row.size}", partial(self.pull, row.name)
                )
            if row.kind is Kind.PULLING:
                cancel = partial(self._pulls.cancel, row.name)
                yield SystemCommand(f"Cancel the pull of {row.name}", row.progress, cancel)
            if row.kind is Kind.INSTALLED:
                use = partial(self.post_message, UseModel(row.name))
                yield SystemCommand(f"Chat with {row.name}", "Open it in the Chat tab", use)
            if row.removable:
                remove = partial(self.remove_model, row)
                yield SystemCommand(f"Remove {row.label}", f"Frees {row.size}", remove)
        yield SystemCommand("NPU and runtime", "What was found of them", self.action_runtime)
        yield SystemCommand("Refresh the models", "Look at the disk again", self.action_refresh)


def _cells(row: ModelRow) -> tuple[Cell, ...]:
    return (
        Cell(row.label, "strong" if row.kind is Kind.INSTALLED else ""),
        Cell(row.state, _LOOKS[row.kind]),
        Cell(row.size),
        Cell(row.backend),
        Cell(row.quant),
        Cell(row.context),
    )
