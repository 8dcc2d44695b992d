"""From readings of power to joules a token, and how sure they are."""

from __future__ import annotations

import math
import random
import time
from itertools import pairwise

import pytest

from npurun_tui.bench.energy.account import Asked, Gap, account
from npurun_tui.bench.energy.traces import Trace, part_of
from npurun_tui.bench.energy.uncertainty import difference, mean_of
from npurun_tui.bench.records import Energy
from npurun_tui.bench.student import t95

IDLE = [(0.0, 10.0)]
BUSY = [(10.0, 16.0), (17.0, 30.0)]


def power_at(seconds: float) -> float:
    """4 W at rest and 11 W at work."""
    return 11.0 if any(start <= seconds < end for start, end in BUSY) else 4.0


def gauge(until: float = 31.0, *, noise: float = 0.3, seed: int = 1) -> Trace:
    rng = random.Random(seed)  # noqa: S311
    trace = Trace("Gauge", "the whole machine")
    for step in range(int(until / 0.5)):
        at = step * 0.5 + 0.25
        trace.add(at, watts=power_at(at) + rng.gauss(0, noise))
    return trace


def counter(step: float = 0.5, *, slow: float = 0.0, until: float = 31.0) -> Trace:
    """A counter that is asked every `step` seconds and moves every `slow` seconds, or always."""
    trace = Trace("Counter", "the processor package")
    for index in range(int(until / step) + 1):
        at = index * step
        moved = at - at % slow if slow else at
        trace.add(at, joules=joules_until(moved))
    return trace


def joules_until(at: float) -> float:
    work = sum(max(0.0, min(at, end) - start) for start, end in BUSY)
    return 4.0 * at + 7.0 * work


def energy(trace: Trace, gaps: list[Gap] | None = None, tokens: int = 100) -> Energy:
    found = account(Asked("a", IDLE, BUSY, tokens), trace, gaps or [], 0.5)
    assert isinstance(found, Energy), found
    return found


def refused(trace: Trace, **asked: object) -> str:
    told = {"idle": IDLE, "busy": BUSY, "tokens": 100, **asked}
    found = account(Asked("a", **told), trace, [], 0.5)  # type: ignore[arg-type]
    assert isinstance(found, str), found
    return found


# --- from a trace to energy --------------------------------------------------------------------


def test_a_counter_is_exact() -> None:
    found = energy(counter())
    assert found.idle_watts == pytest.approx(4.0)
    assert found.busy_watts == pytest.approx(11.0)
    assert found.joules == pytest.approx(7.0 * 19)
    assert found.joules_per_token == pytest.approx(7.0 * 19 / 100)
    assert found.seconds == pytest.approx(19)
    assert found.source == "Counter: the processor package"
    assert found.warning == ""


def test_a_counter_is_divided_in_proportion_at_the_ends_of_a_span() -> None:
    trace = Trace("Counter", "x")
    for at, joules in ((0.0, 0.0), (1.0, 10.0), (2.0, 40.0), (3.0, 45.0)):
        trace.add(at, joules=joules)
    part = part_of(trace.stretches(), [(0.5, 2.2)])
    assert part.joules == pytest.approx(5 + 30 + 1)
    assert part.seconds == pytest.approx(1.7)


def test_a_counter_that_moves_once_a_second_is_no_spike_and_no_zero() -> None:
    trace = counter(slow=1.0)
    watts = [stretch.watts for piece in trace.stretches() for stretch in piece]
    assert min(watts) >= 3.9
    assert max(watts) <= 11.1
    quick, slow = energy(counter()), energy(trace)
    assert slow.joules == pytest.approx(quick.joules, rel=0.02)
    assert slow.uncertainty > quick.uncertainty  # its steps are seen late


@pytest.mark.parametrize("phase", [0.1, 0.3, 0.6, 0.9])
def test_the_first_step_of_a_slow_counter_is_no_spike(phase: float) -> None:
    """It moved some time before its first reading: that step is of more time than lies between the readings."""
    trace = Trace("Counter", "x")
    for index in range(63):
        at = index * 0.5
        trace.add(at, joules=round(joules_until(at - (at - phase) % 1.0), 6))
        assert (trace.last_watts or 0.0) < 11.1
    watts = [stretch.watts for piece in trace.stretches() for stretch in piece]
    assert max(watts) < 11.1
    assert part_of(trace.stretches(), [(0.0, 9.0)]).watts == pytest.approx(4.0)


