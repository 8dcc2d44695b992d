"""Percentiles and their like, of good values and of others."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.bench.records import NOT_TIMED, Clock
from npurun_tui.bench.statistics import clock_gap, percentile, summaries, summarise
from npurun_tui.bench.student import t95
from tests.bench.simulated import Bench, Disturbance, session

QUIET = Disturbance()


def test_percentiles_are_those_of_type_7() -> None:
    """By Hyndman & Fan's definition, with h = (n - 1) p + 1, worked by hand for five values."""
    assert percentile([15, 20, 35, 40, 50], 0.4) == pytest.approx(29)
    assert percentile([15, 20, 35, 40, 50], 0.5) == 35
    assert percentile([15, 20, 35, 40, 50], 1.0) == 50
    assert percentile([7], 0.99) == 7
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_percentiles_agree_with_the_standard_library() -> None:
    chance = random.Random(1)  # noqa: S311
    values = sorted(chance.lognormvariate(3, 1) for _ in range(37))
    inclusive = statistics.quantiles(values, n=100, method="inclusive")
    assert [percentile(values, p / 100) for p in range(1, 100)] == pytest.approx(inclusive)


def test_a_summary_of_few_is_honest_about_it() -> None:
    found = summarise([3.0, 1.0, 2.0])
    assert found is not None
    assert (found.n, found.p50, found.min, found.max, found.mean) == (3, 2, 1, 3, 2)
    assert found.p99 == pytest.approx(2.98)
    assert found.stdev == pytest.approx(1)


def test_what_has_measured_nothing_is_left_out() -> None:
    found = summarise([None, math.nan, math.inf, -math.inf, 0.0, -1.0, 4.0])
    assert found is not None
    assert (found.n, found.p50, found.p99, found.stdev) == (1, 4, 4, 0)
    assert summarise([]) is None
    assert summarise([None, math.nan, 0.0]) is None


@given(st.lists(st.floats(min_value=1e-6, max_value=1e12), min_size=1, max_size=50))
def test_a_summary_is_in_order(values: list[float]) -> None:
    found = summarise(values)
    assert found is not None
    assert found.min <= found.p50 <= found.p90 <= found.p99 <= found.max
    assert found.stdev >= 0


def test_warm_ups_and_failures_are_in_no_figure() -> None:
    bench = session(random.Random(1), QUIET, Bench(repeats=2, prompts=("matmul",)))  # noqa: S311
    good = bench.runs[0]
    slow = replace(good, host=Clock(9e9, 1e-9, 1e-9))
    runs = (*bench.runs, replace(slow, warmup=True), replace(slow, outcome="failed"))
    found = summaries(replace(bench, runs=runs))
    assert found == summaries(bench)
    decode = found["decode_tps"]
    assert decode is not None
    assert decode.n == 2
    assert summaries(bench, "b") == dict.fromkeys(found)


def test_the_clocks_gap_is_the_median_of_runs_that_have_both() -> None:
    bench = session(random.Random(1), QUIET, Bench(prompts=("matmul",)))  # noqa: S311
    clocks = [Clock(90.0, None, 15.0), Clock(50.0, None, 15.0), Clock(100.0, 0.0, None)]
    runs = tuple(
        replace(run, host=Clock(100.0, 200.0, 15.0), engine=engine)
        for run, engine in zip(bench.runs, clocks, strict=True)
    )
    found = clock_gap(replace(bench, runs=runs))
    assert found["ttft_ms"] == pytest.approx(100 / 90 * 100 - 100)
    assert found["decode_tps"] == 0
    assert found["prefill_tps"] is None
    without = tuple(replace(run, engine=NOT_TIMED) for run in runs)
    assert set(clock_gap(replace(bench, runs=without)).values()) == {None}


@pytest.mark.parametrize(
    ("freedom", "table"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (8, 2.3060), (30, 2.0423), (120, 1.9799), (1e9, 1.96)],
)
def test_quantiles_of_t_are_those_of_the_tables(freedom: float, table: float) -> None:
    assert t95(freedom) == pytest.approx(table, abs=1e-4)
