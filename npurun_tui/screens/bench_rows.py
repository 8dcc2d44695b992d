"""The rows of the Bench tab's table: one for each run, and one for the run that goes. Knows no Textual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.text import one_line
from npurun_tui.widgets.row_table import Cell, Column

if TYPE_CHECKING:
    from npurun_tui.bench.events import RunBegan, Ticked
    from npurun_tui.bench.records import Run

COLUMNS: Final = (
    Column("Run", 9),
    Column("Prompt", 11),
    Column("Side", 4),
    Column("Window", 6, right=True, rank=7),
    Column("In", 5, right=True),
    Column("Cached", 6, right=True, rank=6),
    Column("Out", 5, right=True, rank=2),
    Column("TTFT", 7, right=True),
    Column("Prefill", 7, right=True, rank=5),
    Column("tok/s", 6, right=True),
    Column("engine", 6, right=True, rank=3),
    Column("Δ", 7, right=True, rank=4),
    Column("In all", 7, right=True, rank=8),
)
PROMPT: Final = 1
"""Which of them grows."""
LIVE: Final = "live"
"""The key of the run that goes."""

UNKNOWN: Final = "–"
_SIGNS: Final = {"failed": "✗ failed", "aborted": "✗ stopped", "empty": "✗ empty"}

Cells = tuple[Cell, ...]


def key_of(index: int) -> str:
    """The key of the run at `index`."""
    return str(index)


def cells_of(run: Run) -> Cells:
    """A run that has ended. Warm-ups are named and dim; what failed is named and has no figures."""
    look = _look(run)
    host, engine = run.host, run.engine
    texts = (
        state_of(run),
        _turn_words(run) if run.turn else one_line(run.prompt, 60),
        side_name(run.side),
        whole(run.context or None),
        whole(run.prompt_tokens),
        whole(run.cached_tokens),
        whole(run.completion_tokens),
        span(host.ttft_ms),
        figure(host.prefill_tps),
        figure(host.decode_tps),
        figure(engine.decode_tps),
        gap_words(run),
        span(run.total_ms),
    )
    return tuple(Cell(text, look) for text in texts)


def live_cells(run: RunBegan, tick: Ticked | None) -> Cells:
    """The run that goes, as far as it is."""
    texts = (
        "▶ warm-up" if run.warmup else f"▶ {run.repeat + 1}",
        f"turn {run.turn}" if run.turn else one_line(run.prompt, 60),
        side_name(run.side),
        whole(run.context or None),
        "",
        "",
        whole(tick.tokens) if tick else "",
        span(tick.ttft_ms) if tick and tick.ttft_ms is not None else "",
        "",
        figure(tick.decode_tps) if tick and tick.decode_tps is not None else "",
        "",
        "",
        "",
    )
    return tuple(Cell(text, "strong") for text in texts)


def _look(run: Run) -> str:
    if run.outcome in _SIGNS:
        return "error" if run.outcome == "failed" else "warning"
    return "quiet" if run.warmup else ""


def state_of(run: Run) -> str:
    """Whether it counts, in a word."""
    if run.outcome in _SIGNS:
        return _SIGNS[run.outcome]
    return "warm-up" if run.warmup else str(run.repeat + 1)


def _turn_words(run: Run) -> str:
    """A turn of the conversation, and whether its KV cache was kept: short, since a narrow column cuts the end off."""
    return f"turn {run.turn} {'kept' if run.reuse else 'anew'}"


def side_name(key: str) -> str:
    """A side as people see it; a session from a file may have any text there."""
    return one_line(key, 8).upper()


def whole(number: int | None) -> str:
    """A count of tokens."""
    return UNKNOWN if number is None else f"{number:,}"


def figure(rate: float | None) -> str:
    """A rate of tokens, without its unit."""
    if rate is None:
        return UNKNOWN
    return f"{rate:,.0f}" if rate >= 999.5 else f"{rate:.3g}" if rate >= 99.95 else f"{rate:.1f}"


def span(ms: float | None) -> str:
    """A time in milliseconds."""
    return UNKNOWN if ms is None else units.duration(ms / 1000)


def gap(run: Run) -> float | None:
    """By how much the host's rate is above the engine's, in percent; None where one of them is not known."""
    host, engine = run.host.decode_tps, run.engine.decode_tps
    return None if host is None or not engine else (host / engine - 1) * 100


def gap_words(run: Run) -> str:
    """`gap` as a column has it."""
    found = gap(run)
    return UNKNOWN if found is None else f"{found:+.1f} %"


def facts_of(run: Run, side: str) -> list[tuple[str, str]]:
    """All that is known of a run; `side` names what was asked."""
    counted = "yes" if run.counts else "no: a warm-up" if run.warmup else f"no: {run.outcome}"
    conversation = "KV cache kept" if run.reuse else "KV cache reset"
    pairs = [
        ("Side", side),
        ("Prompt", one_line(run.prompt, 300)),
        ("Turn", f"{run.turn}, {conversation}" if run.turn else ""),
        ("Repeat", str(run.repeat + 1)),
        ("Counts", counted),
        ("Ended", run.outcome),
        ("Began after", units.duration(run.began_s)),
        ("Window", whole(run.context or None)),
        ("Tokens in", whole(run.prompt_tokens)),
        ("Cached", whole(run.cached_tokens)),
        ("Tokens out", whole(run.completion_tokens)),
        ("In all", span(run.total_ms)),
        ("TTFT", _both(span(run.host.ttft_ms), span(run.engine.ttft_ms))),
        ("Prefill", _both(_rate(run.host.prefill_tps), _rate(run.engine.prefill_tps))),
        ("Decode", _both(_rate(run.host.decode_tps), _rate(run.engine.decode_tps))),
        ("Difference", gap_words(run)),
    ]
    return [pair for pair in pairs if pair[1] not in ("", UNKNOWN)]


def _both(host: str, engine: str) -> str:
    """A figure by this program's clock, and by the engine's where it has one."""
    return host if engine == UNKNOWN else f"{host}; engine {engine}"


def _rate(rate: float | None) -> str:
    return UNKNOWN if rate is None else units.rate(rate)