def test_no_time_is_counted_twice_beside_a_cut() -> None:
    """A slow counter whose reading fails now and then: its pieces reach a second beyond their ends."""
    trace = Trace("Counter", "x")
    for index in range(121):
        at = index * 0.5
        if index % 20 == 7:
            trace.cut()
        else:
            trace.add(at, joules=5.0 * math.floor(at + 0.2))
    pieces = trace.stretches()
    assert len(pieces) == 7
    stretches = [stretch for piece in pieces for stretch in piece]
    for before, after in pairwise(stretches):
        assert before.start <= before.end <= after.start + 1e-9
    part = part_of(pieces, [(0.0, 60.0)])
    assert part.seconds <= 60.0 + 1e-9
    assert part.joules == pytest.approx(5.0 * part.seconds, rel=0.01)


def test_spans_are_looked_up_as_if_all_had_been_gone_through() -> None:
    rng = random.Random(8)  # noqa: S311
    trace = Trace("Gauge", "x")
    at = 0.0
    for _ in range(400):
        at += rng.uniform(0.1, 1.0)
        trace.add(at, watts=rng.uniform(1, 9)) if rng.random() > 0.1 else trace.cut()
    pieces = trace.stretches()
    spans = [(start, start + rng.uniform(0, 9)) for start in range(-20, int(at) + 20, 10)]
    part = part_of(pieces, spans)
    every = [stretch for piece in pieces for stretch in piece]
    inside = [(each.within(span), each.watts) for span in spans for each in every]
    assert part.seconds == pytest.approx(sum(seconds for seconds, _ in inside))
    assert part.joules == pytest.approx(sum(seconds * watts for seconds, watts in inside))


def test_a_day_of_short_runs_does_not_hold_up_the_end() -> None:
    trace = Trace("Counter", "x")
    for index in range(20_000):
        trace.add(index * 0.5, joules=index * 3.0)
    spans = [(each * 2.0, each * 2.0 + 1.5) for each in range(5_000)]
    began = time.process_time()
    assert part_of(trace.stretches(), spans).watts == pytest.approx(6.0)
    assert time.process_time() - began < 5  # a minute, if each span went through all


def test_a_bench_may_begin_and_end_a_moment_beside_the_readings() -> None:
    for trace in (gauge(until=30.0), counter(until=30.0)):
        ends = part_of(trace.stretches(), [(-0.2, 30.2)])
        assert ends.seconds == pytest.approx(30.4)
        assert part_of(trace.stretches(), [(-9.0, 39.0)]).seconds < 31.1


def test_a_gauge_is_integrated() -> None:
    found = energy(gauge(noise=0.05))
    assert found.joules == pytest.approx(7.0 * 19, rel=0.03)
    assert 0 < found.uncertainty < 0.1 * found.joules_per_token


def test_half_the_tokens_cost_twice_as_much_each() -> None:
    some, fewer = energy(gauge(), tokens=200), energy(gauge(), tokens=100)
    assert fewer.joules_per_token == pytest.approx(2 * some.joules_per_token)
    assert fewer.uncertainty == pytest.approx(2 * some.uncertainty)


def test_a_cut_is_no_energy() -> None:
    trace = Trace("Counter", "x")
    for at, joules in ((0.0, 0.0), (1.0, 4.0)):
        trace.add(at, joules=joules)
    trace.cut()
    assert trace.last_watts is None
    for at, joules in ((1.5, 9000.0), (2.5, 9004.0), (3.5, 9008.0)):
        trace.add(at, joules=joules)
    part = part_of(trace.stretches(), [(0.0, 3.5)])
    assert part.watts == pytest.approx(4.0)
    assert trace.last_watts == pytest.approx(4.0)


