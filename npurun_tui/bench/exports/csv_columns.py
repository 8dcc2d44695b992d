"""The columns of a bench's CSV: first those of the Rust program, under its names, then what else is known.

The Rust program (`npurun bench --csv`, npurun-cli's `write_bench_csv_row`) writes a header once, then a line for each
query: repeats from 1, the window that was really used, times with three decimals. Its `tokens` are words times 1.3, and
its rate counts the first token; ours are the tokenizer's count, and the rate of `Clock.decode_tps`. `total_ms` and
`ttft_ms` mean the same in both, and `gen_ms` is their difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from npurun_tui.bench.records import Run, Side
from npurun_tui.text import printable

SEED_COLUMNS: Final = (
    "model",
    "prompt",
    "repeat",
    "ctx",
    "ttft_ms",
    "total_ms",
    "gen_ms",
    "tokens",
    "tps_post_ttft",
)

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r]")


def guarded(text: str) -> str:
    """A text that a spreadsheet takes for a text.

    Excel and LibreOffice run a cell that begins with = + - @, tab or CR as a formula, and quoting does not stop them
    (OWASP, "CSV Injection"); a model's name or a server's fault may begin so. An apostrophe before it does. Texts that
    begin with apostrophes and then such a sign get one more, so that `unguarded` gives back exactly what was there.
    """
    text = printable(text)
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """What `guarded` was given. The Rust program guards nothing, and writes no such text either."""
    return text[1:] if _GUARDED.match(text) else text


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _whole(value: int | None) -> str:
    return "" if value is None else str(value)


def _yes(value: bool) -> str:
    return "true" if value else "false"


def _generating(run: Run) -> str:
    return "" if run.host.ttft_ms is None else f"{max(0.0, run.total_ms - run.host.ttft_ms):.3f}"


Cell = Callable[[Run, Side], str]

COLUMNS: Final[dict[str, Cell]] = {
    "model": lambda _run, side: guarded(side.model),
    "prompt": lambda run, _side: guarded(run.prompt),
    "repeat": lambda run, _side: str(run.repeat + 1),
    "ctx": lambda run, _side: str(run.context),
    "ttft_ms": lambda run, _side: _decimals(run.host.ttft_ms),
    "total_ms": lambda run, _side: _decimals(run.total_ms),
    "gen_ms": lambda run, _side: _generating(run),
    "tokens": lambda run, _side: _whole(run.completion_tokens),
    "tps_post_ttft": lambda run, _side: _decimals(run.host.decode_tps),
    "side": lambda _run, side: guarded(side.key),
    "backend": lambda _run, side: guarded(side.backend),
    "device": lambda _run, side: guarded(side.device),
    "warmup": lambda run, _side: _yes(run.warmup),
    "max_tokens": lambda run, _side: str(run.max_tokens),
    "turn": lambda run, _side: str(run.turn),
    "reuse": lambda run, _side: _yes(run.reuse),
    "began_s": lambda run, _side: _decimals(run.began_s),
    "prompt_tokens": lambda run, _side: _whole(run.prompt_tokens),
    "cached_tokens": lambda run, _side: _whole(run.cached_tokens),
    "prefill_tps": lambda run, _side: _decimals(run.host.prefill_tps),
    "engine_ttft_ms": lambda run, _side: _decimals(run.engine.ttft_ms),
    "engine_prefill_tps": lambda run, _side: _decimals(run.engine.prefill_tps),
    "engine_decode_tps": lambda run, _side: _decimals(run.engine.decode_tps),
    "outcome": lambda run, _side: run.outcome,
    "fault": lambda run, _side: guarded(run.fault),
}
"""By name, in their order; the first nine are the Rust program's."""
