"""One run after the other: asked, watched, and written down, whether it ends well or not."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from npurun_tui.bench.events import RunBegan
from npurun_tui.bench.questions import Case
from npurun_tui.bench.recording import Record
from npurun_tui.bench.records import NOT_TIMED, Outcome, Run
from npurun_tui.bench.target import Measured, Measuring, Progress
from npurun_tui.bench.watching import Watch, clock_of
from npurun_tui.errors import NpurunError

FAILURES: Final = 3
"""Runs of one side that fail one after the other, and the bench is over."""

MOST_RUNS: Final = 100_000
"""Of one session: a stress run of an endpoint that answers at once must not fill the memory."""

SLEPT: Final = "the machine slept, or this program stood still"


class BenchOver(Exception):
    """The bench cannot go on; `reason` says why, in words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Asked:
    """One run while it goes."""

    side: str
    context: int
    case: Case
    repeat: int
    warmup: bool
    began_s: float

    def run(self, measured: Measured, *, outcome: Outcome, fault: str = "") -> Run:
        return Run(
            side=self.side,
            prompt=self.case.prompt,
            context=self.context,
            repeat=self.repeat,
            warmup=self.warmup,
            began_s=self.began_s,
            total_ms=measured.total_ms,
            host=measured.host,
            engine=measured.engine,
            prompt_tokens=measured.prompt_tokens,
            cached_tokens=measured.cached_tokens,
            completion_tokens=measured.completion_tokens,
            outcome=outcome,
            fault=fault,
            turn=self.case.turn,
            reuse=self.case.reuse,
            max_tokens=self.case.question.max_tokens,
        )


class Asker:
    """Asks the questions of one bench."""

    def __init__(
        self, record: Record, wall: Callable[[], float], runs_in_all: Callable[[], int]
    ) -> None:
        """`runs_in_all` tells how many counted runs there will be; 0 where that is not known."""
        self._record = record
        self._wall = wall
        self._runs_in_all = runs_in_all
        self._done = 0
        self._failures: dict[str, int] = defaultdict(int)

    async def ask(
        self, measuring: Measuring, case: Case, repeat: int, *, warmup: bool = False
    ) -> tuple[Run, str]:
        """The run of `case` and the answer's text. What the machine slept through is asked once more.

        Raises:
            BenchOver: this side fails again and again.
        """
        run, text = await self._once(measuring, case, repeat, warmup)
        if run.fault == SLEPT:
            self._record.note("The machine slept in the middle of a run, which was asked again.")
            run, text = await self._once(measuring, case, repeat, warmup)
        self._done += not warmup
        if run.outcome != "failed":
            self._failures[run.side] = 0
            return run, text
        self._failures[run.side] += 1
        if self._failures[run.side] >= FAILURES:
            label = measuring.side.label
            raise BenchOver(
                f"{FAILURES} runs of {label} failed one after the other; the last: {run.fault}"
            )
        return run, text

    async def _once(
        self, measuring: Measuring, case: Case, repeat: int, warmup: bool
    ) -> tuple[Run, str]:
        record, side, progress = self._record, measuring.side, Progress()
        if len(record.runs) >= MOST_RUNS:
            raise BenchOver(f"{MOST_RUNS:,} runs are as many as one bench keeps")
        asked = _Asked(side.key, side.context, case, repeat, warmup, record.at())
        record.tell(
            RunBegan(
                side.key,
                case.prompt,
                side.context,
                repeat,
                warmup,
                case.turn,
                self._done,
                self._runs_in_all(),
            )
        )
        watch = Watch(progress, record.tell, at=record.at, wall=self._wall)
        text = ""
        try:
            measured = await watch.over(measuring.measure(case.question, progress))
        except NpurunError as error:
            cut = _cut(progress, record.at() - asked.began_s)
            run = asked.run(cut, outcome="failed", fault=str(error))
        except asyncio.CancelledError:
            cut = _cut(progress, record.at() - asked.began_s)
            record.run(asked.run(cut, outcome="aborted", fault="ended early"))
            raise
        else:
            run, text = asked.run(measured, outcome=measured.outcome), measured.text
            if measured.note:
                record.note(measured.note)
        if watch.slept:
            run = replace(run, outcome="aborted", fault=SLEPT)
        record.run(run)
        return run, text


def _cut(progress: Progress, seconds: float) -> Measured:
    """What had come of an answer that has no end."""
    progress.refresh()
    return Measured(
        total_ms=seconds * 1000,
        host=clock_of(progress),
        engine=NOT_TIMED,
        prompt_tokens=None,
        cached_tokens=None,
        # An endpoint counts at the end, which did not come: that something came is known, not how much.
        completion_tokens=progress.tokens if progress.tokens or not progress.first else None,
        outcome="aborted",
    )
