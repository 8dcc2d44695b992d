"""Sessions as a bench would have found them, made by a seeded generator: what the exports are tried on."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

from npurun_tui.bench.records import (
    NOT_TIMED,
    Clock,
    Energy,
    Load,
    Machine,
    Run,
    Sample,
    Session,
    Side,
)

NPU = Side(
    "a",
    "qwen3-4b-2507",
    "genie",
    "NPU (Genie 1.21.0)",
    runtime="1.21.0",
    model_hash="5f" * 32,
    quant="w4a16",
    context=4096,
)
CPU = Side("b", "qwen3-4b-2507-q4", "llama.cpp", "CPU (llama.cpp)", runtime="b9010", quant="Q4_0")
MACHINE = Machine(
    system="Windows 11 24H2",
    soc="Snapdragon(R) X 12-core X1E80100 @ 3.40 GHz",
    npu="Snapdragon(R) X Elite - X1E80100 - Qualcomm(R) Hexagon(TM) NPU",
    driver="30.0.219.1000 (2025-09-01)",
    cores=12,
    memory_mb=16384,
    power="battery",
    program="0.9.0",
)
SHORT = "It was measured for less than a minute"
PROMPTS = {"joke": 21, "matmul": 27, "local": 25, "number": 24}
HOSTILE = "=<script>alert('\"x\"')</script>|`@all`\n\x1b[31m\u202eevil\ud83d&amp;"


def run(at: int, began: float, side: str = "a", **fields: object) -> Run:
    """A run of the NPU's kind with a little noise, the same for the same arguments."""
    noise = random.Random(f"{at} {side}")  # noqa: S311
    rate = noise.gauss(14.9 if side == "a" else 6.1, 0.25)
    tokens = 96
    prompt_tokens = fields.get("prompt_tokens", 24)
    assert isinstance(prompt_tokens, int)
    per_token = 0.9 if side == "a" else 9.0
    ttft = (95 if side == "a" else 260) + prompt_tokens * per_token + noise.gauss(0, 4)
    if isinstance(scale := fields.pop("scale", 1.0), float):
        rate *= scale
    own = replace(
        Run(
            side=side,
            prompt="joke",
            context=4096,
            repeat=0,
            warmup=False,
            began_s=began,
            total_ms=ttft + (tokens - 1) / rate * 1000,
            host=Clock(ttft, prompt_tokens / ttft * 1000, rate),
            engine=Clock(ttft - 1.2, prompt_tokens / (ttft - 1.2) * 1000, rate * 1.003),
            prompt_tokens=prompt_tokens,
            cached_tokens=0,
            completion_tokens=tokens,
            outcome="length",
            max_tokens=tokens,
        ),
        **fields,  # type: ignore[arg-type]
    )
    return own if side == "a" else replace(own, engine=NOT_TIMED)


