"""What is not the same in two sessions, and may be what their figures differ by.

Nothing is refused: to compare two models, drivers or machines is what a person may want, who should only know of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from npurun_tui.bench.records import Machine, Session, Side
from npurun_tui.text import one_line
from npurun_tui.units import size

_SIDE: Final[tuple[tuple[str, str], ...]] = (
    ("model", "Model"),
    ("quant", "Quantisation"),
    ("backend", "Backend"),
    ("device", "Device"),
    ("runtime", "Runtime"),
    ("context", "Context window"),
)

_MACHINE: Final[tuple[tuple[str, str], ...]] = (
    ("soc", "Processor"),
    ("npu", "NPU"),
    ("driver", "NPU driver"),
    ("cores", "Cores"),
    ("memory_mb", "Memory"),
    ("system", "System"),
    ("power", "Power source"),
    ("program", "npurun-tui"),
)

_PLAN: Final[tuple[tuple[str, str], ...]] = (
    ("warmups", "Warm-up runs after a load"),
    ("duration_s", "Seconds of stress"),
    ("energy", "Rest before the runs"),
)
"""What heats or primes the machine. What was asked is compared question by question, and how often is no difference."""

_MEMORY_STEP: Final = 512
"""MB: the same machine tells a little more or less from start to start."""


def what_differs(old: Session, new: Session, key: str) -> Iterator[str]:
    """One sentence each. What one of them does not know is not taken for a difference, but for the model's file:
    without its hash nobody can tell that it is the same."""
    before, after = _side(old, key), _side(new, key)
    if before is not None and after is not None:
        yield from _of(before, after, _SIDE)
        yield from _file(before, after)
    yield from _of(old.machine, new.machine, _MACHINE)
    for name, words in _PLAN:
        was, now = old.plan.get(name), new.plan.get(name)
        if was is not None and now is not None and was != now:
            yield f"{words}: {_value(was)} before, {_value(now)} now."
    if before is not None and after is not None and len(old.sides) != len(new.sides):
        turns = "new" if len(new.sides) > len(old.sides) else "old"
        yield f"Only the {turns} bench had a baseline that took turns: the machine was at work in between."


def _side(session: Session, key: str) -> Side | None:
    try:
        return session.side(key)
    except KeyError:
        return None


def _of(
    old: Side | Machine, new: Side | Machine, fields: tuple[tuple[str, str], ...]
) -> Iterator[str]:
    for name, words in fields:
        was, now = getattr(old, name), getattr(new, name)
        if not was or not now or was == now:
            continue
        if name == "memory_mb":
            if abs(was - now) < _MEMORY_STEP:
                continue
            was, now = size(was * 1e6), size(now * 1e6)
        yield f"{words}: {_value(was)} before, {_value(now)} now."


def _file(old: Side, new: Side) -> Iterator[str]:
    """Whether it is one and the same model."""
    if old.model != new.model:
        return
    if not old.model_hash or not new.model_hash:
        yield "Whether the model's file is the same cannot be told: one of the benches has no hash of it."
    elif old.model_hash.lower() != new.model_hash.lower():
        yield (
            f"Model file: {_value(old.model_hash[:12])} before, {_value(new.model_hash[:12])} now: "
            "not the same file under one name."
        )


def _value(value: object) -> str:
    """It may come from a file that somebody else has made."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(f"{value:g}" if isinstance(value, float) else str(value), 80)
