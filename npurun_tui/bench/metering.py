"""The machine's load while a bench goes on: the meter that is needed for it, and what the runner does with one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Final, Protocol

from npurun_tui.bench.events import Resting, Waiting
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.recording import Record
from npurun_tui.bench.records import Energy, Sample, Side
from npurun_tui.bench.target import OnWait, Target

Span = tuple[float, float]

ELSEWHERE: Final = "Not measurable here: the model runs on another machine."
"""Why there is no energy where nothing works on this one."""


class Meter(Protocol):
    """Samples the machine's load in a thread of its own (`bench.energy.meter`)."""

    notes: list[str]
    """What a person should know of how the sampling went."""

    def start(self, clock: Callable[[], float], heard: Callable[[Sample], None]) -> None:
        """Begin; `clock` gives the session's seconds, and `heard` is called in the meter's thread."""

    async def ready(self) -> None:
        """Return once `note` can tell, and whatever had to be started for it has been; bounded."""

    async def stop(self) -> None:
        """End, and wait for the thread's end."""

    def energy(
        self, side: str, idle: Sequence[Span], busy: Sequence[Span], tokens: int
    ) -> Energy | None:
        """What `tokens` tokens have cost in the spans `busy` above those of `idle`; None where that is not known."""

    @property
    def note(self) -> str:
        """Why there is no energy, in words; empty where there may be. It knows once `ready` has returned."""

    @property
    def power(self) -> str:
        """`battery`, `mains`, or empty."""


class Metering:
    """One session's use of a meter, or of none."""

    def __init__(
        self, meter: Meter | None, plan: Plan, record: Record, near: Collection[str]
    ) -> None:
        """`near` are the keys of the sides that work on this machine: of others its instruments tell nothing."""
        self._meter = meter if near else None
        self._elsewhere = meter is not None and not near
        self._near = near
        self._plan = plan
        self._record = record
        self._running = False
        self._idle: list[Span] = []

    async def start(self) -> None:
        """Begin to sample, where there is a meter."""
        if self._meter is None:
            return
        loop = asyncio.get_running_loop()

        def heard(sample: Sample) -> None:
            loop.call_soon_threadsafe(self._take, sample)

        self._running = True
        self._meter.start(self._record.at, heard)
        if self._plan.energy:
            await self._meter.ready()

    def _take(self, sample: Sample) -> None:
        if self._running:  # one that was on its way when the session ended is nobody's
            self._record.sample(sample)

    async def rest(self, targets: Sequence[Target]) -> None:
        """Leave the machine alone for `idle_s` seconds where energy is wanted and may be measured: the baseline. The
        permit is held meanwhile: another's answer would make the idle machine a busy one, and the bench's tokens free.
        """
        plan, meter, record = self._plan, self._meter, self._record
        if not (plan.energy and plan.idle_s) or meter is None or meter.note:
            return
        async with _quiet(targets, lambda ahead, holder: record.tell(Waiting(ahead, holder))):
            record.tell(Resting(plan.idle_s))
            began = record.at()
            await asyncio.sleep(plan.idle_s)
            self._idle.append((began, record.at()))

    async def stop(self) -> None:
        """End the sampling, and take what it says of itself."""
        if self._meter is None or not self._running:
            return
        await self._meter.stop()
        self._running = False
        for note in self._meter.notes:
            self._record.note(note)
        if not self._record.machine.power:
            self._record.machine = replace(self._record.machine, power=self._meter.power)

    def energy(self, sides: Sequence[Side]) -> tuple[tuple[Energy, ...], str]:
        """What each side has cost, and why there is nothing where there is nothing."""
        meter, record = self._meter, self._record
        if self._elsewhere and self._plan.energy:
            return (), ELSEWHERE
        if meter is None or not self._plan.energy:
            return (), ""
        found = [
            meter.energy(side.key, self._idle, record.busy[side.key], record.tokens(side.key))
            for side in sides
            if self._idle and side.key in self._near and record.busy[side.key]
        ]
        return tuple(energy for energy in found if energy is not None), meter.note


def _quiet(targets: Sequence[Target], on_wait: OnWait) -> AbstractAsyncContextManager[None]:
    """Of the first side that can be kept quiet: two models of this program's engine share its permit."""
    for target in targets:
        held = target.quiet(on_wait)
        if held is not None:
            return held
    return nullcontext()
