"""What a bench has found until now: told as it comes, and made a session of at any moment."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from npurun_tui.bench.events import BenchEvent, Loaded, Noted, RunEnded, Sampled
from npurun_tui.bench.plan import Plan, document_of
from npurun_tui.bench.records import Energy, Load, Machine, Run, Sample, Session, Side
from npurun_tui.engine.listeners import tell

MAX_SAMPLES: Final = 20_000
"""Samples that a session keeps, nearly three hours of two a second; of more, every second one goes."""

Span = tuple[float, float]
"""From and to, in seconds on the session's clock."""


class Record:
    """Written on the bench's loop only."""

    def __init__(
        self,
        plan: Plan,
        sides: Sequence[Side],
        machine: Machine,
        hear: Callable[[BenchEvent], None],
        wall: Callable[[], float],
    ) -> None:
        self.sides = {side.key: side for side in sides}
        self.runs: list[Run] = []
        self.busy: dict[str, list[Span]] = defaultdict(list)
        """When the runs that count were under way, by side."""
        self.machine = machine
        self._plan = plan
        self._hear = hear
        self._loads: list[Load] = []
        self._samples: list[Sample] = []
        self._every = 1
        self._heard = 0
        self._notes: list[str] = []
        self._began = wall()
        self._zero = time.perf_counter()

    def at(self) -> float:
        """Seconds of the session."""
        return time.perf_counter() - self._zero

    def tell(self, event: BenchEvent) -> None:
        """What a listener makes of it is its own affair."""
        tell(self._hear, event)

    def note(self, text: str) -> None:
        """What a person should know; the same words once."""
        if text not in self._notes:
            self._notes.append(text)
            self.tell(Noted(text))

    def side(self, side: Side) -> None:
        """What is known of a side by now."""
        self.sides[side.key] = side

    def load(self, load: Load) -> None:
        """A model was loaded."""
        self._loads.append(load)
        self.tell(Loaded(self.sides[load.side], load))

    def run(self, run: Run) -> None:
        """A run has ended."""
        self.runs.append(run)
        if run.counts:
            self.busy[run.side].append((run.began_s, run.began_s + run.total_ms / 1000))
        self.tell(RunEnded(run))

    def sample(self, sample: Sample) -> None:
        """How the machine was. A long stress run keeps fewer of these, evenly."""
        self._heard += 1
        if self._heard % self._every == 0:
            self._samples.append(sample)
            if len(self._samples) > MAX_SAMPLES:
                self._samples, self._every = self._samples[1::2], self._every * 2
        self.tell(Sampled(sample))

    def tokens(self, key: str) -> int:
        """Tokens of a side's counted answers."""
        return sum(
            run.completion_tokens or 0 for run in self.runs if run.side == key and run.counts
        )

    def session(self, reason: str, energy: tuple[Energy, ...], energy_note: str) -> Session:
        """All of it; complete where there is no `reason` why not."""
        return Session(
            id=secrets.token_hex(8),
            began=self._began,
            seconds=self.at(),
            complete=not reason,
            reason=reason,
            machine=self.machine,
            plan=document_of(self._plan),
            sides=tuple(self.sides.values()),
            loads=tuple(self._loads),
            runs=tuple(self.runs),
            samples=tuple(self._samples),
            energy=energy,
            energy_note=energy_note,
            notes=tuple(self._notes),
        )
