"""A bench as it goes: sides by turns, and a session at the end whatever happens.

`blocks` has the order of what is asked, `asking` the single runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from npurun_tui.bench.asking import BenchOver
from npurun_tui.bench.blocks import Blocks
from npurun_tui.bench.events import BenchEvent, Ended
from npurun_tui.bench.metering import Meter, Metering
from npurun_tui.bench.plan import Plan, checked
from npurun_tui.bench.recording import Record
from npurun_tui.bench.records import Energy, Machine, Session
from npurun_tui.bench.target import Target
from npurun_tui.errors import NpurunError, UsageError

STOPPED: Final = "stopped"
CANCELLED: Final = "cancelled"
FAULT: Final = "a fault of this program; its log says more"


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
        self._reason = STOPPED
        self._work: asyncio.Task[str] | None = None

    def stop(self) -> None:
        """End the answer in flight, and the bench with what it has. Call it on the bench's loop."""
        self._stopping.set()

    async def run(self, tell: Callable[[BenchEvent], None]) -> Session:
        """Measure. What goes wrong ends in a session that is not complete and says why.

        `tell` hears each event on this loop, the last of which is `Ended`, also where this task is cancelled.
        """
        whole = asyncio.create_task(self._whole(tell), name="bench")
        cancelled: asyncio.CancelledError | None = None
        while not whole.done():
            try:
                await asyncio.wait({whole})
            except asyncio.CancelledError as error:
                # The bench ends in its own order, and tells of it, before this task does. Cancelled again, it hurries.
                cancelled = error
                self._cancel()
        session = whole.result()
        if cancelled is not None:
            raise cancelled
        return session

    def _cancel(self) -> None:
        if not self._stopping.is_set():
            self._reason = CANCELLED
            self._stopping.set()
        elif self._work is not None:
            self._work.cancel()

    async def _whole(self, tell: Callable[[BenchEvent], None]) -> Session:
        """Never cancelled: it has an end whatever happens, and that is told."""
        sides = [target.side for target in self._targets]
        record = Record(self.plan, sides, self._machine, tell, self._wall)
        near = {target.side.key for target in self._targets if target.near}
        metering = Metering(self._meter, self.plan, record, near)
        self._work = work = asyncio.create_task(self._measure(record, metering), name="bench work")
        if self._stopping.is_set():
            work.cancel()  # before its first step
        stopping = asyncio.create_task(self._stopping.wait(), name="bench stop")
        reason = FAULT
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
            reason = self._reason if work.cancelled() else work.result()
        finally:
            stopping.cancel()
            found: tuple[tuple[Energy, ...], str] = (), ""
            try:
                await metering.stop()
                found = metering.energy(sides)
            finally:  # whatever the meter does, the runs are not lost over it
                session = record.session(reason, *found)
                record.tell(Ended(session))
        return session

    async def _measure(self, record: Record, metering: Metering) -> str:
        """All of it; why it ended early, empty where it did not."""
        going = Blocks(self.plan, self._targets, record, self._wall)
        try:
            await metering.start()
            await metering.rest(self._targets)
            await going.all()
        except BenchOver as over:
            return over.reason
        except NpurunError as error:
            return str(error)
        return ""