def session(*runs: Run, sides: tuple[Side, ...] = (NPU,), **fields: object) -> Session:
    """A session of these runs."""
    made = Session(
        id="0f3a" * 4,
        began=1_764_093_600.0,
        seconds=max((r.began_s + r.total_ms / 1000 for r in runs), default=0.0),
        complete=True,
        reason="",
        machine=MACHINE,
        plan={"prompts": [], "outputs": [96], "contexts": [0], "repeats": 5, "duration_s": 0.0},
        sides=sides,
        loads=tuple(Load(side.key, True, 8650.0, 4096) for side in sides),
        runs=runs,
        energy_note="Not measurable here: no battery and no energy counter can be read.",
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def plain(repeats: int = 5) -> Session:
    """The built-in prompts, `repeats` times, after a warm-up."""
    runs = [run(0, 0.0, warmup=True, scale=0.8)]
    for repeat in range(repeats):
        for prompt, tokens in PROMPTS.items():
            began = runs[-1].began_s + runs[-1].total_ms / 1000
            at = len(runs)
            runs.append(run(at, began, prompt=prompt, prompt_tokens=tokens, repeat=repeat))
    return session(*runs)


def against_cpu(repeats: int = 5) -> Session:
    """The built-in prompts on both sides in turns, with energy."""
    runs: list[Run] = []
    began = 12.0
    for repeat in range(-1, repeats):
        for side in "ab":
            for prompt, tokens in PROMPTS.items():
                asked: dict[str, object] = {"prompt": prompt, "prompt_tokens": tokens}
                asked |= {"warmup": repeat < 0}
                runs.append(run(len(runs), began, side, repeat=max(0, repeat), **asked))
                began += runs[-1].total_ms / 1000
    energy = (
        Energy("a", "the battery's discharge", 4.09, 10.99, 847.2, 669, 1.2664, 0.081, 122.8),
        Energy("b", "the battery's discharge", 4.09, 18.2, 1733.0, 669, 2.59, 0.12, 122.8, SHORT),
    )
    notes = ("The lid was closed in the middle, for 12 s.",)
    return session(*runs, sides=(NPU, CPU), energy=energy, energy_note="", notes=notes)


def sweep(*, baseline: bool = True, windows: tuple[int, ...] = (4096,)) -> Session:
    """Prompts of 32 to 4,096 tokens."""
    runs: list[Run] = []
    for repeat in range(3):
        for side in "ab" if baseline else "a":
            for window in windows:
                for length in (32, 64, 128, 256, 512, 1024, 2048, 4000):
                    if length < window:
                        asked: dict[str, object] = {"prompt": f"{length} tokens"}
                        asked |= {"prompt_tokens": length, "repeat": repeat, "context": window}
                        asked |= {"scale": 1 / (1 + length / 6000)}
                        runs.append(run(len(runs), len(runs) * 9.0, side, **asked))
    return session(*runs, sides=(NPU, CPU) if baseline else (NPU,))


def stress(seconds: float = 600.0, *, every: float = 0.5) -> Session:
    """`--duration`, on a machine that gets hot after a third of it; nothing is read while it sleeps in the middle."""
    runs: list[Run] = []
    began = 0.0
    while began < seconds:
        hot = max(0.0, min(1.0, (began / seconds - 0.33) * 5))
        prompt = list(PROMPTS)[len(runs) % 4]
        asked: dict[str, object] = {"prompt": prompt, "prompt_tokens": PROMPTS[prompt]}
        asked |= {"repeat": len(runs) // 4, "scale": 1 - 0.14 * hot}
        runs.append(run(len(runs), began, "a", **asked))
        began += runs[-1].total_ms / 1000
    samples = tuple(
        _sample(at * every, seconds)
        for at in range(int(seconds / every))
        if not 0.55 * seconds < at * every < 0.62 * seconds
    )
    made = session(*runs, samples=samples)
    return replace(made, plan={**made.plan, "duration_s": seconds})


def _sample(at: float, seconds: float) -> Sample:
    noise = random.Random(f"sample {at}")  # noqa: S311
    warm = 1 - math.exp(-at / seconds * 5)
    return Sample(
        at_s=at,
        cpu_percent=max(0.0, noise.gauss(9, 3)),
        rss_mb=412.0 + at / seconds * 6,
        temperature_c=41 + 38 * warm + noise.gauss(0, 0.4),
        watts=4.1 + 7 * (1 - 0.15 * warm) + noise.gauss(0, 0.2),
        npu_percent=min(100.0, noise.gauss(26, 4)),
        battery_percent=100 - at / 90,
    )


def conversation(turns: int = 6) -> Session:
    """A dialogue with and without its KV cache."""
    runs: list[Run] = []
    for repeat in range(3):
        for reuse in (True, False):
            for turn in range(1, turns + 1):
                whole = 24 + 120 * (turn - 1)
                fresh = 24 if reuse else whole
                made = run(len(runs), len(runs) * 8.0, prompt_tokens=fresh)
                runs.append(
                    replace(
                        made,
                        prompt=f"turn {turn}",
                        prompt_tokens=whole,
                        cached_tokens=whole - fresh,
                        turn=turn,
                        reuse=reuse,
                        repeat=repeat,
                    )
                )
    return session(*runs)


def nothing() -> Session:
    """It ended before its first run."""
    return session(complete=False, reason="The model could not be loaded.", loads=())


def failures() -> Session:
    """A model that answers nothing, an endpoint that dies: what is left."""
    dead = replace(
        run(3, 30.0),
        outcome="failed",
        fault="The connection was lost.",
        host=NOT_TIMED,
        engine=NOT_TIMED,
        completion_tokens=None,
        prompt_tokens=None,
    )
    empty = replace(run(2, 20.0), outcome="empty", host=NOT_TIMED, completion_tokens=0)
    one = replace(run(1, 10.0), completion_tokens=1)
    one = replace(one, host=replace(one.host, decode_tps=None))
    return session(
        run(0, 0.0),
        one,
        empty,
        dead,
        complete=False,
        reason="The endpoint does not answer any more.",
    )


def hostile() -> Session:
    """Every text that others choose is an attack."""
    side = replace(NPU, model=HOSTILE, device=HOSTILE, runtime=HOSTILE, quant=HOSTILE)
    side = replace(side, backend=HOSTILE, model_hash=HOSTILE)
    other = replace(side, key="b")
    runs = [
        replace(run(at, at * 8.0, key), prompt=HOSTILE, fault=HOSTILE)
        for at, key in enumerate("abababab")
    ]
    machine = Machine(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 4, 8000, power=HOSTILE, program=HOSTILE)
    return session(
        *runs,
        sides=(side, other),
        complete=False,
        reason=HOSTILE,
        machine=machine,
        plan={HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}], "duration_s": 1.0},
        notes=(HOSTILE,),
        energy=(Energy("a", HOSTILE, 1, 2, 3, 4, 0.75, 0.1, 6, HOSTILE),),
        energy_note=HOSTILE,
    )


EVERY: dict[str, Callable[[], Session]] = {
    "plain": plain,
    "against": against_cpu,
    "sweep": sweep,
    "windows": lambda: sweep(baseline=False, windows=(512, 1024, 4096)),
    "stress": stress,
    "conversation": conversation,
    "nothing": nothing,
    "failures": failures,
    "single": lambda: session(run(0, 0.0)),
    "thousand": lambda: plain(250),
    "hostile": hostile,
}
