"""The object of `bench --json` and of exported `.json` files. `json_import` makes a session of it again."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any, Final

from npurun_tui.bench.compare import Comparison, Difference, compare_sides
from npurun_tui.bench.records import Clock, Run, Session, Side
from npurun_tui.bench.statistics import clock_gap, summaries
from npurun_tui.bench.throttling import throttling
from npurun_tui.bench.verdicts import speedup_words

FORM: Final = 1
"""Counted up where an older version could not read what this one writes; new fields do not count."""


def bench_document(session: Session, comparison: Comparison | None = None) -> dict[str, Any]:
    """What `bench --json` prints, as plain JSON values; nothing of the session is left out.

    The figures of a run and of `summary` are the host's clock; what the runtime's own profile says stands in `engine`.
    `runs`, `summary` and `energy` are those of the model itself; a baseline has its own in `baseline`, and `speedup`
    tells the two apart: ratios are the baseline's figure by the model's. A number that is not known is null.
    """
    first, *others = session.sides
    document = {
        **_side(session, first),
        "baseline": _side(session, others[0]) if others else None,
        "speedup": _speedup(session) if others else None,
        "throttling": _optional(throttling(session, first.key)),
        "comparison": _comparison(comparison),
        "loads": [asdict(load) for load in session.loads],
        "complete": session.complete,
        "reason": session.reason,
        "notes": list(session.notes),
        "energy_note": session.energy_note,
        "machine": asdict(session.machine),
        "plan": session.plan,
        "id": session.id,
        "began": session.began,
        "seconds": session.seconds,
        "samples": [asdict(sample) for sample in session.samples],
        "form": FORM,
    }
    return {key: finite(value) for key, value in document.items()}


def json_text(session: Session, comparison: Comparison | None = None) -> str:
    """`bench_document` as a file."""
    document = bench_document(session, comparison)
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def finite(value: object) -> object:
    """`value` as JSON has it: tuples are lists, and what is not finite is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def _side(session: Session, side: Side) -> dict[str, Any]:
    energy = next((energy for energy in session.energy if energy.side == side.key), None)
    summary = summaries(session, side.key).items()
    return {
        "model": side.model,
        "backend": side.backend,
        "device": side.device,
        "runtime": side.runtime,
        "runs": [_run(run) for run in session.runs if run.side == side.key],
        "summary": {figure: _optional(found) for figure, found in summary},
        "energy": _optional(energy),
        "clock_gap_percent": clock_gap(session, side.key),
        "side": side.key,
        "model_hash": side.model_hash,
        "quant": side.quant,
        "context": side.context,
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "prompt": run.prompt,
        "prompt_tokens": run.prompt_tokens,
        "cached_tokens": run.cached_tokens,
        "completion_tokens": run.completion_tokens,
        **_clock(run.host),
        "total_ms": run.total_ms,
        "warmup": run.warmup,
        "engine": _clock(run.engine),
        "side": run.side,
        "context": run.context,
        "repeat": run.repeat,
        "max_tokens": run.max_tokens,
        "turn": run.turn,
        "reuse": run.reuse,
        "began_s": run.began_s,
        "outcome": run.outcome,
        "fault": run.fault,
    }


def _clock(clock: Clock) -> dict[str, float | None]:
    return {
        "ttft_ms": clock.ttft_ms,
        "prefill_tps": clock.prefill_tps,
        "decode_tps": clock.decode_tps,
    }


def _speedup(session: Session) -> dict[str, Any]:
    found = compare_sides(session)
    return {"words": speedup_words(session), **_differences(found)}


def _comparison(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return {
        **_differences(dict(comparison.figures)),
        "differs": list(comparison.differs),
        "notes": list(comparison.notes),
    }


def _differences(found: dict[Any, Difference]) -> dict[str, Any]:
    return {str(figure): asdict(difference) for figure, difference in found.items()}


def _optional(record: Any) -> dict[str, Any] | None:
    return None if record is None else asdict(record)
