"""What the Bench tab says in words: its head, its figures, what they mean. Knows no Textual.

Every state has its sign and its word, so that none is told by a colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.bench.statistics import NAMES, UNITS, figure_of, summarise
from npurun_tui.screens.bench_rows import side_name
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.bench.control import BenchState
    from npurun_tui.bench.plan import Plan
    from npurun_tui.bench.records import Load, Run, Session, Side
    from npurun_tui.bench.statistics import Figure, Summary

_FIGURES: Final[tuple[Figure, ...]] = ("decode_tps", "ttft_ms", "prefill_tps")
RECENT: Final = 50
"""Runs by whose pace the rest is foretold."""
_HEADS: Final = ("p50", "p90", "p99", "min", "max", "n")


# --- the head ----------------------------------------------------------------------------------


def sides_words(sides: Sequence[Side]) -> str:
    """What is measured, and against what."""
    if len(sides) < 2:
        return one_line(sides[0].label, 120) if sides else ""
    named = [f"{side_name(side.key)}: {one_line(side.label, 100)}" for side in sides]
    return " against ".join(named)


def plan_words(plan: Plan) -> str:
    """What is asked, in one line: `4 prompts, 3 repeats, 1 warm-up, 128 tokens`."""
    return ", ".join(_plan_parts(plan))


def _plan_parts(plan: Plan) -> Iterable[str]:
    if plan.prompts:
        yield _prompts_words(plan.prompts)
    elif not plan.lengths and not plan.turns:
        yield "all prompts"
    if plan.lengths:
        yield f"lengths {_listed(plan.lengths, 'max')}"
    if plan.turns:
        yield units.count(plan.turns, "turn")
    if plan.contexts != (0,):
        yield f"windows {_listed(plan.contexts, 'own')}"
    yield f"{_listed(plan.outputs, '')} tokens"
    if plan.duration_s:
        yield f"stress for {units.duration(plan.duration_s)}"
    else:
        yield units.count(plan.repeats, "repeat")
    yield units.count(plan.warmups, "warm-up") if plan.warmups else "no warm-up"


def _prompts_words(prompts: Sequence[str]) -> str:
    if len(prompts) > 4:
        return units.count(len(prompts), "prompt")
    return " ".join(one_line(prompt, 24) for prompt in prompts)


def _listed(numbers: Iterable[int], zero: str) -> str:
    return " ".join(f"{number}" if number else zero for number in numbers)


def loads_words(loads: Sequence[Load], sides: Sequence[Side]) -> str:
    """How long the loading took, the first of each kind; several sides are named."""
    parts = []
    for side in sides:
        mine = [load for load in loads if load.side == side.key]
        times = [
            f"{word} {units.duration(found.ms / 1000)}"
            for word, cold in (("cold", True), ("warm", False))
            if (found := next((load for load in mine if load.cold is cold), None)) is not None
        ]
        if times:
            name = f"{side_name(side.key)} " if len(sides) > 1 else ""
            parts.append(f"{name}{', '.join(times)}")
    return f"load {'; '.join(parts)}" if parts else ""


def when(unix: float) -> str:
    """A moment on this machine's clock."""
    try:
        return datetime.fromtimestamp(unix).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):  # a database may hold any number
        return "?"


def state_words(state: BenchState, kept: Session | None, now: float) -> tuple[str, str]:
    """How the shown bench stands, and its time; `now` is the present one's seconds."""
    if kept is not None:
        return f"{_ended(kept)}; Escape goes back", f"of {when(kept.began)}"
    if state.running:
        sign = "◐" if state.current is None else "▶"
        return f"{sign} {_progress(state)}{one_line(state.phase, 160)}", _time(state, now)
    if state.session is not None:
        return f"{_ended(state.session)}; s measures again", when(state.session.began)
    return "○ idle; s measures", ""


def _progress(state: BenchState) -> str:
    if state.current is None or state.current.warmup:
        return ""
    return f"run {state.done + 1}{f' of {state.of}' if state.of else ''}: "


def _time(state: BenchState, now: float) -> str:
    """How long it has taken, and how long the rest will by the pace of what was measured."""
    words = units.whole_seconds(now)
    counted = [run.total_ms / 1000 for run in state.runs[-RECENT:] if run.counts]
    if state.plan is not None and state.plan.duration_s:
        left = state.plan.duration_s - now
    elif counted and state.of:
        left = sum(counted) / len(counted) * (state.of - state.done)
    else:
        return words
    return f"{words}, {units.whole_seconds(left)} left" if left > 0 else words


def counts_words(runs: Sequence[Run]) -> str:
    """How many runs have ended, and how many of them for nothing."""
    counted = sum(not run.warmup for run in runs)
    failed = sum(not run.counts and not run.warmup for run in runs)
    words = units.count(counted, "run") if runs else ""
    return f"{words}, {failed:,} without figures" if failed else words


def _ended(session: Session) -> str:
    if session.complete:
        return f"✓ done in {units.duration(session.seconds)}"
    return f"✗ incomplete{f': {reason}' if (reason := one_line(session.reason, 160)) else ''}"


def bar_words(state: BenchState) -> str:
    """The bench in the status bar; empty while none runs."""
    if not state.running:
        return ""
    if state.waiting:
        return "bench waits"
    if not state.of:
        return f"bench {state.done}" if state.done else "bench starts"
    return f"bench {state.done}/{state.of}"


# --- figures -----------------------------------------------------------------------------------


def figure_lines(runs: Sequence[Run], sides: Sequence[Side]) -> list[str]:
    """Percentiles of the headline figures, a table; empty before the first run that counts."""
    lines: list[str] = []
    for side in sides:
        counted = [run for run in runs if run.side == side.key and run.counts]
        found = [(name, summarise(figure_of(run, name) for run in counted)) for name in _FIGURES]
        rows = [_figure_row(name, summary) for name, summary in found if summary is not None]
        if rows:
            title = side_name(side.key) if len(sides) > 1 else ""
            lines.append(f"{title:<15}" + "".join(f"{head:>8}" for head in _HEADS))
            lines += rows
    return lines


def _figure_row(figure: Figure, summary: Summary) -> str:
    values = (summary.p50, summary.p90, summary.p99, summary.min, summary.max)
    label = f"{NAMES[figure]} {UNITS[figure]}"
    return f"{label:<15}" + "".join(f"{_number(value):>8}" for value in values) + f"{summary.n:>8,}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 999.5 else f"{value:.1f}"
