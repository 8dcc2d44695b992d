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
from npurun_tui.screens.model_row import PULLS, Kind, ModelRow
from npurun_tui.screens.model_work import LocalModels
from npurun_tui.widgets.copying import copy_from
from npurun_tui.widgets.notices import complain, say
from npurun_tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from npurun_tui.models.jobs import PullJob


_OF_THE_TAB: Final = frozenset({"filter", "details", "escape"})
_ABOUT_A_MODEL: Final = frozenset(
    {
        *("use", "pull", "pause", "resume", "cancel", "remove", "verify", "stop_verifying"),
        "copy_command",
    }
)


class ModelsPane(LocalModels):
    """Models on this machine, and the ones that can be pulled."""

    HELP = """\
    What is **installed** comes first, then pulls that were begun, then what can be **pulled**. *On* is what it runs
    on, NPU or CPU; *Runs* says whether it can run here. Sizes with ≈ are estimates.

    **Enter** does what is next: it pulls, resumes, tries again, or opens the model in the chat. Two pulls run at once,
    the others wait. **Space** pauses one and goes on with it; **c** cancels it and throws away what has arrived.
    Quitting, a closed terminal or a power cut only pauses them. **b** limits the bandwidth until the program ends.

    **v** compares an installed model's files with their hashes. Where they are damaged, or a model is broken that can
    be pulled, **p** pulls it anew; the old one stays until the new one is whole. **o** imports a model from a folder.
    **y** copies what comes next as a command line.

    **/** filters, **s** and **S** sort, as does a click on a header. **d** shows or hides the details.
    """

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("u", "use", "Chat"),
        *(Binding("p", f"pull({word!r})", word) for word in PULLS),
        Binding("space", "pause", "Pause", key_display="space"),
        Binding("space", "resume", "Resume", key_display="space", show=False),
        Binding("c", "cancel", "Cancel"),
        Binding("r,delete", "remove", "Remove", key_display="r"),
        Binding("v", "verify", "Verify"),
        Binding("v", "stop_verifying", "Stop verifying"),
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
            if (check := self.state.checks.pop(job.name, None)) is not None:
                check.stop()
            say(self, model_texts.arrived(job.name, self.state.fits.get(job.name)))
        elif job.state == "failed" and job.error is not None:
            complain(self, job.error)

    # --- which keys ----------------------------------------------------------------------------

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],
    ) -> bool | None:
        """The footer offers only what the model under the cursor allows, and calls it what it is."""
        row = self.row
        if action in _OF_THE_TAB:
            return self._allows(action)
        if row is None:
            return action not in _ABOUT_A_MODEL
        allowed = {
            "use": row.kind is Kind.INSTALLED,
            "pull": row.pull in parameters,
            "pause": row.on_its_way,
            "resume": row.resumable,
            "cancel": row.on_its_way or row.resumable or row.kind is Kind.IMPORTING,
            "remove": row.removable,
            "verify": row.kind is Kind.INSTALLED and not row.checking,
            "stop_verifying": row.checking,
            "copy_command": bool(row.command),
        }
        return allowed.get(action, True)

    def _allows(self, action: str) -> bool:
        if action == "filter":  # there `/` is a letter
            return not self._filter.has_focus
        return not self.has_class("-wide") if action == "details" else self.escapable

    @on(RowTable.Selected)
    def _selected(self) -> None:
        """Enter: what comes next for this model."""
        row = self.row
        if row is None:
            return
        if row.kind is Kind.INSTALLED and not row.damaged:
            self.post_message(UseModel(row.name))
        elif row.pullable and row.kind is not Kind.BROKEN:
            self.pull(row.name)
        elif row.on_its_way:
            say(self, f"{row.name} is being pulled; space pauses it, c cancels it.")
        elif row.kind is Kind.IMPORTING and row.failed:
            self.action_import()
        elif row.kind is Kind.IMPORTING:
            say(self, f"{row.label} is being imported; c stops that.")
        else:
            mend = "" if row.pullable else " Press r to remove it."
            say(self, f"{row.note}{mend}", severity="warning")

    def action_use(self) -> None:
        """Chat with the model under the cursor."""
        if self.row is not None:
            self.post_message(UseModel(self.row.name))

    # --- pulls ---------------------------------------------------------------------------------

    def action_pull(self, _word: str) -> None:
        """Pull, or go on pulling, the model under the cursor; `_word` is what the footer calls that."""
        if self.row is not None:
            self.pull(self.row.name)

    @work(group="pull")
    async def pull(self, name: str) -> None:
        """Begin or resume a download, after a question where the model cannot run here."""
        entry = self.state.entries.get(name)
        if entry is not None and entry.backend == "genie" and not self._asked.is_set():
            say(self, "This machine is still being asked whether it can run that.")
            await self._asked.wait()
            entry = self.state.entries.get(name)
        row, fit = self.state.rows.get(name), self.state.fits.get(name)
        if entry is None or row is None:  # the catalog is another one since this was asked for
            say(self, f"{name} can no longer be pulled.", severity="warning")
            return
        if fit is not None and not fit.runs and row.kind is Kind.AVAILABLE:
            question = model_texts.unsuited_question(entry, fit)
            if not await self.ask(f"Pull {row.label}?", question, yes="Pull", no="No"):
                return
        self._pulls.start(entry, force=row.replaces)
        self.show()

    def action_pause(self) -> None:
        """Stop the download of the model under the cursor, keeping what has arrived."""
        if self.row is not None:
            self.pause(self.row.name)

    def action_resume(self) -> None:
        """Go on with the download of the model under the cursor."""
        if self.row is not None:
            self.pull(self.row.name)

    def pause(self, name: str) -> None:
        """Stop a download; what has arrived is kept."""
        self._pulls.pause(name)

    def action_cancel(self) -> None:
        """Stop what is on its way, and throw away what has arrived of it."""
        if self.row is not None:
            self.cancel(self.row)

    @work(group="cancel")
    async def cancel(self, row: ModelRow) -> None:
        """Cancel a pull or an import, or put one aside that failed; a question comes first where much would be lost."""
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
        else:
            self._pulls.forget(row.name)
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
        """Or put one aside that failed. The row may be older than the import's end."""
        job = self.state.imports.get(name)
        if job is not None and job.fault:
            del self.state.imports[name]
            self.show()
        elif job is not None:
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
        self._complained = ""
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
