"""The Bench tab: starting and stopping, setting up, and what can be done with what was found.

The bench belongs to `BenchControl`, so that it goes on while another tab is shown. What is seen is `bench_view`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from textual import on, work
from textual.app import SystemCommand
from textual.binding import Binding
from textual.worker import Worker, get_current_worker

from npurun_tui import units
from npurun_tui.errors import NpurunError
from npurun_tui.screens import bench_fields
from npurun_tui.screens.bench_view import PANELS, BenchView
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.widgets.copying import copy_from
from npurun_tui.widgets.notices import complain, say
from npurun_tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from npurun_tui.bench.events import BenchEvent
    from npurun_tui.bench.records import Session
    from npurun_tui.screens.bench_fields import Setup
    from npurun_tui.screens.bench_parts import BenchParts
    from npurun_tui.settings import Remembered

log = logging.getLogger(__name__)

_NO_MODEL: Final = "No model is installed yet: pull one in the Models tab."


class BenchPane(BenchView):
    """The bench, its set-up and its history."""

    HELP = """\
    **s** measures a model, and stops: what was measured until then is kept. **e** chooses model, prompts, repeats,
    and what to compare with. It goes on while you are in other tabs.

    Each row is a run. *TTFT* is the time to the first token, *tok/s* the rate after it, by this program's clock;
    *engine* is the runtime's own, *Δ* how far the two are apart. *In* and *Out* are tokens by the model's tokenizer.
    A *warm-up* is shown and left out of every figure; **✗** gave no answer. *turn 2 kept* went on from the KV cache,
    *turn 2 anew* did not. **Enter** shows all of a run.

    **p** goes on to the next part below the table: percentiles and what they mean, tok/s over time, TTFT by the
    prompt's length. A wide terminal shows all of them. **◉** in a plot: points of both sides in one place.

    **h** lists earlier benches, to show, compare and remove. **x** writes the shown one to a file, **y** copies it as
    Markdown.
    """

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("s", "start_stop", "Start/stop"),
        Binding("e", "set_up", "Set up"),
        Binding("h", "history", "History"),
        Binding("p", "panel", "Panel"),
        Binding("x", "export", "Export"),
        Binding("y", "copy", "Copy"),
        Binding("d", "details", "Details", show=False),
        Binding("escape", "back", "Back", show=False),
    ]

    def __init__(self, parts: BenchParts, remembered: Remembered) -> None:
        """`parts` is what it measures with."""
        super().__init__(parts.control, bench_fields.load(remembered.get(parts.remembered_as)))
        self._parts = parts
        self._remembered = remembered
        self._starting: Worker[None] | None = None
        """What looks at the machine and the sides before a bench can be started."""

    def on_mount(self) -> None:
        """What ended before this tab was first shown has its meaning too. Textual calls the view's own as well."""
        self._tell_meaning()

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 - Textual calls it by position
    ) -> bool | None:
        """The footer offers only what can be done now."""
        ended = self.session is not None
        allowed = {
            "export": ended,
            "copy": ended,
            "details": self.run_under_cursor is not None,
            "panel": not self.wide,
            "back": self.kept is not None or bool(self.preparing),
        }
        return allowed.get(action, True)

    async def ask(self, title: str, question: str, *, yes: str, no: str) -> bool:
        """A question; only a worker may ask. True where the answer is yes."""
        return await self.app.push_screen_wait(ConfirmScreen(title, question, yes=yes, no=no))

    # --- starting and stopping -----------------------------------------------------------------

    def action_start_stop(self) -> None:
        """Start a bench, or stop it, also before it has begun."""
        if self._starting is not None:
            self._starting.cancel()
        elif self.running:
            self.stop()
        else:
            self.start()

    @work(group="bench")
    async def start(self) -> None:
        """Measure as set up."""
        if self._starting is not None or self.running:
            return
        self._starting = get_current_worker()
        self.fault = ""  # the last start's says nothing of this one
        self.prepare("starting")
        try:
            await self._start()
        except NpurunError as error:
            self.fault = str(error)
            if not self.is_on_screen:  # the tab has it in its note
                complain(self, error)
        finally:
            self._starting = None
            self.prepare("")

    async def _start(self) -> None:
        """Raises NpurunError where it cannot be started."""
        setup = await self._with_model()
        self.prepare("looking whether both sides are there" if setup.baseline else "starting")
        targets = await self._parts.targets(setup)
        self.prepare("asking what machine this is")
        machine = await self._parts.machine()
        self.control.start(setup.plan, targets, machine, self._parts.meter(targets))
        self.show_kept(None)

    async def _with_model(self) -> Setup:
        """The set-up, whose model is the first one here where none was chosen yet."""
        if self.setup.model:
            return self.setup
        names = await asyncio.to_thread(self._parts.installed)
        if not names:
            raise NpurunError(_NO_MODEL)
        self.setup = replace(self.setup, model=names[0])
        return self.setup

    @work(group="bench")
    async def stop(self) -> None:
        """Stop the bench, after a question where something would not be measured."""
        done = len(self.control.state.runs)
        words = f"{units.count(done, 'run')} will be kept; the rest is not measured."
        if done and not await self.ask("Stop the bench?", words, yes="Stop", no="No"):
            return
        self.control.stop()

    def heard(self, event: BenchEvent) -> None:
        """At the end the sentences are worked out."""
        super().heard(event)
        if self.control.state.session is not None:
            self._tell_meaning()

    def show_kept(self, session: Session | None) -> None:
        """Show a session of the history; None goes back to the present bench."""
        self.kept = session
        self.sections = []
        self.table.cursor = 0
        self.table.follows = True
        self.show()
        self._tell_meaning()

    @work(group="meaning", exclusive=True)
    async def _tell_meaning(self) -> None:
        """In a thread: the intervals cost a second where there are thousands of runs."""
        session = self.session
        if session is None:
            return
        from npurun_tui.screens.bench_meaning import meaning_of

        found = await asyncio.to_thread(meaning_of, session, self._parts.history.before)
        if self.session is session:
            self.sections = found
            self.show()

    # --- setting up ----------------------------------------------------------------------------

    @work(group="setup", exclusive=True)
    async def action_set_up(self) -> None:
        """Change what is measured."""
        from npurun_tui.screens.bench_setup import BenchSetupScreen

        try:
            models = await asyncio.to_thread(self._parts.installed)
        except NpurunError as error:
            complain(self, error)
            return
        chosen = await self.app.push_screen_wait(BenchSetupScreen(self.setup, models))
        if chosen is None:
            return
        self.setup = chosen
        self.fault = ""
        self.show()
        try:
            text = bench_fields.dump(chosen)
            await asyncio.to_thread(self._remembered.set, self._parts.remembered_as, text)
        except OSError as error:
            log.warning("the bench's set-up was not remembered: %s", error)
            say(self, "The set-up counts now, but could not be kept for later.", severity="warning")

    # --- what was found ------------------------------------------------------------------------

    @on(RowTable.Selected)
    def action_details(self) -> None:
        """All of the run under the cursor."""
        from npurun_tui.screens.bench_details import BenchDetailsScreen

        run = self.run_under_cursor
        if run is not None:
            self.app.push_screen(BenchDetailsScreen(run, self.shown.label(run.side)))

    @work(group="history", exclusive=True)
    async def action_history(self) -> None:
        """Earlier benches: one of them is shown."""
        from npurun_tui.screens.bench_history import BenchHistoryScreen

        chosen = await self.app.push_screen_wait(BenchHistoryScreen(self._parts.history))
        if chosen is not None:
            present = self.control.state.session
            same = present is not None and present.id == chosen.id
            self.show_kept(None if same else chosen)

    @work(group="export", exclusive=True)
    async def action_export(self) -> None:
        """Write what is shown to a file."""
        from npurun_tui.screens.bench_export import BenchExportScreen

        if self.session is None:
            return
        written = await self.app.push_screen_wait(BenchExportScreen(self.session))
        if written is not None:
            say(self, f"Written: {written}")

    @work(group="copy", exclusive=True)
    async def action_copy(self) -> None:
        """Copy what is shown as Markdown."""
        from npurun_tui.screens.bench_export import as_markdown

        if self.session is not None:
            copy_from(self, await asyncio.to_thread(as_markdown, self.session))

    def action_panel(self) -> None:
        """The next part below the table."""
        self.switch_panel(PANELS[(PANELS.index(self.panel) + 1) % len(PANELS)])

    def action_back(self) -> None:
        """Back to the present bench, or out of one that has not begun."""
        if self._starting is not None:
            self._starting.cancel()
        else:
            self.show_kept(None)

    def palette_commands(self) -> Iterable[SystemCommand]:
        """The commands of this tab."""
        from npurun_tui.screens.bench_commands import commands

        return commands(self)
