"""How a bench stands, as its events tell it: what a screen draws when it comes back to it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from npurun_tui import units
from npurun_tui.bench.events import (
    BenchEvent,
    Ended,
    Loaded,
    Loading,
    Noted,
    Resting,
    RunBegan,
    RunEnded,
    Sampled,
    Ticked,
    Waiting,
)
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.records import Load, Run, Sample, Session, Side

SHOWN: Final = 2400
"""Ticks and samples that are held for plots: ten minutes of ticks. The session has all samples."""


@dataclass(slots=True)
class BenchState:
    """How the bench stands, or ended. It is changed in place, before listeners hear of an event."""

    running: bool = False
    plan: Plan | None = None
    sides: dict[str, Side] = field(default_factory=dict)
    """By key, with all that is known by now."""
    phase: str = ""
    """What it does, in words."""
    waiting: str = ""
    """Who holds the permit that it waits for; empty where it does not wait."""
    current: RunBegan | None = None
    """The question that is being asked."""
    tick: Ticked | None = None
    """How far its answer is; None before that is known."""
    runs: list[Run] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    ticks: deque[Ticked] = field(default_factory=lambda: deque(maxlen=SHOWN))
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SHOWN))
    notes: list[str] = field(default_factory=list)
    session: Session | None = None
    """What the last one found; None while one runs."""
    done: int = 0
    """Runs that have ended, warm-ups not counted."""
    of: int = 0
    """Runs in all; 0 where that is not known."""
    fault: str = ""
    """Why the session was not kept, in words."""

    def take(self, event: BenchEvent) -> None:
        """Change with `event`."""
        if not isinstance(event, Sampled | Ticked | Noted):
            self.waiting = ""
        match event:
            case Waiting(ahead, holder):
                self.waiting = holder or "somebody else"
                self.phase = f"waiting: {self.waiting} holds the permit" + _others(ahead)
            case Resting(seconds):
                self.phase = f"measuring the idle machine for {units.duration(seconds)}"
            case Loading(side):
                self.sides[side.key] = side
                self.phase = f"loading {side.model}"
            case Loaded(side, load):
                self.sides[side.key] = side
                self.loads.append(load)
            case Ticked():
                self._take_tick(event)
            case Sampled(sample):
                self.samples.append(sample)
            case Noted(text):
                self.notes.append(text)
            case RunBegan() | RunEnded() | Ended():
                self._take_run(event)

    def _take_tick(self, tick: Ticked) -> None:
        self.ticks.append(tick)
        self.tick = tick
        if self.waiting and self.current is not None and tick.ttft_ms is not None:
            # It was an endpoint's line, which is waited in while a question goes on.
            self.waiting, self.phase = "", _asking(self.current)

    def _take_run(self, event: RunBegan | RunEnded | Ended) -> None:
        match event:
            case RunBegan():
                self.current, self.done, self.of = event, event.done, event.of
                self.tick = None  # the last one's final look comes after its end
                self.phase = _asking(event)
            case RunEnded(run):
                self.current = None
                self.runs.append(run)
                self.done += not run.warmup
            case Ended(session):
                self.running, self.session, self.current = False, session, None
                self.sides = {side.key: side for side in session.sides}
                self.phase = "done" if session.complete else f"incomplete: {session.reason}"


def _others(ahead: int) -> str:
    return (
        f", {units.count(ahead - 1, 'other waits', 'others wait')} before us" if ahead > 1 else ""
    )


def _asking(event: RunBegan) -> str:
    words = f"{'warming up: ' if event.warmup else ''}{event.prompt}"
    if event.turn:
        words += f", turn {event.turn}"
    return words if event.warmup else f"{words}, repeat {event.repeat + 1}"
