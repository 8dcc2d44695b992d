"""All that is known of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from npurun_tui.screens.bench_rows import facts_of
from npurun_tui.text import one_line
from npurun_tui.widgets.facts import FactsPanel

if TYPE_CHECKING:
    from npurun_tui.bench.records import Run


class BenchDetailsScreen(ModalScreen[None]):
    """One run, by both clocks."""

    BINDINGS = [Binding("escape,d,enter,q", "close", "Close")]  # noqa: RUF012 - Textual's way

    def __init__(self, run: Run, side: str) -> None:
        """`side` names what was asked."""
        super().__init__()
        self._run = run
        self._side = side
        self._panel = FactsPanel(id="bench-facts")

    def compose(self) -> ComposeResult:
        """The facts, and the key."""
        with Vertical(classes="dialog-box", id="bench-details"):
            yield self._panel
            yield Static("Escape closes.", classes="dialog-help")

    def on_mount(self) -> None:
        """A run that has ended does not change."""
        run = self._run
        self._panel.say(
            "Run",
            title=one_line(run.prompt, 60),
            note=one_line(run.fault, 400),
            facts=facts_of(run, one_line(self._side, 100)),
        )
        self._panel.focus()

    def action_close(self) -> None:
        """Back to the table."""
        self.dismiss(None)
