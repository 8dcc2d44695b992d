"""The Bench tab as it is seen: the head, the table of runs, figures, plots, gauges. What can be done is in `bench`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from npurun_tui import units
from npurun_tui.screens import bench_plots, bench_rows, bench_words
from npurun_tui.screens.bench_shown import Shown, of_session, of_state
from npurun_tui.screens.bench_table import BenchTable
from npurun_tui.text import printable
from npurun_tui.widgets.facts import FactsPanel
from npurun_tui.widgets.gauges import Gauges
from npurun_tui.widgets.plot import Plot
from npurun_tui.widgets.row_table import Row, RowTable
from npurun_tui.widgets.sides import Sides

if TYPE_CHECKING:
    from npurun_tui.bench.control import BenchControl
    from npurun_tui.bench.events import BenchEvent
    from npurun_tui.bench.records import Run, Session
    from npurun_tui.screens.bench_fields import Setup
    from npurun_tui.screens.bench_meaning import Section

FRAME: Final = 0.125
"""Seconds between two repaints while a bench runs."""
SLOW: Final = 0.5
"""Seconds between two drawings of what costs more: plots and percentiles of all runs."""
SHARE: Final = 50
"""Of so many seconds one may go into that."""
WIDE: Final = 120
"""Columns from which on all parts stand beside each other."""

PANELS: Final = ("figures", "rate", "first", "none")
"""What stands below the table where there is no room for all of it; `p` goes on to the next."""

_EMPTY: Final = """\
Nothing measured yet.

