"""Benches of a machine whose true rate is known: what comparisons are tried on."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from npurun_tui.bench.records import NOT_TIMED, Clock, Machine, Run, Session, Side

PROMPTS: Mapping[str, tuple[int, int]] = {
    "joke": (21, 34),
    "matmul": (27, 128),
    "local": (25, 128),
    "number": (24, 4),
}
"""Tokens of each built-in prompt and of its answer, about as a small model gives them."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """How a machine is not quiet. Standard deviations and sizes are shares of the rate."""

    run: float = 0.02
    """From run to run, of a long answer; short ones scatter more."""
    session: float = 0.0
    """Of a whole session."""
    repeat: float = 0.0
    """Of all runs of one repeat together."""
    held_up: float = 0.0
    """How often something else slows a run, by 20 to 40 %."""
    drift: float = 0.0
    """By how much a session gets slower or faster from its begin to its end; which one is chance."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured."""

    repeats: int = 3
    prompts: Sequence[str] = tuple(PROMPTS)
    lost: float = 0.0
    """How many of the runs fail."""
    rates: Mapping[str, float] = field(
        default_factory=lambda: {name: 15.0 - 0.4 * at for at, name in enumerate(PROMPTS)}
    )


def session(
    chance: random.Random,
    noise: Disturbance,
    bench: Bench | None = None,
    *,
    change: float = 0.0,
    baseline: float | None = None,
) -> Session:
    """A session whose side `a` is by `change` (a share) faster than `bench.rates`, in decode and prefill alike. With
    `baseline` there is a side `b` too, that much faster than `a`, which took turns with it."""
    bench = bench or Bench()
    sides = {"a": math.log1p(change)}
    if baseline is not None:
        sides["b"] = math.log1p(change) + math.log1p(baseline)
    whole = chance.gauss(0, noise.session)
    drift = chance.choice((-1, 1)) * noise.drift
    runs: list[Run] = []
    clock = 0.0
    steps = bench.repeats * len(sides) * len(bench.prompts)
    for repeat in range(bench.repeats):
        for key, faster in sides.items():
            block = chance.gauss(0, noise.repeat)
            for prompt in bench.prompts:
                now = faster + whole + block + drift * len(runs) / steps
                run = _run(chance, noise, bench, prompt, now)
                runs.append(_placed(run, key, repeat, clock, failed=chance.random() < bench.lost))
                clock += run.total_ms / 1000
    return Session(
        id=f"{chance.getrandbits(64):016x}",
        began=1_750_000_000.0,
        seconds=clock,
        complete=True,
        reason="",
        machine=Machine(system="Simulated"),
        plan={"repeats": bench.repeats},
        sides=tuple(
            Side(key, "m", "genie", "NPU (Genie 1.21.0)", model_hash="5f" * 32) for key in sides
        ),
        runs=tuple(runs),
    )


def _run(
    chance: random.Random, noise: Disturbance, bench: Bench, prompt: str, faster: float
) -> Run:
    asked, answered = PROMPTS[prompt]

    def scatter(tokens: int) -> float:
        return math.exp(chance.gauss(0, noise.run * math.sqrt(1 + 10 / tokens)))

    held_up = 1 - chance.uniform(0.2, 0.4) if chance.random() < noise.held_up else 1.0
    decode = bench.rates[prompt] * math.exp(faster) * scatter(answered - 1) * held_up
    prefill = 300.0 * math.exp(faster) * scatter(asked) * held_up
    ttft = asked / prefill * 1000
    total = ttft + (answered - 1) / decode * 1000
    return Run(
        side="",
        prompt=prompt,
        context=4096,
        repeat=0,
        warmup=False,
        began_s=0.0,
        total_ms=total,
        host=Clock(ttft, prefill, decode),
        engine=NOT_TIMED,
        prompt_tokens=asked,
        cached_tokens=0,
        completion_tokens=answered,
        outcome="length" if answered == 128 else "stop",
        max_tokens=128,
    )


def _placed(run: Run, side: str, repeat: int, began: float, *, failed: bool) -> Run:
    return replace(
        run, side=side, repeat=repeat, began_s=began, outcome="failed" if failed else run.outcome
    )
