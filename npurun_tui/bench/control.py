"""The bench as the workbench and the command hold it: one at a time, started, watched, stopped and kept.

It belongs to no screen: who looks away and comes back finds all of it in `state`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from npurun_tui.bench.events import BenchEvent, Ended, Noted
from npurun_tui.bench.metering import Meter
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.records import Machine, Session
from npurun_tui.bench.runner import Bench
from npurun_tui.bench.state import BenchState
from npurun_tui.bench.target import Target
from npurun_tui.engine.listeners import tell
from npurun_tui.errors import BenchBusy, NpurunError

log = logging.getLogger(__name__)

__all__ = ["BenchControl", "BenchState", "Keep", "Listener"]

Listener = Callable[[BenchEvent], object]
Keep = Callable[[Session], None]


class BenchControl:
    """Owns the bench that runs. Make it and use it on one event loop, and `aclose` it there."""

    def __init__(self, keep: Keep | None = None) -> None:
        """`keep` stores a session that has ended; it is called in a thread."""
        self._keep = keep
        self._state = BenchState()
        self._listeners: list[Listener] = []
        self._bench: Bench | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> BenchState:
        """How the bench stands now; a new object with each `start`."""
        return self._state

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` on this loop with each event, after `state` has taken it; returns the way to unsubscribe.

        `Ended` comes when the session has been kept.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def start(
        self, plan: Plan, targets: Sequence[Target], machine: Machine, meter: Meter | None = None
    ) -> None:
        """Start a bench in a task that this owns.

        Raises:
            BenchBusy: one goes on already.
            UsageError: the plan cannot be meant.
        """
        if self._task is not None and not self._task.done():
            raise BenchBusy("A bench goes on already.", mend="Stop it first, or wait for its end.")
        self._bench = bench = Bench(plan, targets, machine=machine, meter=meter)
        self._state = BenchState(
            running=True,
            plan=bench.plan,
            sides={target.side.key: target.side for target in targets},
            phase="starting",
        )
        self._task = asyncio.get_running_loop().create_task(self._run(bench), name="bench")
        self._task.add_done_callback(self._look_at_fault)

    def stop(self) -> None:
        """End it with what it has; nothing where none runs. `Ended` follows."""
        if self._bench is not None:
            self._bench.stop()

    async def ended(self) -> Session | None:
        """Wait for the end of the bench that runs; the session of the last one, None where there was none."""
        if self._task is not None:
            await asyncio.wait({self._task})
        return self._state.session

    async def aclose(self) -> None:
        """Stop the bench that runs, and wait until what it has is kept."""
        if self._task is None:
            return
        self.stop()
        try:
            await asyncio.wait({self._task})
        except asyncio.CancelledError:
            self._task.cancel()
            raise

    async def _run(self, bench: Bench) -> None:
        ended: list[Ended] = []

        def hear(event: BenchEvent) -> None:
            ended.append(event) if isinstance(event, Ended) else self._tell(event)

        try:
            await bench.run(hear)
        finally:
            if ended:
                try:
                    await self._store(ended[0].session)
                finally:  # whatever keeping it does, it is shown
                    self._tell(ended[0])

    def _look_at_fault(self, task: asyncio.Task[None]) -> None:
        """What nobody foresaw: the session says that it ended early, and the log why."""
        self._state.running = False
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the bench failed", exc_info=error)

    async def _store(self, session: Session) -> None:
        """Keep `session`, unless nothing was asked; a failure is told, and the session stays in `state`."""
        if self._keep is None or not session.runs:
            return
        try:
            await asyncio.to_thread(self._keep, session)
        except NpurunError as error:
            self._state.fault = str(error)
            self._tell(Noted(f"This bench was not kept: {error}"))

    def _tell(self, event: BenchEvent) -> None:
        self._state.take(event)
        for listener in tuple(self._listeners):
            tell(listener, event)
