"""The sentences that people read."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from npurun_tui.bench.compare import Comparison, Difference
from npurun_tui.bench.records import NOT_TIMED, Clock, Run, Session, Side
from npurun_tui.bench.throttling import Throttling, throttling
from npurun_tui.bench.verdicts import (
    clock_words,
    comparison_words,
    difference_words,
    speedup_words,
    throttling_words,
)
from tests.bench.simulated import Bench, Disturbance, session

NPU, CPU = "NPU (Genie 1.21.0)", "CPU (llama.cpp)"

SLOWER = Difference(
    "decode_tps",
    0.958,
    0.945,
    0.971,
    50.0,
    47.9,
    12,
    12,
    "slower",
    regression=True,
    detectable=0.02,
    paired=False,
)


def chance(seed: int = 1) -> random.Random:
    return random.Random(seed)  # noqa: S311


def test_a_regression() -> None:
    assert difference_words(SLOWER) == "Decode: 4.2 % slower (2.9 to 5.5 %): a regression."


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"ratio": 0.98, "low": 0.97, "high": 0.99, "regression": False},
            "Decode: 2.0 % slower (1.0 to 3.0 %), too little for a regression (more than 3.0 %).",
        ),
        (
            {"ratio": 1.05, "low": 1.02, "high": 1.08, "verdict": "faster", "regression": False},
            "Decode: 5.0 % faster (2.0 to 8.0 %).",
        ),
        (
            {
                "ratio": 1.001,
                "low": 0.988,
                "high": 1.013,
                "verdict": "no difference",
                "regression": False,
            },
            "Decode: no difference (within ±1.3 %).",
        ),
        (
            {
                "ratio": 0.98,
                "low": 0.93,
                "high": 1.03,
                "verdict": "no difference",
                "regression": False,
                "detectable": 0.071,
                "n_b": 3,
            },
            "Decode: no difference (within ±7.0 %). "
            "With 3 runs and this noise only changes above 7.1 % can be told.",
        ),
        (
            {"figure": "ttft_ms", "ratio": 1.1, "low": 1.05, "high": 1.15},
            "TTFT: 10.0 % slower (5.0 to 15.0 %): a regression.",
        ),
        (
            {"figure": "ttft_ms", "ratio": 3.4, "low": 3.2, "high": 3.6},
            "TTFT: 3.4 x as long (3.2 to 3.6): a regression.",
        ),
        (
            {"figure": "prefill_tps", "ratio": 0.3, "low": 0.28, "high": 0.32},
            "Prefill: 0.30 x as fast (0.28 to 0.32): a regression.",
        ),
    ],
)
def test_other_differences(fields: dict[str, object], words: str) -> None:
    assert difference_words(replace(SLOWER, **fields)) == words  # type: ignore[arg-type]


def test_a_comparison_begins_with_its_figures() -> None:
    found = Comparison({"decode_tps": SLOWER}, ("Driver: 1 before, 2 now.",), ("A note.",))
    assert comparison_words(found) == [
        difference_words(SLOWER),
        "Driver: 1 before, 2 now.",
        "A note.",
    ]


def against(
    ratio: float, a: str = NPU, b: str = CPU, noise: Disturbance | None = None, repeats: int = 4
) -> Session:
    """`a` decodes `ratio` times as fast as `b`."""
    noise = noise or Disturbance(run=0.005)
    made = session(chance(), noise, Bench(repeats=repeats), baseline=1 / ratio - 1)
    sides = (
        Side("a", "qwen", "genie", a),
        Side("b", "qwen-q4", "llama.cpp", b),
    )
    return replace(made, sides=sides)


def test_the_check_of_three_times_the_cpu() -> None:
    words = speedup_words(against(3.4))
    assert words.startswith("NPU is 3.4")
    assert " x the CPU's rate (3.3" in words
    assert "): at least the 3 x that shows" in words
    low = speedup_words(against(1.8))
    assert low.startswith("NPU is only 1.8")
    assert "less than the 3 x" in low
    assert "doctor" in low


def test_what_is_close_to_three_is_not_claimed() -> None:
    words = speedup_words(against(3.0, noise=Disturbance(run=0.05)))
    assert "too close to it to tell" in words


def test_the_sides_may_be_the_other_way_round() -> None:
    assert speedup_words(against(1 / 3.4, CPU, NPU)) == speedup_words(against(3.4))


def test_two_cpus_are_compared_without_the_check() -> None:
    words = speedup_words(against(1.5, CPU, CPU))
    assert words.startswith("qwen · CPU (llama.cpp) decodes at 1.5")
    assert "nothing of an NPU" in words
    assert "3 x" not in words


def test_an_endpoint_is_no_cpu_whatever_its_name() -> None:
    words = speedup_words(against(4.0, NPU, "http://cpu-box:11434"))
    assert words.startswith("qwen · NPU (Genie 1.21.0) decodes at 4.0")
    assert " x the rate of qwen-q4 · http://cpu-box:11434 (" in words
    assert "really used" not in words


def test_equal_sides_are_equally_fast() -> None:
    words = speedup_words(against(1.0, NPU, "http://there", Disturbance(run=0.01)))
    assert "equally fast (within ±" in words


def test_no_baseline_no_words() -> None:
    assert speedup_words(session(chance(), Disturbance(), Bench())) == ""
    assert speedup_words(replace(against(3.0), sides=())) == ""
    hostile = speedup_words(against(2.0, NPU, "http://\x1b[31m\nevil"))
    assert hostile.isprintable()


def test_the_clocks() -> None:
    made = session(chance(), Disturbance(), Bench())
    assert clock_words(made) == ""
    engine = Clock(100.0, None, 10.0)
    runs = tuple(replace(run, host=Clock(101.0, None, 9.95), engine=engine) for run in made.runs)
    assert clock_words(replace(made, runs=runs)) == (
        "Host's clock against the runtime's: TTFT +1.0 %, Decode -0.5 %."
    )


def stress(
    slower: float,
    noise: float = 0.01,
    cycles: int = 20,
    prompts: tuple[str, ...] = ("matmul", "joke"),
) -> Session:
    """A stress run whose second half is slower by so much."""
    made = session(chance(), Disturbance(run=noise), Bench(repeats=cycles, prompts=prompts))
    middle = cycles / 2

    def throttled(run: Run) -> Run:
        rate = run.host.decode_tps
        assert rate is not None
        return replace(
            run, host=replace(run.host, decode_tps=rate * (1 - slower * (run.repeat >= middle)))
        )

    return replace(made, plan={"duration_s": 600.0}, runs=tuple(map(throttled, made.runs)))


def halves(made: Session) -> Throttling:
    found = throttling(made)
    assert found is not None
    return found


def test_throttling_is_found() -> None:
    found = halves(stress(0.12))
    assert found.probable
    assert found.certain
    assert found.low < 12 < found.high
    assert found.degradation == pytest.approx(12, abs=1)
    assert found.degradation == pytest.approx(100 * (1 - found.second_tps / found.first_tps))
    words = throttling_words(found)
    assert words[0].startswith("40 runs, tok/s: min ")
    assert words[-1].endswith(": probable throttling.")


def test_a_steady_machine_does_not_throttle() -> None:
    found = halves(stress(0.0))
    assert not found.probable
    assert found.low < 0 < found.high
    assert "no throttling" in throttling_words(found)[-1]


def test_more_than_five_percent_of_noise_is_no_certainty() -> None:
    found = next(each for seed in range(200) if (each := halves(noisy(seed))).degradation > 5)
    assert found.probable
    assert not found.certain
    assert "perhaps throttling" in throttling_words(found)[-1]


def noisy(seed: int) -> Session:
    made = session(chance(seed), Disturbance(run=0.12), Bench(repeats=6, prompts=("matmul",)))
    return replace(made, plan={"duration_s": 60.0})


def test_a_slow_prompt_weighs_the_same_in_both_halves() -> None:
    """Five cycles, broken off in the last one after its fast prompt: the slow one's rate is a third."""
    made = stress(0.0, cycles=9)
    slow = tuple(
        replace(run, host=replace(run.host, decode_tps=(run.host.decode_tps or 0) / 3))
        if run.prompt == "joke"
        else run
        for run in made.runs[:-1]
    )
    assert abs(halves(replace(made, runs=slow)).degradation) < 3


def test_what_is_no_stress_run_has_no_halves() -> None:
    made = stress(0.1)
    assert throttling(replace(made, plan={})) is None
    assert throttling(replace(made, plan={"duration_s": "long"})) is None
    assert throttling(replace(made, runs=())) is None
    assert throttling(replace(made, runs=made.runs[:1])) is None
    endless = tuple(replace(run, total_ms=math.inf) for run in made.runs)
    assert throttling(replace(made, runs=endless)) is None
    untimed = tuple(replace(run, host=NOT_TIMED) for run in made.runs)
    assert throttling(replace(made, runs=untimed)) is None
    assert throttling(made, "b") is None
