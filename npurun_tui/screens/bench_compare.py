"""Two kept benches side by side: their figures, whether the differences are more than noise, and their rates' plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from npurun_tui import units
from npurun_tui.bench import compare, verdicts
from npurun_tui.bench.statistics import FIGURES, NAMES, UNITS, summaries
from npurun_tui.screens import bench_words
from npurun_tui.screens.bench_plots import first_by_length, rates_over_time
from npurun_tui.screens.bench_shown import plan_of
from npurun_tui.text import one_line, printable
from npurun_tui.widgets.copying import copy_from
from npurun_tui.widgets.facts import FactsPanel
from npurun_tui.widgets.plot import Plot
from npurun_tui.widgets.plot_cells import Series

if TYPE_CHECKING:
    from npurun_tui.bench.history import History
    from npurun_tui.bench.records import Session

_LABEL: Final = 16
_COLUMN: Final = 26


@dataclass(frozen=True, slots=True)
class Compared:
    """Two sessions, and what is to be said of them."""

    old: Session
    new: Session
    table: tuple[str, ...]
    sentences: tuple[str, ...]


def compared(history: History, old: str, new: str) -> Compared:
    """Read and compare the two. Blocks, for a second where there are many runs.

    Raises:
        StorageError: one of them cannot be read.
    """
    before, after = history.get(old), history.get(new)
    found = compare.compare_sessions(before, after)
    return Compared(
        before,
        after,
        tuple(_table(before, after)),
        tuple(verdicts.comparison_words(found)),
    )


def _table(old: Session, new: Session) -> Iterable[str]:
    yield _line("", "old", "new")
    for label, words in _ROWS:
        yield _line(label, words(old), words(new))
    before, after = summaries(old), summaries(new)
    for figure in FIGURES:
        for share in ("p50", "p90"):
            pair = [getattr(found[figure], share, None) for found in (before, after)]
            if any(value is not None for value in pair):
                yield _line(f"{NAMES[figure]} {share}", *(_value(v, UNITS[figure]) for v in pair))
    yield _line("J/token", _joules(old), _joules(new))


def _line(label: str, old: str, new: str) -> str:
    def cell(text: str) -> str:
        return f"{one_line(text, _COLUMN - 2):<{_COLUMN}}"

    return f"{label:<{_LABEL}}{cell(old)}{cell(new)}".rstrip()


_ROWS: Final[tuple[tuple[str, Callable[[Session], str]], ...]] = (
    ("Began", lambda session: bench_words.when(session.began)),
    ("Model", lambda session: session.sides[0].model),
    ("Device", lambda session: session.sides[0].device),
    ("Runtime", lambda session: session.sides[0].runtime or "–"),
    ("Asked", lambda session: bench_words.plan_words(plan_of(session.plan))),
    ("Runs", lambda session: f"{len(session.counted()):,}"),
    ("Ended", lambda session: "complete" if session.complete else "incomplete"),
)


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return units.duration(value / 1000) if unit == "ms" else f"{value:,.1f} {unit}"


def _joules(session: Session) -> str:
    found = next((energy for energy in session.energy if energy.side == "a"), None)
    return "–" if found is None else f"{found.joules_per_token:.3g} ± {found.uncertainty:.2g}"


class BenchCompareScreen(ModalScreen[None]):
    """The older one on the left. `y` copies what is read."""

    VERTICAL_BREAKPOINTS = [(0, "-low"), (44, "-high")]  # noqa: RUF012 - Textual's way
    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("y", "copy", "Copy"),
        Binding("escape,q", "close", "Close"),
    ]

    def __init__(self, found: Compared) -> None:
        super().__init__()
        self._found = found
        self._panel = FactsPanel(id="bench-compared")
        self._rate = Plot("tok/s over time", x_words=_seconds, id="bench-compared-rate")
        self._first = Plot(
            "TTFT, s, by tokens of the prompt",
            x_words="{:,.0f} tokens".format,
            id="bench-compared-first",
        )

    def compose(self) -> ComposeResult:
        """Figures and sentences; plots where there is room for them."""
        with Vertical(classes="dialog-box", id="bench-compare"):
            yield self._panel
            yield self._rate
            yield self._first
            yield Static("y copies it, Escape goes back to the list.", classes="dialog-help")

    def on_mount(self) -> None:
        """Kept sessions do not change."""
        found = self._found
        self._panel.say("Two benches", sections=self._sections())
        self._rate.show(_both(rates_over_time, found))
        self._first.show(_both(first_by_length, found))
        self._panel.focus()

    def _sections(self) -> list[tuple[str, Sequence[str]]]:
        found = self._found
        sentences = [printable(sentence) for sentence in found.sentences]
        return [("Side by side", found.table), ("What it means", sentences)]

    def action_copy(self) -> None:
        """Copy table and sentences."""
        lines = [f"    {line}" for line in self._found.table]
        copy_from(self, "\n".join((*lines, "", *self._found.sentences, "")))

    def action_close(self) -> None:
        """Back to the list."""
        self.dismiss(None)


def _both(points_of: Callable[..., list[Series]], found: Compared) -> list[Series]:
    """The two sessions' own sides in one plot: the old one's as dots, the new one's as signs."""
    both = []
    for name, session, sign in (("old", found.old, ""), ("new", found.new, "○")):
        runs = [run for run in session.runs if run.side == "a"]
        both += [Series(name, one.points, sign, joined=False) for one in points_of(runs)]
    return both


def _seconds(seconds: float) -> str:
    return units.duration(seconds) if seconds >= 1 else f"{seconds:.0f} s"
