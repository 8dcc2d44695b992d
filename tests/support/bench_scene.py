"""Benches for tests of what is seen of them: sessions of a set shape, and a control whose events are told by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from npurun_tui.bench.control import BenchControl
from npurun_tui.bench.events import (
    BenchEvent,
    Ended,
    Loaded,
    Loading,
    RunBegan,
    RunEnded,
    Sampled,
    Ticked,
)
from npurun_tui.bench.plan import Plan, document_of
from npurun_tui.bench.records import (
    NOT_TIMED,
    Clock,
    Load,
    Machine,
    Outcome,
    Run,
    Sample,
    Session,
    Side,
)
from npurun_tui.bench.state import BenchState

BEGAN = 1_800_000_000.0
PLAN = Plan(prompts=("joke", "matmul"), lengths=(32, 256), repeats=3)
A = Side(
    "a", "smollm2-135m-instruct", "llama.cpp", "CPU (llama.cpp)", "b1234", "ab" * 32, "Q8_0", 2048
)
B = Side("b", "small", "openai", "127.0.0.1:9")
ASKED = (("joke", 41), ("matmul", 52), ("32 tokens", 32), ("256 tokens", 256))


def run(index: int, side: str = "a", *, warmup: bool = False, outcome: Outcome = "stop") -> Run:
    """One of `ASKED`, with figures that follow from its place."""
    prompt, tokens = ASKED[index % len(ASKED)]
    pace = 1.0 if side == "a" else 0.5
    rate = pace * (100 + index % 7)
    failed = outcome in ("failed", "aborted")
    host = NOT_TIMED if failed else Clock(8 + tokens * 0.4 / pace, 900 * pace, rate)
    return Run(
        side=side,
        prompt=prompt,
        context=2048,
        repeat=index // len(ASKED),
        warmup=warmup,
        began_s=12 + index * 1.5,
        total_ms=1300.0,
        host=host,
        engine=NOT_TIMED if failed or side == "b" else Clock(host.ttft_ms, 910.0, rate * 1.002),
        prompt_tokens=tokens,
        cached_tokens=None if failed else 0,
        completion_tokens=None if failed else 128,
        outcome=outcome,
        fault="The engine process ended: signal 9." if outcome == "failed" else "",
        max_tokens=128,
    )


def samples(count: int = 40) -> tuple[Sample, ...]:
    """A machine that tells its load, its memory and its temperature, and no more."""
    return tuple(
        Sample(i * 0.5, cpu_percent=40 + 8 * (i % 7), rss_mb=300 + i, temperature_c=50 + i / 10)
        for i in range(count)
    )


def session(*, sides: Sequence[Side] = (A,), runs: int = 12, slower: float = 0.0) -> Session:
    """One that is complete. `slower` takes a share of its rates."""
    all_runs = [
        one
        for index in range(runs)
        for side in sides
        for one in (run(index, side.key, warmup=index == 0),)
    ]
    if slower:
        all_runs = [
            replace(
                one, host=replace(one.host, decode_tps=(one.host.decode_tps or 0) * (1 - slower))
            )
            for one in all_runs
        ]
    return Session(
        id="0123456789abcdef",
        began=BEGAN,
        seconds=31.5,
        complete=True,
        reason="",
        machine=Machine("Linux 6.1", "x86-64", cores=2, memory_mb=8000, program="1.2.3"),
        plan=document_of(PLAN),
        sides=tuple(sides),
        loads=(Load("a", True, 812.0, 2048), Load("a", False, 240.0, 2048)),
        runs=tuple(all_runs),
        samples=samples(),
        energy_note="Energy is not measurable here.",
    )


class Played(BenchControl):
    """A control that is told what happens, in place of a bench that measures it."""

    def begin(self, *sides: Side, plan: Plan = PLAN) -> None:
        """As `start` leaves it."""
        self._state = BenchState(
            running=True,
            plan=plan,
            sides={side.key: side for side in sides or (A,)},
            phase="starting",
        )

    def tell(self, *events: BenchEvent) -> None:
        """Have these happen."""
        for event in events:
            self._tell(event)


def at_work(runs: int = 7) -> list[BenchEvent]:
    """A bench in the middle of it."""
    events: list[BenchEvent] = [Loading(A, 2048), Loaded(A, Load("a", True, 812.0, 2048))]
    events += [Sampled(sample) for sample in samples()]
    for index in range(runs):
        one = run(index, warmup=index == 0)
        events.append(
            RunBegan("a", one.prompt, 2048, one.repeat, one.warmup, 0, max(0, index - 1), 12)
        )
        events.append(RunEnded(one))
    events.append(RunBegan("a", "256 tokens", 2048, 1, False, 0, runs - 1, 12))
    events.append(Ticked(12 + runs * 1.5 + 0.4, 37, 110.0, 104.2))
    return events


def ended(found: Session) -> list[BenchEvent]:
    """All of a session, to its end."""
    return [*(RunEnded(one) for one in found.runs), Ended(found)]
