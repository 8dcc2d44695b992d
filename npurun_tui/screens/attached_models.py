"""The Models tab of an attached workbench: that machine's models, what is loaded; pulling, removing, unloading."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Final

from textual import on, work
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from npurun_tui import units
from npurun_tui.attach.there import REFUSED
from npurun_tui.errors import NetworkUnavailable, NpurunError
from npurun_tui.screens.attached_words import COLUMNS, PULL, model_rows
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.screens.messages import UseModel
from npurun_tui.text import one_line, printable
from npurun_tui.widgets.facts import FactsPanel
from npurun_tui.widgets.notices import complain, say
from npurun_tui.widgets.row_table import RowTable
from npurun_tui.widgets.sides import Sides

if TYPE_CHECKING:
    from npurun_tui.attach.pulls import RemotePull, RemotePulls
    from npurun_tui.attach.services import Attachment
    from npurun_tui.attach.there import RemoteDetails, RemoteLoaded, RemoteModel

EVERY: Final = 3.0
"""Seconds between two looks at that machine's models, while somebody looks."""


class AttachedModels(Widget):
    """The models of the server that the workbench is attached to."""

    HELP = """\
    ## Models of another server

    These are the models of the machine whose address stands above, not of this one. **p** pulls one there, by its name
    in that machine's catalog; **c** stops a pull, and the next one goes on from there. **r** removes a model, **n**
    takes the loaded one out of memory, **u** opens it in Chat. Pulling and removing need that server's admin token.
    """

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("u", "use", "Chat"),
        Binding("p", "pull", "Pull"),
        Binding("c", "cancel", "Cancel"),
        Binding("r,delete", "remove", "Remove", key_display="r"),
        Binding("n", "unload", "Unload"),
        Binding("R,f5", "refresh", "Refresh", key_display="R"),
    ]

    def __init__(self, attached: Attachment, pulls: RemotePulls) -> None:
        """`pulls` go on while other tabs are shown."""
        super().__init__()
        self._attached = attached
        self._there = attached.there
        self._pulls = pulls
        self._models: list[RemoteModel] = []
        self._loaded: dict[str, RemoteLoaded] = {}
        self._details: dict[str, RemoteDetails] = {}
        self._head = Sides(id="attached-head")
        self._note = Static(id="attached-note")
        self._noted = ""
        self.table = RowTable(id="attached-table")
        self._panel = FactsPanel(id="attached-details")
        self._look_now = asyncio.Event()

    def compose(self) -> ComposeResult:
        """Head, note, table, details."""
        yield self._head
        yield self._note
        yield self.table
        yield self._panel

    def on_mount(self) -> None:
        """Look at that machine, and follow the pulls."""
        self._pulls.changed, self._pulls.ended = self.show, self._pull_ended
        self._look_now.set()
        self._keep_looking()
        self.show()

    def on_unmount(self) -> None:
        """Pulls report to nobody."""
        self._pulls.changed, self._pulls.ended = lambda: None, lambda _job: None

    def on_resize(self) -> None:
        """The table takes the width that the help leaves."""
        self.table.fit(COLUMNS, self.size.width or self.app.size.width)

    def watch_virtual_size(self) -> None:
        """As `on_resize`, which is not always told (see `ModelsView.watch_virtual_size`)."""
        self.call_later(self.on_resize)

    def on_show(self) -> None:
        """What changed behind another tab was not asked for."""
        self._look_now.set()

    def focus_main(self) -> None:
        """The table has the keyboard."""
        self.table.focus()

    # --- looking -------------------------------------------------------------------------------

    @work(group="look")
    async def _keep_looking(self) -> None:
        """Ask at once where something has changed, else every few seconds, and only while somebody looks."""
        pause = EVERY
        while True:
            await self._wait(pause)
            fault, pause = "", EVERY
            try:
                self._models = await self._attached.models(anew=True)
                self._loaded = {entry.name: entry for entry in await self._there.loaded()}
                self.show()
                await self._ask_details()
            except NpurunError as error:
                fault = str(error)
                pause = EVERY if isinstance(error, NetworkUnavailable) else REFUSED
            self._say(fault)
            self.show()

    async def _wait(self, pause: float) -> None:
        while not self._look_now.is_set():
            try:
                await asyncio.wait_for(self._look_now.wait(), pause)
            except TimeoutError:
                if self.is_on_screen:
                    break
        self._look_now.clear()

    async def _ask_details(self) -> None:
        """What the list does not tell, once for each model."""
        names = {model.name for model in self._models}
        self._details = {name: kept for name, kept in self._details.items() if name in names}
        for model in self._models:
            if model.name not in self._details:
                self._details[model.name] = await self._there.details(model.name)

    def _pull_ended(self, job: RemotePull) -> None:
        name, where = one_line(job.name, 60), self._there.where
        if job.fault:
            say(self, f"Pulling {name} failed: {one_line(job.fault, 300)}", severity="error")
        else:
            say(self, f"{name} is on {where} now.")
        self._look_now.set()

    # --- what is shown -------------------------------------------------------------------------

    def show(self) -> None:
        """Draw what has changed."""
        if not self.is_attached:
            return
        size = sum(model.size for model in self._models)
        count = f"{units.count(len(self._models), 'model')}, {units.size(size)}"
        self._head.show(f"Models of {self._there.where}", count if self._models else "")
        self.table.show(model_rows(self._models, self._loaded, self._details, self._pulls.jobs))
        self._show_details()

    def _say(self, fault: str) -> None:
        if fault != self._noted:
            self._noted = fault
            self._note.update(Content(printable(fault)))
            self.set_class(bool(fault), "-noted")

    def _show_details(self) -> None:
        key = self.table.cursor_key or ""
        if key.startswith(PULL):
            job = self._pulls.jobs.get(key.removeprefix(PULL))
            if job is not None:
                amount = f"{units.size(job.done)} of {units.size(job.total)}" if job.total else ""
                self._panel.say(one_line(job.name, 60), job.words, amount, one_line(job.fault, 400))
            return
        details = self._details.get(key)
        self._panel.say(one_line(key, 60), facts=details.facts if details else ())

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self._show_details()
        self.refresh_bindings()

    # --- keys ----------------------------------------------------------------------------------

    @property
    def model(self) -> str:
        """The model under the cursor; empty where there is none."""
        key = self.table.cursor_key or ""
        return "" if key.startswith(PULL) else key

    @property
    def pull(self) -> str:
        """The name of the pull under the cursor; empty where there is none."""
        key = self.table.cursor_key or ""
        return key.removeprefix(PULL) if key.startswith(PULL) else ""

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 - Textual calls it by position
    ) -> bool | None:
        """The footer offers only what can be done with the row under the cursor."""
        allowed = {
            "use": bool(self.model),
            "remove": bool(self.model),
            "unload": self.model in self._loaded,
            "cancel": bool(self.pull),
        }
        return allowed.get(action, True)

    @on(RowTable.Selected)
    def action_use(self) -> None:
        """Chat with the model under the cursor."""
        if self.model:
            self.post_message(UseModel(self.model))

    def action_refresh(self) -> None:
        """Look again."""
        self._look_now.set()

    @work(group="pull", exclusive=True)
    async def action_pull(self) -> None:
        """Ask for a name and pull it there."""
        from npurun_tui.screens.attached_pull import PullNameScreen

        name = await self.app.push_screen_wait(PullNameScreen(self._there.where))
        if name:
            self._pulls.start(name)

    def action_cancel(self) -> None:
        """Stop the pull under the cursor, or take away one that failed."""
        if self.pull:
            self._pulls.cancel(self.pull)

    @work(group="remove")
    async def action_remove(self) -> None:
        """Remove the model under the cursor from that machine, after a question."""
        name = self.model
        if not name:
            return
        words = f"{one_line(name, 60)} is deleted from the disk of {self._there.where}."
        box = ConfirmScreen("Remove this model there?", words, yes="Remove", no="Keep")
        if await self.app.push_screen_wait(box):
            await self._change(self._there.delete(name), f"{name} is removed.")

    @work(group="unload")
    async def action_unload(self) -> None:
        """Take the model under the cursor out of that machine's memory."""
        name = self.model
        if name:
            await self._change(self._there.unload(name), f"{name} is unloaded.")

    async def _change(self, work: Coroutine[object, object, None], done: str) -> None:
        try:
            await work
        except NpurunError as error:
            complain(self, error)
        else:
            say(self, one_line(done, 100))
        self._look_now.set()

    def palette_commands(self) -> Iterable[SystemCommand]:
        """The commands of this tab."""
        where = self._there.where
        yield SystemCommand("Pull a model", f"On {where}, by its name", self.action_pull)
        if self.pull:
            yield SystemCommand("Cancel the pull", self.pull, self.action_cancel)
        if self.model:
            yield SystemCommand("Chat with the model", self.model, self.action_use)
            yield SystemCommand("Remove the model", f"From {where}", self.action_remove)
        if self.model in self._loaded:
            yield SystemCommand("Unload the model", f"From {where}", self.action_unload)