def test_a_sleep_is_left_out() -> None:
    awake = energy(counter())
    slept = Trace("Counter", "the processor package")
    for step in range(63):
        at = step * 0.5
        later = at if at < 20 else at + 100
        if at == 20:
            slept.cut()
        slept.add(later, joules=joules_until(at) + (1e6 if at >= 20 else 0))
    busy = [(10.0, 16.0), (17.0, 130.0)]
    found = account(Asked("a", IDLE, busy, 100), slept, [Gap(19.5, 120.0, True)], 0.5)
    assert isinstance(found, Energy)
    # Half a second before the sleep and after it is read by what stood beside it.
    assert found.joules == pytest.approx(awake.joules, rel=0.05)
    assert found.seconds == pytest.approx(19, abs=1)
    still = account(Asked("a", IDLE, busy, 100), slept, [Gap(19.5, 120.0, False)], 0.5)
    assert isinstance(still, str)
    assert "of only 19." in still


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"tokens": 0}, "no tokens were generated"),
        ({"idle": []}, "the idle machine was not measured"),
        ({"idle": [(100.0, 110.0)]}, "told nothing of the idle machine"),
        ({"busy": [(100.0, 110.0)]}, "told nothing while the model worked"),
        ({"busy": [(10.0, 60.0)]}, "the power of only 21.2 s of the 50.0 s that the model worked"),
    ],
)
def test_what_cannot_be_told_is_refused(asked: dict[str, object], words: str) -> None:
    assert words in refused(gauge(), **asked)


def test_a_small_difference_and_few_readings_warn() -> None:
    trace = Trace("Gauge", "x")
    for step in range(62):
        at = step * 0.5 + 0.25
        trace.add(at, watts=4 + 0.05 * power_at(at) + 0.01 * (step % 3))
    assert "took only 0.35 W more than at rest" in energy(trace).warning
    few = account(Asked("a", [(0.0, 2.0)], BUSY, 9), gauge(), [], 0.5)
    assert isinstance(few, Energy)
    assert "only 4 readings" in few.warning


def test_what_cost_less_than_nothing_and_what_may_have_cost_nothing_warn() -> None:
    less, perhaps = Trace("Gauge", "x"), Trace("Gauge", "x")
    rng = random.Random(6)  # noqa: S311
    for step in range(62):
        at = step * 0.5 + 0.25
        less.add(at, watts=20 - power_at(at) + 0.01 * (step % 3))
        perhaps.add(at, watts=power_at(at) / 7 + rng.gauss(0, 9))
    assert energy(less).warning.startswith("The machine took 7.00 W less than at rest")
    found = energy(perhaps)
    assert found.uncertainty > abs(found.joules_per_token)
    assert "The interval includes 0" in found.warning


def test_a_gauge_that_never_moves_tells_nothing_of_its_scatter() -> None:
    trace = Trace("Battery", "x")
    for step in range(62):
        trace.add(step * 0.5, watts=power_at(step * 0.5))
    idle, busy = [(0.0, 9.0)], [(11.0, 15.0)]
    assert "nothing of how much they vary" in refused(trace, idle=idle, busy=busy)


def test_a_gauge_that_moves_seldom_is_not_believed_more_than_its_changes() -> None:
    """The same values, once as they come and once each repeated as a slow gauge does."""
    rng = random.Random(5)  # noqa: S311
    values = [[4 + rng.gauss(0, 0.5) for _ in range(4)], [11 + rng.gauss(0, 0.5) for _ in range(4)]]
    slow = [[[(0.5, value) for value in each for _ in range(20)]] for each in values]
    once = [[[(10.0, value) for value in each]] for each in values]
    repeated = difference(mean_of(slow[1], repeats=True), mean_of(slow[0], repeats=True))
    honest = difference(mean_of(once[1], repeats=True), mean_of(once[0], repeats=True))
    assert repeated is not None
    assert honest is not None
    assert repeated.half >= honest.half * 0.99


# --- how sure it is ----------------------------------------------------------------------------