Press s to measure: time to the first token, prefill and decode rate, by
this program's clock and by the engine's own. e chooses the model, the
prompts, and what to compare with; h shows what was measured before."""
_FIGURES: Final = "By this program's clock, without warm-ups"
_UNSAMPLED: Final = "CPU, memory, power, temperature and NPU are read while a bench runs."


class BenchView(Widget):
    """One bench."""

    def __init__(self, control: BenchControl, setup: Setup) -> None:
        """`setup` is what would be measured."""
        super().__init__()
        self.control = control
        self.setup = setup
        self.kept: Session | None = None
        """The session of the history that is shown in place of the present bench."""
        self.sections: list[Section] = []
        """What the shown session means, once that is worked out."""
        self.preparing = ""
        """What is done before a bench can be started, in words."""
        self.fault = ""
        """Why the last bench could not begin."""
        self._lines = tuple(Sides(id=f"bench-{name}") for name in ("state", "sides", "plan"))
        self._note = Static(id="bench-note")
        self._noted = ""
        self.table = BenchTable(id="bench-table")
        self._figures = FactsPanel(id="bench-figures")
        self._rate = Plot(
            "tok/s over time", x_words=_seconds, nothing="No run has ended yet.", id="bench-rate"
        )
        self._first = Plot(
            "TTFT, s, by tokens of the prompt",
            x_words="{:,.0f} tokens".format,
            nothing="No run has ended yet.",
            id="bench-first",
        )
        self._line = Gauges(nothing=_UNSAMPLED, id="bench-gauge-line")
        self._gauges = Gauges(nothing=_UNSAMPLED, id="bench-gauges")
        self._due = True
        self._counts = ""
        self._slow_at = 0.0
        """When what costs more may be drawn again."""
        self._began = time.monotonic()
        self._seen: object = None
        self._offer: object = None
        self._following: Callable[[], None] = lambda: None
        self.panel = PANELS[0]

    def compose(self) -> ComposeResult:
        """Head, table with figures, plots with gauges."""
        yield from self._lines
        yield self._line
        yield self._note
        yield Static(_EMPTY, id="bench-empty")
        with Container(id="bench-body"):
            with Container(id="bench-left"):
                yield self.table
                yield self._figures
            with Container(id="bench-right"):
                yield self._rate
                yield self._first
                yield self._gauges

    def on_mount(self) -> None:
        """Follow the bench, at the pace of the eye."""
        self._fit()
        self.switch_panel(self.panel)
        self._following = self.control.subscribe(self.heard)
        self.set_interval(FRAME, self._frame)
        self.show()

    def on_unmount(self) -> None:
        """Stop listening; the bench goes on."""
        self._following()

    def on_show(self) -> None:
        """What changed behind another tab was not drawn."""
        self.show()

    def on_resize(self, _event: Resize) -> None:
        """Follow the terminal."""
        self._fit()

    @property
    def wide(self) -> bool:
        """There is room for all parts at once."""
        return (self.size.width or self.app.size.width) >= WIDE

    def _fit(self) -> None:
        self.set_class(self.wide, "-wide")
        self._show_offer()

    def focus_main(self) -> None:
        """The table has the keyboard."""
        self.table.focus()

    def switch_panel(self, panel: str) -> None:
        """Show another part below the table."""
        self.panel = panel
        for name in PANELS:
            self.set_class(name == panel, f"-{name}")

    # --- what is known -------------------------------------------------------------------------

    @property
    def shown(self) -> Shown:
        """What the tab shows."""
        return of_session(self.kept) if self.kept is not None else of_state(self.control.state)

    @property
    def session(self) -> Session | None:
        """What can be exported: the shown bench, where it has ended."""
        return self.kept or self.control.state.session

    @property
    def running(self) -> bool:
        """A bench runs, whatever is shown."""
        return self.control.state.running

    @property
    def elapsed(self) -> float:
        """Seconds since the present bench was first seen."""
        return time.monotonic() - self._began

    @property
    def run_under_cursor(self) -> Run | None:
        """The ended run under the cursor."""
        return self.table.run_at_cursor(self.shown.runs)

    def heard(self, _event: BenchEvent) -> None:
        """Something has changed; it is drawn with the next frame."""
        self._due = True

    def prepare(self, what: str) -> None:
        """Say what is done before a bench can be started; an empty text takes it away."""
        self.preparing = what
        self.show()

    def _frame(self) -> None:
        # Its time goes on without any event.
        goes_on = self.running and time.monotonic() >= self._slow_at
        if (self._due or goes_on) and self.is_on_screen:
            self.show()

    # --- what is shown -------------------------------------------------------------------------

    def show(self) -> None:
        """Draw what has changed."""
        if not self.is_attached:
            return
        self._due = False
        shown = self.shown
        if self._seen is not self.control.state:
            self._seen, self._began = self.control.state, time.monotonic()
        self._show_note()
        self._show_rows(shown)
        nothing = not shown.runs and not self.running and shown.session is None
        self.set_class(nothing, "-empty")
        if time.monotonic() >= self._slow_at or not self.running:
            self._show_slow(shown)
        else:
            self._due = True  # what is left out now is drawn when its time has come
        self._show_head(shown)
        self._show_offer()

    def _show_head(self, shown: Shown) -> None:
        state, sides, plan = self._lines
        if self.preparing:
            state.show(f"◐ {self.preparing}", "")
        else:
            present = self.control.state
            state.show(*bench_words.state_words(present, self.kept, self.elapsed))
        if shown.sides:
            words = bench_words.sides_words(shown.sides)
            alone = len(shown.sides) == 1  # two names need the line
            loads = bench_words.loads_words(shown.loads, shown.sides)
            sides.show(words, loads if alone else "")
            plan.show(bench_words.plan_words(shown.plan), self._counts)
        else:
            against = f"   against: {self.setup.baseline}" if self.setup.baseline else ""
            sides.show(f"{self.setup.model or 'the first installed model'}{against}", "")
            plan.show(bench_words.plan_words(self.setup.plan), "")

    def _show_note(self) -> None:
        note = self.fault or self.control.state.fault
        if note != self._noted:  # an update lays out the whole screen
            self._noted = note
            self._note.update(Content(printable(note)))
            self.set_class(bool(note), "-noted")

    def _show_rows(self, shown: Shown) -> None:
        source = self.kept or self.control.state
        self.table.show_runs(source, shown.runs, self._live_cells())

    def _live_cells(self) -> Row | None:
        state = self.control.state
        if self.kept is not None or state.current is None:
            return None
        return bench_rows.live_cells(state.current, state.tick)

    def _show_slow(self, shown: Shown) -> None:
        """What goes through all runs: the more there are, the rarer it is drawn."""
        began = time.monotonic()
        for gauges in (self._line, self._gauges):
            gauges.show(bench_plots.gauges(shown.samples))
        self._rate.show(bench_plots.rates_over_time(shown.runs, shown.ticks, shown.live))
        self._first.show(bench_plots.first_by_length(shown.runs))
        self._counts = bench_words.counts_words(shown.runs)
        self._show_figures(shown)
        ended = time.monotonic()
        self._slow_at = ended + max(SLOW, (ended - began) * SHARE)

    def _show_figures(self, shown: Shown) -> None:
        lines = bench_words.figure_lines(shown.runs, shown.sides)
        sections = [*self.sections]
        if shown.notes:
            sections.append(("Notes", [printable(note) for note in shown.notes]))
        if lines and len(shown.sides) > 1:
            lines.append(bench_words.loads_words(shown.loads, shown.sides))
        head = _FIGURES if lines else "No run that counts has ended yet."
        self._figures.say(head, note="\n".join(lines), sections=sections)

    def _show_offer(self) -> None:
        bench = (self.running, bool(self.preparing), self.session is None, self.kept is None)
        offer = (*bench, self.run_under_cursor is None, self.wide)
        if offer != self._offer:
            self._offer = offer
            self.refresh_bindings()

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self._show_offer()


def _seconds(seconds: float) -> str:
    return units.duration(seconds) if seconds >= 1 else f"{seconds:.0f} s"
