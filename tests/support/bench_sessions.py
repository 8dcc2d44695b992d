"""Sessions as a bench would have found them, for tests of what is done with them afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from npurun_tui.bench.records import Clock, Load, Machine, Run, Sample, Session, Side

SIDE = Side("a", "smollm2", "llama.cpp", "CPU (llama.cpp)", "0.1", "ab" * 32, "Q4_K_M", 2048)
BASELINE = Side("b", "other", "openai", "http://127.0.0.1:8080")


def a_run(rate: float = 50.0, ttft: float = 40.0, **changes: Any) -> Run:
    """One answered question."""
    clock = Clock(ttft, 1000.0, rate)
    run = Run(
        side="a",
        prompt="joke",
        context=2048,
        repeat=0,
        warmup=False,
        began_s=1.0,
        total_ms=2500.0,
        host=clock,
        engine=Clock(ttft - 0.5, 1001.0, rate + 0.1),
        prompt_tokens=40,
        cached_tokens=0,
        completion_tokens=128,
        outcome="length",
    )
    return replace(run, **changes)


def a_session(
    name: str = "c0ffee01", rates: tuple[float, ...] = (50.0,), **changes: Any
) -> Session:
    """One bench: a warm-up, then a run for each of `rates`."""
    runs = [a_run(warmup=True, rate=1.0)]
    runs += [a_run(rate, repeat=i, began_s=3.0 + i) for i, rate in enumerate(rates)]
    session = Session(
        id=name,
        began=1_764_000_000.0,
        seconds=12.5,
        complete=True,
        reason="",
        machine=Machine(system="Linux", soc="Test CPU", cores=4, memory_mb=16_000, program="0.1.0"),
        plan={"prompts": ["joke"], "outputs": [128], "contexts": [0], "repeats": 3},
        sides=(SIDE,),
        loads=(Load("a", cold=True, ms=800.0, context=2048),),
        runs=tuple(runs),
        samples=tuple(Sample(at_s=i / 2, cpu_percent=50.0) for i in range(10)),
        energy_note="Nothing here measures power.",
    )
    return replace(session, **changes)
