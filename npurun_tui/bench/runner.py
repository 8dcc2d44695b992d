"""A bench as it goes: sides by turns, each run watched, and a session at the end whatever happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from npurun_tui.bench.events import BenchEvent
from npurun_tui.bench.metering import Meter
from npurun_tui.bench.plan import Plan, checked
from npurun_tui.bench.records import Machine, Session
from npurun_tui.bench.target import Target
from npurun_tui.errors import UsageError


class Bench:
    """One bench: `run` it once."""

    def __init__(
        self,
        plan: Plan,
        targets: Sequence[Target],
        *,
        machine: Machine,
        meter: Meter | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`targets` are one side, or two with keys of their own, the baseline last. `wall` is the time of day.

        Raises:
            UsageError: the plan cannot be meant.
        """
        self.plan = checked(plan)
        keys = {target.side.key for target in targets}
        if not 1 <= len(targets) <= 2 or len(keys) != len(targets):
            raise UsageError("A bench has one side, or two.")
        self._targets = tuple(targets)
        self._machine = machine
        self._meter = meter
        self._wall = wall
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End the answer in flight, and the bench with what it has. Call it on the bench's loop."""
        self._stopping.set()

    async def run(self, tell: Callable[[BenchEvent], None]) -> Session:
        """Measure. What goes wrong ends in a session that is not complete and says why.

        `tell` hears each event on this loop, the last of which is `Ended`, also where this task is cancelled.
        """
        raise NotImplementedError
