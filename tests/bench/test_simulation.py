"""What the comparisons promise, on machines whose true rates are known: no difference where there is none, in at least
95 of 100 pairs of benches, and a change of 5 % found in at least 80 of 100."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from npurun_tui.bench.bootstrap import Cell, interval
from npurun_tui.bench.compare import Difference, compare_runs
from npurun_tui.bench.records import Session
from npurun_tui.bench.statistics import Figure
from npurun_tui.bench.verdicts import difference_words
from tests.bench.simulated import Bench, Disturbance, session

PAIRS = 100


def difference(old: Session, new: Session, figure: Figure = "decode_tps") -> Difference:
    found = compare_runs(old.counted(), new.counted(), figure)
    assert found is not None
    return found


def pairs(
    noise: Disturbance,
    bench: Bench,
    change: float = 0.0,
    figure: Figure = "decode_tps",
    new: Bench | None = None,
) -> list[Difference]:
    """A hundred pairs of benches, the new one of each truly faster by `change`."""
    chance = random.Random(repr((noise, bench.repeats, change, figure)))  # noqa: S311
    return [
        difference(
            session(chance, noise, bench),
            session(chance, noise, new or bench, change=change),
            figure,
        )
        for _ in range(PAIRS)
    ]


@pytest.mark.parametrize(
    ("noise", "bench"),
    [
        (Disturbance(run=0.02, session=0.005), Bench(repeats=3)),
        (Disturbance(run=0.03, session=0.01), Bench(repeats=3)),
        (Disturbance(run=0.01, session=0.007), Bench(repeats=7)),
        (Disturbance(run=0.02, session=0.005, held_up=0.04), Bench(repeats=3)),
        (Disturbance(run=0.02, session=0.005, drift=0.02, repeat=0.01), Bench(repeats=4)),
    ],
    ids=["quiet", "noisy", "many runs", "held up", "drifting"],
)
def test_the_same_bench_twice_is_no_difference(noise: Disturbance, bench: Bench) -> None:
    same = [found.verdict == "no difference" for found in pairs(noise, bench)]
    assert sum(same) >= 95


@pytest.mark.parametrize(
    ("noise", "bench", "figure"),
    [
        (Disturbance(run=0.015, session=0.005), Bench(repeats=3), "decode_tps"),
        (Disturbance(run=0.02, session=0.005), Bench(repeats=5), "ttft_ms"),
        (Disturbance(run=0.03, session=0.005), Bench(repeats=7), "decode_tps"),
        (Disturbance(run=0.02, session=0.005, held_up=0.04), Bench(repeats=5), "decode_tps"),
    ],
    ids=["quiet", "its TTFT", "noisy", "held up"],
)
def test_five_percent_slower_is_found_and_is_a_regression(
    noise: Disturbance, bench: Bench, figure: Figure
) -> None:
    found = pairs(noise, bench, -0.05, figure)
    assert sum(each.verdict == "slower" for each in found) >= 80
    assert sum(each.regression for each in found) >= 80
    assert not any(each.verdict == "faster" for each in found)


def test_sides_of_unlike_strata_and_lost_runs_are_no_difference() -> None:
    noise = Disturbance(session=0.005)
    old = Bench(repeats=3, lost=0.15)
    new = Bench(repeats=6, prompts=("number", "matmul", "joke"), lost=0.15)
    found = pairs(noise, old, new=new)
    assert sum(each.verdict == "no difference" for each in found) >= 95
    assert all(each.n_a <= 9 < each.n_b <= 18 for each in found)


def test_a_plan_that_is_too_small_for_five_percent_says_so() -> None:
    noise, small = Disturbance(run=0.03, session=0.005), Bench(repeats=3, prompts=("matmul",))
    found = pairs(noise, small, -0.05)
    missed = [each for each in found if each.verdict == "no difference"]
    assert len(missed) > 20, "it is not too small"
    told = [each for each in missed if "only changes above" in difference_words(each)]
    assert len(told) >= 0.95 * len(missed), "three runs can be alike by chance"


def in_turns(both: Session) -> Difference:
    found = compare_runs(both.counted("a"), both.counted("b"), "decode_tps", paired=True)
    assert found is not None
    return found


def turns(noise: Disturbance, baseline: float, count: int = PAIRS) -> list[Session]:
    chance = random.Random(repr((noise, baseline)))  # noqa: S311
    return [session(chance, noise, Bench(repeats=4), baseline=baseline) for _ in range(count)]


@pytest.mark.parametrize(
    "noise",
    [
        Disturbance(run=0.02, session=0.01, drift=0.05, repeat=0.005),
        Disturbance(run=0.02, held_up=0.04),
    ],
    ids=["drifting", "held up"],
)
def test_a_baseline_that_is_the_same_is_no_difference(noise: Disturbance) -> None:
    """A true 95 % interval, with no allowance on top, so a hundred of them may by chance have some fewer."""
    found = [in_turns(each).verdict for each in turns(noise, 0.0)]
    assert found.count("no difference") >= 91


def test_taking_turns_cancels_drift() -> None:
    """A machine that gets slower or faster by a fifth while it is measured: the baseline sees it too, though half a
    round later, which alone would be 2.5 %."""
    sessions = turns(Disturbance(run=0.01, drift=0.2), -0.03, 50)
    paired = [in_turns(each) for each in sessions]
    apart = [compare_runs(each.counted("a"), each.counted("b"), "decode_tps") for each in sessions]
    widths = [
        statistics.fmean(each.high - each.low for each in kind if each is not None)
        for kind in (paired, apart)
    ]
    assert all(each.paired for each in paired)
    assert widths[0] < 0.25 * widths[1]
    assert sum(each.verdict == "slower" for each in paired) >= 40
    assert statistics.fmean(each.ratio for each in paired) == pytest.approx(0.97, abs=0.003)


@pytest.mark.parametrize("repeats", [3, 10])
def test_the_interval_holds_the_truth_where_the_plain_bootstrap_does_not(repeats: int) -> None:
    """Of one stratum, no allowance for sessions, 120 times: the least that there can be."""
    chance = random.Random(repeats)  # noqa: S311
    holds = plain = 0
    for _ in range(120):
        values = [[chance.gauss(0, 0.02) for _ in range(repeats)] for _ in "ab"]
        cells = [
            [Cell(side, range(repeats), share)]
            for side, share in zip(values, (-1.0, 1.0), strict=True)
        ]
        found = interval(cells)
        assert found is not None
        holds += found.low <= 0 <= found.high
        resampled = sorted(
            statistics.fmean(chance.choices(values[1], k=repeats))
            - statistics.fmean(chance.choices(values[0], k=repeats))
            for _ in range(200)
        )
        plain += resampled[4] <= 0 <= resampled[195]
    assert holds >= 0.93 * 120
    assert plain < holds


def test_it_agrees_with_welch_where_that_is_right() -> None:
    """Many normal values: the bootstrap has nothing to add, and must not take away."""
    chance = random.Random(5)  # noqa: S311
    a = [chance.gauss(0, 0.01) for _ in range(150)]
    b = [chance.gauss(0.02, 0.03) for _ in range(100)]
    found = interval([[Cell(a, range(150), -1.0)], [Cell(b, range(100), 1.0)]])
    assert found is not None
    error = math.sqrt(statistics.variance(a) / 150 + statistics.variance(b) / 100)
    assert found.high - found.low == pytest.approx(2 * 1.98 * error, rel=0.1)
    assert found.centre == pytest.approx(statistics.fmean(b) - statistics.fmean(a), abs=error / 4)
