"""The order in which everything is asked: windows, repeats and sides, and having each side at hand for its block.

A block is one repeat of one side. The permit is held for its length, so that a chat gets in between two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

from npurun_tui.bench.asking import Asker, BenchOver
from npurun_tui.bench.events import Loading, Waiting
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.questions import Questions, Step
from npurun_tui.bench.recording import Record
from npurun_tui.bench.target import Measuring, Target


class Blocks:
    """The blocks, one after the other."""

    def __init__(
        self,
        plan: Plan,
        targets: Sequence[Target],
        record: Record,
        wall: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._targets = targets
        self._record = record
        self._questions = Questions(plan, record.note)
        self._asker = Asker(record, wall, self._runs_in_all)
        self._opened: set[str] = set()
        self._warm: set[str] = set()
        self._began: float | None = None

    async def all(self) -> None:
        """Ask everything. Raises BenchOver, NpurunError."""
        asked = 0
        without: set[int] = set()
        for repeat, context in self._rounds():
            if all(self._time_is_up(target) for target in self._targets):
                break
            for target in self._targets:
                if not self._time_is_up(target):
                    asked += await self._block(target, context, repeat)
            if not asked:  # a larger window may have room
                without.add(context)
                if without.issuperset(self._plan.contexts):
                    raise BenchOver("none of the prompts could be asked")

    def _rounds(self) -> Iterator[tuple[int, int]]:
        """`(repeat, context)`: a window has all its repeats before the next one is loaded, except in a stress run."""
        if self._plan.duration_s:
            for repeat in count():
                for context in self._plan.contexts:
                    yield repeat, context
        for context in self._plan.contexts:
            for repeat in range(self._plan.repeats):
                yield repeat, context

    def _time_is_up(self, target: Target) -> bool:
        """Whether a stress run is over for a side, which is asked once at least."""
        if not self._plan.duration_s or self._began is None:
            return False
        asked = any(not run.warmup for run in self._record.runs if run.side == target.side.key)
        return asked and self._record.at() - self._began >= self._plan.duration_s

    def _runs_in_all(self) -> int:
        """Counted runs; 0 where the clock decides. What does not fit is known with the first block of its kind."""
        plan = self._plan
        if plan.duration_s:
            return 0
        blocks = [
            self._questions.known(target.side.key, context)
            for target in self._targets
            for context in plan.contexts
        ]
        return plan.repeats * sum(plan.questions if n is None else n for n in blocks)

    # -- a block ---------------------------------------------------------------------------

    async def _block(self, target: Target, context: int, repeat: int) -> int:
        """Ask one side everything; how many steps there were. After a run that failed the side is taken up anew: its
        engine may have to be loaded again."""
        if self._questions.known(target.side.key, context) == 0:
            return 0  # nothing to load it for
        steps: deque[Step] | None = None
        number = 0
        while steps is None or steps:
            async with self._at_hand(target, context) as measuring:
                if steps is None:
                    steps = deque(await self._questions.steps(measuring, context))
                    number = len(steps)
                whole = await self._some(measuring, target, steps, repeat)
            if not whole:
                self._warm.discard(target.side.key)
        return number

    async def _some(
        self, measuring: Measuring, target: Target, steps: deque[Step], repeat: int
    ) -> bool:
        """Ask `steps` until one fails; whether none did. When the time is up the others are dropped."""
        if steps and not await self._warm_up(measuring, steps[0], repeat):
            return False
        while steps:
            if self._began is None:
                self._began = self._record.at()
            if self._time_is_up(target):
                steps.clear()
            elif not await self._step(measuring, target, steps.popleft(), repeat):
                return False
        return True

    async def _warm_up(self, measuring: Measuring, step: Step, repeat: int) -> bool:
        """The runs after a load, whose times are those of a first time; whether all went well."""
        key = measuring.side.key
        if key in self._warm and measuring.load is None:
            return True
        for _ in range(self._plan.warmups):
            run, _ = await self._asker.ask(measuring, step.first, repeat, warmup=True)
            if run.outcome == "failed":
                return False
        self._warm.add(key)
        return True

    async def _step(self, measuring: Measuring, target: Target, step: Step, repeat: int) -> bool:
        talk = step.play()
        case = next(talk, None)
        while case is not None:
            run, text = await self._asker.ask(measuring, case, repeat)
            if run.outcome == "failed":
                return False
            try:
                case = talk.send(text)
            except StopIteration:
                break
            if run.outcome not in ("stop", "length") or self._time_is_up(target):
                break
            if not await self._questions.may_go_on(measuring, case):
                break
        return True

    # -- having a side at hand -------------------------------------------------------------

    @asynccontextmanager
    async def _at_hand(self, target: Target, context: int) -> AsyncIterator[Measuring]:
        """`target`, loaded. Its first time it is loaded twice where its loading can be timed: cold, and again."""
        key = target.side.key
        first = self._plan.loads and key not in self._opened
        self._opened.add(key)
        again = False
        if first:
            async with self._open(target, context, fresh=True) as measuring:
                again = measuring.load is not None
        async with self._open(target, context, fresh=again) as measuring:
            yield measuring

    @asynccontextmanager
    async def _open(self, target: Target, context: int, *, fresh: bool) -> AsyncIterator[Measuring]:
        record = self._record

        def wait(ahead: int, holder: str) -> None:
            record.tell(Waiting(ahead, holder))

        def load() -> None:
            record.tell(Loading(target.side, context))

        async with target.at_hand(context, wait, load, fresh=fresh) as measuring:
            record.side(measuring.side)
            if measuring.load is not None:
                record.load(measuring.load)
            yield measuring
