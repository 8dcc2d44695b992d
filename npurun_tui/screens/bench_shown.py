"""What the Bench tab shows: the bench that runs or ran last, or a session of the history. Knows no Textual."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Reversible, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from npurun_tui.bench.plan import Plan

if TYPE_CHECKING:
    from npurun_tui.bench.control import BenchState
    from npurun_tui.bench.events import Ticked
    from npurun_tui.bench.records import Load, Run, Sample, Session, Side


@dataclass(frozen=True, slots=True)
class Shown:
    """One bench, whoever tells of it. Its lists may still grow."""

    sides: Sequence[Side] = ()
    plan: Plan = field(default_factory=Plan)
    runs: Sequence[Run] = ()
    loads: Sequence[Load] = ()
    ticks: Reversible[Ticked] = ()
    samples: Collection[Sample] = ()
    live: str = ""
    """The side of the run that goes; empty for a warm-up, and where none goes."""
    notes: Sequence[str] = ()
    session: Session | None = None
    """Where it has ended."""
    kept: bool = False
    """It is one of the history."""

    def label(self, key: str) -> str:
        """A side by its name."""
        return next((side.label for side in self.sides if side.key == key), key.upper())


def of_session(session: Session) -> Shown:
    """One of the history."""
    return Shown(
        sides=session.sides,
        plan=plan_of(session.plan),
        runs=session.runs,
        loads=session.loads,
        samples=session.samples,
        notes=session.notes,
        session=session,
        kept=True,
    )


def of_state(state: BenchState) -> Shown:
    """The one that runs or ran last."""
    if state.session is not None:
        return replace(of_session(state.session), kept=False)
    current = state.current
    return Shown(
        live=current.side if current is not None and not current.warmup else "",
        sides=tuple(state.sides.values()),
        plan=state.plan or Plan(),
        runs=state.runs,
        loads=state.loads,
        ticks=state.ticks,
        samples=state.samples,
        notes=state.notes,
    )


def plan_of(found: Mapping[str, object]) -> Plan:
    """The plan in a session, which may come from another version: what does not fit counts as usual."""
    usual = Plan()
    values: dict[str, Any] = {}
    for one in fields(Plan):
        value = found.get(one.name)
        before = getattr(usual, one.name)
        if isinstance(before, tuple) and isinstance(value, list | tuple):
            kind = str if one.name == "prompts" else int
            if all(type(item) is kind for item in value):
                values[one.name] = tuple(value)
        elif type(value) is type(before) or (isinstance(before, float) and type(value) is int):
            values[one.name] = value
    return replace(usual, **values)
