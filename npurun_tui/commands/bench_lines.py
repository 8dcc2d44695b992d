"""What `bench` says to people: a header, a row for each run, a table and sentences at the end. Fit for 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from npurun_tui import units
from npurun_tui.bench.exports.wording import of
from npurun_tui.bench.records import Load, Run, Session, Side
from npurun_tui.bench.statistics import NAMES, UNITS, Figure, Summary, summaries
from npurun_tui.engine.spec import BACKEND_LABELS
from npurun_tui.text import one_line

PROMPT_WIDTH: Final = 24
_HEADS: Final = ("PROMPT", "IN", "OUT", "TTFT", "TOK/S", "ENGINE")
_WIDTHS: Final = (PROMPT_WIDTH, 6, 6, 10, 9, 9)


def header(side: Side) -> str:
    """As the Rust program has it."""
    inside = [part for part in (side.backend, side.quant) if part]
    if side.context:
        inside.append(f"ctx {side.context}")
    return f"== npurun bench: {one_line(side.model, 60)} ({one_line(', '.join(inside), 60)}) =="


def load_line(side: Side, load: Load) -> str:
    """What loading took. An endpoint keeps to itself how it loads."""
    how = ""
    if side.backend in BACKEND_LABELS:
        how = ", a new process" if load.cold else ", its files in memory"
    who = "loaded" if side.key == "a" else "baseline loaded"
    where = f"on {one_line(side.device, 60)}, ctx {load.context:,}"
    return f"[{who} {where}, in {units.duration(load.ms / 1000)}{how}]"


def row_heads(*, sides: bool) -> str:
    """Over the rows."""
    return _row(_HEADS, "", "" if sides else None)


def row(run: Run, *, sides: bool, contexts: bool = False) -> str:
    """One run: its tokens, and the rate by both clocks. `sides` and `contexts`: there are several."""
    host, engine = run.host, run.engine
    cells = (
        prompt_words(run, contexts=contexts),
        _whole(run.prompt_tokens),
        _whole(run.completion_tokens),
        _ms(host.ttft_ms),
        _of("decode_tps", host.decode_tps),
        _of("decode_tps", engine.decode_tps),
    )
    return _row(cells, _remark(run), run.side if sides else None)


def prompt_words(run: Run, *, contexts: bool) -> str:
    """The prompt's name, and what else tells it from others."""
    name = run.prompt
    if run.turn:
        name = f"turn {run.turn}, {'kept' if run.reuse else 'reset'}"
    room = f", ctx {run.context}" if contexts else ""
    return f"{one_line(name, PROMPT_WIDTH - len(room))}{room}"


def _row(cells: Sequence[str], remark: str, side: str | None) -> str:
    first = one_line(cells[0], PROMPT_WIDTH).ljust(PROMPT_WIDTH)
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], _WIDTHS[1:], strict=True)]
    before = [] if side is None else [side.ljust(1)]
    return " ".join([*before, first, *rest, remark]).rstrip()


def _remark(run: Run) -> str:
    parts = ["warm-up"] if run.warmup else []
    if run.outcome == "failed":
        parts.append(one_line(run.fault, 200) or "failed")
    elif run.outcome == "empty":
        parts.append("no answer")
    elif run.outcome == "aborted":
        parts.append("stopped")
    if run.cached_tokens:
        parts.append(f"{run.cached_tokens} cached")
    return " · ".join(parts)


# --- at the end --------------------------------------------------------------------------------


def summary_table(session: Session, key: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows; no rows where nothing was measured."""
    rows = [
        (f"{NAMES[figure]}, {UNITS[figure]}", *_spread(figure, summary))
        for figure, summary in summaries(session, key).items()
        if summary
    ]
    return ("", "RUNS", "P50", "P90", "P99", "MIN", "MAX", "STDEV"), rows


def _spread(name: Figure, summary: Summary) -> tuple[str, ...]:
    values = (summary.p50, summary.p90, summary.p99, summary.min, summary.max, summary.stdev)
    return (str(summary.n), *(of(name, value) for value in values))


def prompt_table(session: Session, key: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Medians by what was asked: how TTFT grows with a prompt's length, what a kept cache saves."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in session.counted(key):
        asked = (run.context, run.max_tokens, run.prompt, run.turn, run.reuse)
        groups.setdefault(asked, []).append(run)
    contexts = {run.context for run in session.counted(key)}
    rows = [_group_row(runs, contexts=len(contexts) > 1) for runs in groups.values()]
    return ("MEDIANS", "RUNS", "IN", "OUT", "TTFT", "PREFILL", "TOK/S"), rows


def _group_row(runs: Sequence[Run], *, contexts: bool) -> tuple[str, ...]:
    return (
        prompt_words(runs[0], contexts=contexts),
        str(len(runs)),
        _whole(_median([run.prompt_tokens for run in runs])),
        _whole(_median([run.completion_tokens for run in runs])),
        _ms(_median([run.host.ttft_ms for run in runs])),
        _of("prefill_tps", _median([run.host.prefill_tps for run in runs])),
        _of("decode_tps", _median([run.host.decode_tps for run in runs])),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def load_words(loads: Sequence[Load], side: str = "") -> list[str]:
    """`Load: cold 2.1 s; warm 0.4 s.`"""
    words = []
    for name, cold in (("cold", True), ("warm", False)):
        times = [load.ms for load in loads if load.cold is cold]
        if times:
            words.append(f"{name} {', '.join(units.duration(ms / 1000) for ms in times)}")
    of = f" of {side}" if side else ""
    return [f"Load{of}: {'; '.join(words)}."] if words else []


def _of(name: Figure, value: float | None) -> str:
    return "-" if value is None else of(name, value)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{of('ttft_ms', value)} ms"


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
