"""The Models tab: what is installed, what can be pulled, and what can be done with the one under the cursor.

What is seen is `model_view`'s. Here are the keys: downloads belong to the `PullManager`, so that they go on while
another tab is shown; hashing and importing are threads that this pane's workers own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from textual import on, work
from textual.app import SystemCommand
from textual.binding import Binding
from textual.events import Mount

from npurun_tui.errors import NpurunError
from npurun_tui.screens import model_texts
from npurun_tui.screens.messages import UseModel
from npurun_tui.screens.model_row import Kind, ModelRow
from npurun_tui.screens.model_work import LocalModels
from npurun_tui.widgets.copying import copy_from
from npurun_tui.widgets.notices import complain, say
from npurun_tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from npurun_tui.models.jobs import PullJob


_ABOUT_A_MODEL: Final = frozenset(
    {"use", "pull", "pause", "cancel", "remove", "verify", "copy_command"}
)


class ModelsPane(LocalModels):
    """Models on this machine, and the ones that can be pulled."""

    HELP = """\
    What is **installed** comes first, then what can be **pulled**. *On* is what it runs on, NPU or CPU; *Runs* says
    whether it can run here. Sizes with ≈ are estimates.

    **Enter** does what is next: it pulls, resumes, or opens the model in the chat. Several pulls run at once.
    **Space** pauses one and goes on with it; **c** cancels it and throws away what has arrived. Quitting or a power
    cut only pauses them. **b** limits the bandwidth until the program ends.

    **v** compares an installed model's files with their hashes. **o** imports a model from a folder. **y** copies
    what comes next as a command line.

    **/** filters, **s** and **S** sort, as does a click on a header. **d** shows or hides the details.
    """

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("u", "use", "Chat"),
        Binding("p", "pull", "Pull"),
        Binding("space", "pause", "Pause", key_display="space"),
        Binding("c", "cancel", "Cancel"),
        Binding("r,delete", "remove", "Remove", key_display="r"),
        Binding("v", "verify", "Verify"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("o", "import", "Import"),
        Binding("s", "sort", "Sort"),
        Binding("S", "reverse", "Reverse", show=False),
        Binding("b", "limit", "Limit"),
        Binding("y", "copy_command", "Copy command", show=False),
        Binding("d", "details", "Details", tooltip="Show or hide the details"),
        Binding("R,f5", "refresh", "Refresh", key_display="R", show=False),
        Binding("i", "runtime", "Runtime", show=False),
        Binding("escape", "escape", "Stop, or show all", show=False),
    ]

    _unsubscribe: Callable[[], None] | None = None

    @on(Mount)
    def _follow(self) -> None:
        """Follow the downloads."""
        self._unsubscribe = self._pulls.subscribe(self._job_changed)

    def on_unmount(self) -> None:
        """Stop listening."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    def _job_changed(self, job: PullJob) -> None:
        """Progress is drawn a few times a second, an end at once."""
        if job.state.open:
            self.redraw_soon()
            return
        self.scan()  # what is on the disk has changed; until that is known the row stays as it is
        if job.state == "done":
            self.state.checks.pop(job.name, None)
            say(self, f"{job.name} is installed. Press u to chat with it.")
        elif job.state == "failed" and job.error is not None:
            complain(self, job.error)

    # --- which keys ----------------------------------------------------------------------------

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 - Textual calls it by position
    ) -> bool | None:
        """The footer offers only what the model under the cursor allows."""
        row = self.row
        if action in {"details", "escape"}:
            return not self.has_class("-wide") if action == "details" else self.escapable
        if row is None:
            return action not in _ABOUT_A_MODEL
        allowed = {
            "use": row.kind is Kind.INSTALLED,
            "pull": row.pullable,
            "pause": row.on_its_way or row.kind in {Kind.PAUSED, Kind.FAILED},
            "cancel": row.on_its_way or row.kind in {Kind.IMPORTING, Kind.PAUSED},
            "remove": row.removable,
            "verify": row.kind is Kind.INSTALLED,
            "copy_command": bool(row.command),
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
        elif row.on_its_way:
            say(self, f"{row.name} is being pulled; space pauses it, c cancels it.")
        elif row.kind is Kind.IMPORTING:
            say(self, f"{row.label} is being imported; c stops that.")
        else:
            say(self, f"{row.note} Press r to remove it.", severity="warning")

    def action_use(self) -> None:
        """Chat with the model under the cursor."""
        if self.row is not None:
            self.post_message(UseModel(self.row.name))

    # --- pulls ---------------------------------------------------------------------------------

    def action_pull(self) -> None:
        """Pull, or go on pulling, the model under the cursor."""
        if self.row is not None:
            self.pull(self.row.name)

    @work(group="pull")
    async def pull(self, name: str) -> None:
        """Begin or resume a download, after a question where the model cannot run here."""
        entry = self.state.entries[name]
        if entry.backend == "genie" and not self._asked.is_set():
            say(self, "This machine is still being asked whether it can run that.")
            await self._asked.wait()
            entry = self.state.entries[name]
        row, fit = self.state.rows[name], self.state.fits.get(name)
        if fit is not None and not fit.runs and row.kind is Kind.AVAILABLE:
            question = model_texts.unsuited_question(entry, fit)
            if not await self.ask(f"Pull {row.label}?", question, yes="Pull", no="No"):
                return
        self._pulls.start(entry, force=row.damaged)
        self.show()

    def action_pause(self) -> None:
        """Stop the download of the model under the cursor, keeping what has arrived; or go on with it."""
        row = self.row
        if row is None:
            return
        if row.on_its_way:
            self.pause(row.name)
        elif row.pullable:
            self.pull(row.name)

    def pause(self, name: str) -> None:
        """Stop a download; what has arrived is kept."""
        self._pulls.pause(name)

    def action_cancel(self) -> None:
        """Stop what is on its way, and throw away what has arrived of it."""
        if self.row is not None:
            self.cancel(self.row)

    @work(group="cancel")
    async def cancel(self, row: ModelRow) -> None:
        """Cancel a pull or an import; a question comes first where much would be lost."""
        if row.kind is Kind.IMPORTING:
            self._stop_import(row.name)
            return
        lost = self.state.arrived(row.name)
        if lost > model_texts.CHEAP:
            question = model_texts.cancel_question(row, lost)
            title = f"Cancel the pull of {row.label}?"
            if not await self.ask(title, question, yes="Throw away", no="Keep"):
                return
        self._pulls.cancel(row.name)
        await self._pulls.wait(row.name)
        try:  # it was paused, or became so while the question was there
            await asyncio.to_thread(self._store.discard_partial, row.name)
        except NpurunError as error:
            complain(self, error)
        self.scan()

    def action_limit(self) -> None:
        """Ask for the bandwidth that all pulls together may take."""
        self.limit()

    @work(group="limit", exclusive=True)
    async def limit(self) -> None:
        """Set the bandwidth limit; it counts at once."""
        from npurun_tui.screens.model_limit import LimitScreen

        rate = await self.app.push_screen_wait(LimitScreen(self._pulls.limiter.rate))
        if rate is not None:
            self._pulls.limiter.rate = rate
            self.show()

    # --- the rest ------------------------------------------------------------------------------

    @property
    def escapable(self) -> bool:
        """Escape has something to stop, or a filter to take away."""
        row = self.row
        stoppable = row is not None and (row.checking or row.kind is Kind.IMPORTING)
        return stoppable or self.has_class("-filtered")

    def action_escape(self) -> None:
        """Take the filter away, else stop what is done with the model under the cursor."""
        row = self.row
        if self.has_class("-filtered"):
            self.clear_filter()
        elif row is not None and row.checking:
            if (check := self.state.checks.get(row.name)) is not None:
                check.stop()
        elif row is not None and row.kind is Kind.IMPORTING:
            self._stop_import(row.name)

    def _stop_import(self, name: str) -> None:
        """The row may be older than the import's end."""
        if (job := self.state.imports.get(name)) is not None:
            job.stop()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self.sort(self._order.next())

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self.sort(self._order.reversed())

    def action_copy_command(self) -> None:
        """Copy what comes next for the model under the cursor, as a command line."""
        if self.row is not None:
            copy_from(self, self.row.command)

    def action_refresh(self) -> None:
        """Look at the disk again."""
        self.scan()

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
        """Every model's commands by its name, and those of the tab."""
        from npurun_tui.screens.model_commands import commands

        return commands(self)
