"""The tables of a report."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from npurun_tui import units
from npurun_tui.bench.compare import Comparison, Difference, compare_sides
from npurun_tui.bench.exports.report import Table, several
from npurun_tui.bench.exports.wording import NOTHING, duration, figure, joules, of, percent, whole
from npurun_tui.bench.records import Run, Session, Side
from npurun_tui.bench.statistics import (
    FIGURES,
    NAMES,
    UNITS,
    Figure,
    clock_gap,
    figure_of,
    summaries,
    summarise,
)

MOST_RUNS: Final = 2000
"""Rows of a table of runs: a browser can hold more, a person cannot read them."""


def summary_table(session: Session) -> Table:
    """Percentiles of the headline figures, a row for each figure of each side."""
    rows = []
    both = len(session.sides) > 1
    for side in session.sides:
        for name, found in summaries(session, side.key).items():
            if found is None:
                continue
            values = (found.p50, found.p90, found.p99, found.min, found.max, found.stdev)
            cells = [of(name, value) for value in values]
            whose = (side.label,) if both else ()
            rows.append((*whose, _figure(name), f"{found.n:,}", *cells))
    heads: tuple[str, ...] = ("figure", "runs", "p50", "p90", "p99", "min", "max", "stdev")
    if both:
        heads = ("side", *heads)
    words = frozenset({0, 1} if both else {0})
    return Table("Summary", heads, tuple(rows), words, frozenset({0} if both else ()))


def clocks_table(session: Session) -> Table:
    """Both clocks; without rows where the runtime has none."""
    rows = []
    both = len(session.sides) > 1
    for side in session.sides:
        gaps = clock_gap(session, side.key)
        runs = session.counted(side.key)
        for name in FIGURES:
            gap = gaps[name]
            own = summarise(getattr(run.engine, name) for run in runs)
            host = summarise(figure_of(run, name) for run in runs)
            if gap is None or own is None or host is None:
                continue
            whose = (side.label,) if both else ()
            cells = (of(name, host.p50), of(name, own.p50), percent(gap / 100))
            rows.append((*whose, _figure(name), *cells))
    heads: tuple[str, ...] = ("median", "host's clock", "runtime's clock", "difference")
    if both:
        heads = ("side", *heads)
    words = frozenset({0, 1} if both else {0})
    return Table("Both clocks", heads, tuple(rows), words, frozenset({0} if both else ()))


Asked = tuple[str, int, int, int, bool]


def prompts_table(session: Session) -> Table:
    """Medians of each question, with the baseline's beside them."""
    asked: dict[Asked, dict[str, list[Run]]] = {}
    for side in session.sides:
        for run in session.counted(side.key):
            key = (run.prompt, run.context, run.max_tokens, run.turn, run.reuse)
            asked.setdefault(key, {}).setdefault(side.key, []).append(run)
    extra = _telling(list(asked))
    rows = []
    for key, by_side in asked.items():
        everything = [run for runs in by_side.values() for run in runs]
        tokens = [run.prompt_tokens for run in everything if run.prompt_tokens is not None]
        cells = [key[0], *(_asked_cell(key, name) for name in extra)]
        cells.append(f"{statistics.median(tokens):,.0f}" if tokens else NOTHING)
        for side in session.sides:
            runs = by_side.get(side.key, [])
            cells.append(f"{len(runs):,}")
            cells += [_median(runs, name) for name in FIGURES]
        rows.append(tuple(cells))
    one = tuple(f"{NAMES[name]} {UNITS[name]}" for name in FIGURES)
    heads = ["prompt", *extra, "prompt tokens"]
    for index, _ in enumerate(session.sides):
        heads += [f"baseline {head}" if index else head for head in ("runs", *one)]
    return Table("Medians by prompt", tuple(heads), tuple(rows), frozenset({0}), frozenset({0}))