def noise(rng: random.Random, count: int, level: float, spread: float, alike: float) -> list[float]:
    """A first-order autoregressive series."""
    value, found = rng.gauss(0, spread), []
    for _ in range(count):
        found.append(level + value)
        value = alike * value + rng.gauss(0, spread * math.sqrt(1 - alike**2))
    return found


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.8])
def test_the_interval_covers_the_truth_in_95_of_100(alike: float) -> None:
    """Sessions of 10 s of rest and four runs of 7.5 s, whose power wanders."""
    rng = random.Random(20)  # noqa: S311
    trials, covered = 400, 0
    idle, busy = [(0.0, 10.0)], [(10.0, 17.5), (17.5, 25.0), (25.0, 32.5), (32.5, 40.0)]
    for _ in range(trials):
        trace = Trace("Gauge", "x")
        watts = noise(rng, 20, 4, 0.4, alike) + noise(rng, 60, 11, 1.5, alike)
        beside = rng.uniform(
            0.0, 0.5
        )  # when it is read has nothing to do with when the work begins
        for step, each in enumerate(watts):
            trace.add(step * 0.5 + beside, watts=each)
        found = account(Asked("a", idle, busy, 300), trace, [], 0.5)
        assert isinstance(found, Energy)
        truth = 7.0 * 30 / 300
        covered += abs(found.joules_per_token - truth) <= found.uncertainty
    # Of 400 at 95 %, 366 to 393 are within 3.5 standard deviations; the interval may err on the wide side.
    assert 0.915 <= covered / trials <= 1.0
    if alike < 0.8:
        assert covered / trials <= 0.99


@pytest.mark.parametrize("beside", [4.0, 36.0])
@pytest.mark.parametrize("slow", [0.0, 1.0])
def test_the_interval_covers_what_a_counters_steps_hide(slow: float, beside: float) -> None:
    """Twelve short runs at 11 W, and between them rest, or another model that takes far more."""
    rng = random.Random(30)  # noqa: S311
    trials, covered = 200, 0
    for _ in range(trials):
        offset, phase = rng.random(), rng.random()
        idle = [(0.0, 10.0)]
        busy = [(12.0 + 7 * each + offset, 15.5 + 7 * each + offset) for each in range(12)]
        trace = Trace("Counter", "x")

        def joules(at: float, busy: list[tuple[float, float]] = busy) -> float:
            work = sum(max(0.0, min(at, end) - start) for start, end in busy)
            others = max(0.0, min(at, busy[-1][1]) - busy[0][0]) - work
            return 4.0 * at + 7.0 * work + (beside - 4.0) * others

        for index in range(200):
            at = index * 0.5 - 0.2
            trace.add(at, joules=round(joules(at - (at - phase) % slow if slow else at), 6))
        found = account(Asked("a", idle, busy, 300), trace, [], 0.5)
        assert isinstance(found, Energy)
        covered += abs(found.joules_per_token - 7.0 * 42 / 300) <= found.uncertainty
    assert covered / trials >= 0.93


def test_a_slow_wander_under_a_sensors_noise_is_found_in_long_series() -> None:
    """Neighbours look almost independent there; the means of long blocks do not."""
    rng = random.Random(4)  # noqa: S311
    trials, covered = 300, 0
    for _ in range(trials):
        wander, sensor = noise(rng, 240, 0, 1, 0.9), noise(rng, 240, 0, 1, 0.0)
        values = [slow + quick for slow, quick in zip(wander, sensor, strict=True)]
        mean = mean_of([[(0.5, each) for each in values]], repeats=False)
        covered += abs(mean.value) <= t95(mean.freedom) * math.sqrt(mean.variance)
    assert covered / trials > 0.89  # 0.85 by neighbours and blocks of too many degrees of freedom


def test_readings_that_resemble_each_other_say_less() -> None:
    rng = random.Random(3)  # noqa: S311
    loose = mean_of([[(1, each) for each in noise(rng, 200, 5, 1, 0.0)]], repeats=True)
    tight = mean_of([[(1, each) for each in noise(rng, 200, 5, 1, 0.8)]], repeats=True)
    assert loose.effective > 120
    assert tight.effective < 60
    assert tight.variance > 2 * loose.variance


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        mean_of([], repeats=False)
