"""What the Models tab does to this machine's own disk: removing, verifying, importing.

Each of them is a worker of the pane, which ends with it; the blocking part is a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from textual import work

from npurun_tui import units
from npurun_tui.errors import ModelSaysTooLittle, NpurunError
from npurun_tui.screens import model_texts
from npurun_tui.screens.model_facts import integrity
from npurun_tui.screens.model_local import Check, Import, Replaced, Stopped, Wish
from npurun_tui.screens.model_row import Kind, ModelRow
from npurun_tui.screens.model_rows import mend
from npurun_tui.screens.model_view import ModelsView
from npurun_tui.widgets.notices import complain, say

if TYPE_CHECKING:
    from npurun_tui.hardware.summary import RuntimeSummary
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.fit import MachineFacts
    from npurun_tui.models.jobs import PullManager
    from npurun_tui.models.store import ModelStore


class LocalModels(ModelsView):
    """The view, and what is done without a network."""

    def __init__(
        self,
        store: ModelStore,
        pulls: PullManager,
        catalog: Callable[[], Sequence[CatalogEntry]],
        *,
        in_use: Callable[[str], bool],
        released: Callable[[str], AbstractAsyncContextManager[None]],
        runtime: Callable[[], Awaitable[RuntimeSummary]],
        machine: Callable[[], Awaitable[MachineFacts]],
    ) -> None:
        """`in_use` says whether the engine has a model; within `released` it does not have it.

        `catalog` may block: it is asked in a thread. `released` raises ModelBusy while the model answers. `runtime`
        says what models for the NPU would run on, `machine` what decides whether a model runs.
        """
        super().__init__(store, pulls, catalog, runtime=runtime, machine=machine)
        self._in_use = in_use
        self._released = released
        self._wish = Wish()
        self._wish_fault = ""

    def on_unmount(self) -> None:
        """Stop what runs in threads."""
        for job in self.state.local:
            job.stop()

    @property
    def importing(self) -> int:
        """How many imports are on their way."""
        return sum(job.running for job in self.state.imports.values())

    async def ask(self, title: str, question: str, *, yes: str, no: str) -> bool:
        """A question before something that costs; only a worker may ask. True where the answer is yes."""
        from npurun_tui.screens.confirm import ConfirmScreen

        return await self.app.push_screen_wait(ConfirmScreen(title, question, yes=yes, no=no))

    # --- removing ------------------------------------------------------------------------------

    def action_remove(self) -> None:
        """Ask, then delete the model under the cursor."""
        if self.row is not None:
            self.remove_model(self.row)

    @work(group="remove")
    async def remove_model(self, row: ModelRow) -> None:
        """Ask, delete in a thread, and say how much was freed."""
        question = model_texts.removal_question(row, in_use=self._in_use(row.name))
        if not await self.ask(f"Remove {row.label}?", question, yes="Remove", no="Keep"):
            return
        if (check := self.state.checks.pop(row.name, None)) is not None and check.running:
            check.stop()
            await check.ended.wait()
        try:
            async with self._released(row.name):
                # A row of a download may be older than its end in another program: only what was asked for goes.
                here = row.kind in {Kind.INSTALLED, Kind.BROKEN}
                remove = self._store.remove if here else self._store.discard_partial
                freed = await asyncio.to_thread(remove, row.name)
        except NpurunError as error:
            complain(self, error)
        else:
            self._pulls.forget(row.name)
            say(self, f"{row.label} was removed; {units.size(freed)} are free again.")
        self.scan()

    # --- verifying -----------------------------------------------------------------------------

    def action_verify(self) -> None:
        """Hash the files of the model under the cursor."""
        if self.row is not None:
            self.verify(self.row.name)

    def action_stop_verifying(self) -> None:
        """Stop hashing the files of the model under the cursor."""
        self.action_verify()

    def verify(self, name: str) -> None:
        """Begin hashing, or stop it."""
        model = next((m for m in self.state.seen.installed if m.name == name), None)
        check = self.state.checks.get(name)
        if check is not None and check.running:
            check.stop()
        elif model is not None and not model.manifest.sha256:
            say(self, f"The manifest of {name} has no hashes to compare with.", severity="warning")
        elif model is not None:
            self.state.checks[name] = check = Check(model)
            self._hash(check)

    @work(group="verify")
    async def _hash(self, check: Check) -> None:
        self.call_later(self.redraw)
        try:
            await check.hash()
        except Stopped as why:
            if self.state.checks.get(check.name) is check:
                del self.state.checks[check.name]
            changed = isinstance(why, Replaced)
            how = "was changed while it was compared" if changed else "was not compared to the end"
            say(self, f"{check.name} {how}.")
            if changed:
                self.scan()
        else:
            manifest = check.model.manifest
            how = mend(check.name, pullable=check.name in self.state.entries)
            words = model_texts.check_notice(check, integrity(manifest), how)
            say(self, words, severity="error" if check.faults else "information")
        self.show()

    # --- importing -----------------------------------------------------------------------------

    def action_import(self) -> None:
        """Ask for a folder and bring the model in it here."""
        from npurun_tui.screens.model_import import ImportScreen

        self.app.push_screen(ImportScreen(self._wish, self._wish_fault, self._begin_import))

    def _begin_import(self, wish: Wish) -> Import:
        """What the dialog box begins; its worker is this pane's, so it goes on when the box is closed."""
        self._wish, self._wish_fault = wish, ""
        job = Import(wish)
        other = self.state.imports.get(job.name)
        if other is not None and not other.fault:
            job.fault = f"{job.name} is being imported already."
            if other.wish.path != wish.path:
                job.fault = (
                    f"Another {job.name} is being imported; give this one a name of its own."
                )
            job.settled.set()
            return job
        self.state.imports[job.name] = job
        self._bring(job)
        return job

    @work(group="import")
    async def _bring(self, job: Import) -> None:
        self.call_later(self.redraw)
        stopped = False
        try:
            model = await job.bring(self._store)
        except Stopped:
            stopped, job.fault = True, "Stopped. Nothing was changed."
        except ModelSaysTooLittle as error:
            job.missing = tuple(flag.removeprefix("--") for flag in error.flags)
            job.fault = f"{error.message} Fill in what the model is."
        except NpurunError as error:
            job.fault = str(error)
        else:
            self._wish = Wish()
            if not job.visited or self.table.cursor_key == job.name:
                self._new = model.name  # else the person went elsewhere meanwhile
            from npurun_tui.models.fit import fit_of_installed  # by now it is long there

            machine = self.state.machine
            fit = fit_of_installed(model, machine) if machine else None
            say(self, model_texts.arrived(model.name, fit))
        finally:
            # Where the box is closed, the row says why it failed, until it is put aside or tried again.
            if stopped or not (job.fault and job.left):
                del self.state.imports[job.name]
        if job.fault and job.left:  # the box that could show it is gone
            self._wish_fault = job.fault
            say(self, f"{job.fault} Press o to try again.", severity="warning")
        self.scan()