def speedup_table(session: Session) -> Table:
    """The model against its baseline; without rows where there is none."""
    found = compare_sides(session) if len(session.sides) > 1 else {}
    rows = tuple(_speedup(name, difference) for name, difference in found.items())
    note = f"The model's figure by the baseline's, with its 95 % interval. {_MEDIANS}"
    heads = ("median", "model", "baseline", "ratio", "at least", "at most", "runs", "verdict")
    return Table("Against the baseline", heads, rows, _DIFFERENCE_WORDS, note=note)


def comparison_table(comparison: Comparison | None) -> Table:
    """This session against an earlier one; without rows where there is none."""
    found = comparison.figures.items() if comparison else ()
    rows = tuple(_difference(name, difference) for name, difference in found)
    note = f"The change from the earlier bench to this one, with its 95 % interval. {_MEDIANS}"
    return Table("Against an earlier bench", _DIFFERENCE_HEADS, rows, _DIFFERENCE_WORDS, note=note)


def loads_table(session: Session) -> Table:
    """What loading took."""
    sides = {side.key: side for side in session.sides}
    rows = tuple(
        (
            sides[load.side].label if load.side in sides else load.side,
            "cold" if load.cold else "warm",
            duration(load.ms / 1000),
            whole(load.context or None),
        )
        for load in session.loads
    )
    note = "Cold: in a new engine process; warm: the system still has the files in memory."
    heads = ("model", "load", "time", "window, tokens")
    return Table("Loads", heads, rows, frozenset({0, 1}), frozenset({0}), note if rows else "")


def energy_table(session: Session) -> Table:
    """What it cost above the idle machine; without rows where nothing could be measured."""
    sides = {side.key: side for side in session.sides}
    rows = tuple(
        (
            sides[item.side].label if item.side in sides else item.side,
            joules(item),
            figure(item.idle_watts),
            figure(item.busy_watts),
            figure(item.joules),
            whole(item.tokens),
            duration(item.seconds),
            item.source,
        )
        for item in session.energy
    )
    heads = (
        "model",
        "J/token",
        "idle W",
        "busy W",
        "J above idle",
        "tokens",
        "time",
        "measured by",
    )
    return Table("Energy", heads, rows, frozenset({0, 7}), frozenset({0, 7}))


def runs_table(session: Session) -> Table:
    """Each run as it came, warm-ups among them."""
    both = len(session.sides) > 1
    shown = session.runs[:MOST_RUNS]
    turns = any(run.turn for run in shown)
    heads = ["run", *(["side"] if both else []), "prompt", *(["turn"] if turns else [])]
    heads += ["window", "prompt tokens", "cached", "tokens", "TTFT ms", "prefill tok/s"]
    heads += ["decode tok/s", "runtime's tok/s", "total", "outcome"]
    rows = tuple(_run(at, run, both, turns) for at, run in enumerate(shown, start=1))
    words = {heads.index("prompt"), len(heads) - 1} | ({1} if both else set())
    names = {heads.index("prompt"), len(heads) - 1}
    more = len(session.runs) - len(shown)
    note = f"{more:,} more are in the CSV and the JSON." if more else ""
    return Table("Runs", tuple(heads), rows, frozenset(words), frozenset(names), note)


def machine_table(session: Session) -> Table:
    """Where it was measured."""
    machine = session.machine
    facts = [
        ("system", machine.system),
        ("processor", machine.soc),
        ("cores", str(machine.cores) if machine.cores else ""),
        ("memory", units.size(machine.memory_mb * 1e6) if machine.memory_mb else ""),
        ("NPU", machine.npu),
        ("NPU driver", machine.driver),
        ("power", machine.power),
        ("npurun-tui", machine.program),
    ]
    return _facts("Machine", facts)


def model_table(session: Session, side: Side) -> Table:
    """What was measured."""
    title = "Model" if side.key == session.sides[0].key else "Baseline"
    facts = [
        ("name", side.model),
        ("runs on", side.device),
        ("backend", side.backend),
        ("runtime", side.runtime),
        ("quantisation", side.quant),
        ("window", f"{side.context:,} tokens" if side.context else ""),
        ("SHA-256", side.model_hash),
    ]
    return _facts(title, facts)


def settings_table(session: Session) -> Table:
    """What was asked for."""
    facts = [(str(key).replace("_", " "), _setting(value)) for key, value in session.plan.items()]
    return _facts("Settings", facts)


def _facts(title: str, facts: Sequence[tuple[str, str]]) -> Table:
    rows = tuple((name, value) for name, value in facts if value)
    return Table(title, ("", ""), rows, frozenset({0, 1}), frozenset({1}))


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _figure(name: Figure) -> str:
    return f"{NAMES[name]}, {UNITS[name]}"


def _median(runs: Sequence[Run], name: Figure) -> str:
    found = summarise(figure_of(run, name) for run in runs)
    return of(name, found.p50 if found else None)


_TELLING: Final = {"window": 1, "limit": 2, "turn": 3, "cache": 4}


def _telling(asked: Sequence[Asked]) -> list[str]:
    """Which parts beside the prompt tell the questions apart."""
    return [name for name, at in _TELLING.items() if several([key[at] for key in asked])]


def _asked_cell(key: Asked, name: str) -> str:
    value = key[_TELLING[name]]
    if name == "cache":
        return "kept" if value else "reset"
    return f"{value:,}" if value else NOTHING


_DIFFERENCE_HEADS: Final = (
    "median",
    "earlier",
    "now",
    "change",
    "at least",
    "at most",
    "runs",
    "verdict",
)
_DIFFERENCE_WORDS: Final = frozenset({0, 7})
_MEDIANS: Final = (
    "It is worked out question by question; medians are those of all runs that were compared."
)


def _difference(name: Figure, found: Difference) -> tuple[str, ...]:
    verdict = f"{found.verdict}, a regression" if found.regression else found.verdict
    changes = [percent(ratio - 1) for ratio in (found.ratio, found.low, found.high)]
    medians = of(name, found.median_a), of(name, found.median_b)
    return (_figure(name), *medians, *changes, f"{found.n_a:,} / {found.n_b:,}", verdict)


_TURNED: Final = {"faster": "slower", "slower": "faster", "no difference": "no difference"}


def _speedup(name: Figure, found: Difference) -> tuple[str, ...]:
    """Turned round: `found` is of the baseline, and people ask how much faster the model is."""
    ratios = [
        f"{figure(1 / ratio, 2)} ×" if ratio > 0 else NOTHING
        for ratio in (found.ratio, found.high, found.low)
    ]
    medians = of(name, found.median_a), of(name, found.median_b)
    runs = f"{found.n_a:,} / {found.n_b:,}"
    return (_figure(name), *medians, *ratios, runs, _TURNED[found.verdict])


def _run(at: int, run: Run, both: bool, turns: bool) -> tuple[str, ...]:
    outcome: str = run.outcome
    if run.warmup:
        outcome = "warm-up" if outcome in ("stop", "length") else f"{outcome}, warm-up"
    if run.fault:
        outcome = f"{outcome}: {run.fault}"
    side = ("baseline" if run.side != "a" else "model",) if both else ()
    cache = " kept" if run.reuse else ""
    return (
        str(at),
        *side,
        run.prompt,
        *((f"{run.turn}{cache}" if run.turn else NOTHING,) if turns else ()),
        whole(run.context or None),
        whole(run.prompt_tokens),
        whole(run.cached_tokens),
        whole(run.completion_tokens),
        of("ttft_ms", run.host.ttft_ms),
        of("prefill_tps", run.host.prefill_tps),
        of("decode_tps", run.host.decode_tps),
        of("decode_tps", run.engine.decode_tps),
        duration(run.total_ms / 1000),
        outcome,
    )
