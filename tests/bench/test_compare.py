"""What is held against what, and what is said of it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npurun_tui.bench.compare import compare_runs, compare_sessions, compare_sides
from npurun_tui.bench.records import NOT_TIMED, Clock, Machine, Run, Session, Side
from npurun_tui.bench.statistics import FIGURES, summaries
from tests.bench.simulated import Bench, Disturbance, session

QUIET = Disturbance(run=0.01)
ODD = [math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-320, 1e308, 5.0, 15.0, None]


def bench(seed: int = 1, **fields: object) -> Session:
    made = session(random.Random(seed), QUIET, Bench(repeats=4))  # noqa: S311
    return replace(made, **fields)  # type: ignore[arg-type]


def changed(made: Session, change: Callable[[Run], Run]) -> Session:
    return replace(made, runs=tuple(map(change, made.runs)))


def rated(run: Run, rate: float | None) -> Run:
    return replace(run, host=Clock(rate, rate, rate))


def test_the_directions_of_rates_and_times() -> None:
    old = bench()
    new = changed(old, lambda run: rated(run, 10.0 * run.host.decode_tps))  # type: ignore[operator]
    old = changed(old, lambda run: rated(run, 9.0 * run.host.decode_tps))  # type: ignore[operator]
    found, was, now = compare_sessions(old, new).figures, summaries(old), summaries(new)
    assert [found[figure].verdict for figure in FIGURES] == ["slower", "faster", "faster"]
    assert [found[figure].regression for figure in FIGURES] == [True, False, False]
    for figure in FIGURES:
        assert found[figure].ratio == pytest.approx(10 / 9)
        assert found[figure].low < 10 / 9 < found[figure].high
        assert found[figure].n_a == found[figure].n_b == 16
        medians = found[figure].median_a, found[figure].median_b
        assert medians == pytest.approx(
            [summary.p50 for summary in (was[figure], now[figure]) if summary]
        )


def test_a_session_against_itself() -> None:
    found = compare_sessions(bench(), bench())
    assert {each.verdict for each in found.figures.values()} == {"no difference"}
    assert all(each.ratio == pytest.approx(1) for each in found.figures.values())
    assert found.differs == found.notes == ()
    assert found.regressions == []


def test_less_than_three_percent_is_slower_but_no_regression() -> None:
    chance = random.Random(3)  # noqa: S311
    made = session(chance, Disturbance(run=0.002), Bench(repeats=8), baseline=-0.02)
    found = compare_sides(made)["decode_tps"]
    assert found.verdict == "slower"
    assert not found.regression
    assert found.ratio == pytest.approx(0.98, abs=0.004)


def test_only_common_strata_are_compared() -> None:
    """Else a slow prompt that one side alone has asked would look like a slow machine."""
    old, new = bench(1), bench(2)
    slow = [replace(run, prompt="essay", host=Clock(9e3, 1.0, 1.0)) for run in new.runs[:4]]
    found = compare_sessions(old, replace(new, runs=(*new.runs, *slow)))
    assert found.figures["decode_tps"].verdict == "no difference"
    assert found.figures["decode_tps"].n_b == 16
    assert found.notes == ("Only the new bench asked 1 question more; left out.",)


@pytest.mark.parametrize("field", ["turn", "reuse", "max_tokens", "context"])
def test_runs_that_differ_are_other_strata(field: str) -> None:
    """Half of the new runs are of another kind, and twice as fast."""
    old = bench()
    unlike = [replace(rated(run, 1e4), **{field: 7}) for run in old.runs]  # type: ignore[arg-type]
    found = compare_runs(old.runs, [*old.runs, *unlike], "decode_tps")
    assert found is not None
    assert found.ratio == pytest.approx(1)
    assert found.unlike == ""


def test_an_endpoint_that_does_not_tell_its_window_is_compared_and_it_is_said() -> None:
    old = bench()
    new = changed(old, lambda run: replace(run, context=0))
    found = compare_sessions(old, new)
    assert found.figures["decode_tps"].unlike == "context window"
    assert any("another context window" in note for note in found.notes)


def test_pairing_needs_the_same_repeats() -> None:
    a = bench().runs
    later = [replace(run, repeat=run.repeat + 100) for run in a]
    matched, apart = (compare_runs(a, b, "decode_tps", paired=True) for b in (a, later))
    assert matched is not None
    assert apart is not None
    assert (matched.paired, apart.paired) == (True, False)
    some = compare_runs(a, a[:8], "decode_tps", paired=True)
    assert some is not None
    assert (some.n_a, some.n_b) == (8, 8)
    assert some.median_a == some.median_b  # of the same runs, though one side has more


def test_no_noise_at_all() -> None:
    """Equal values have no variance: nothing may be divided by it, and the change is exactly that."""
    old = changed(bench(), lambda run: rated(run, 10.0))
    new = changed(bench(), lambda run: rated(run, 9.0))
    for paired in (False, True):
        same = compare_runs(old.runs, old.runs, "decode_tps", paired=paired)
        slower = compare_runs(old.runs, new.runs, "decode_tps", paired=paired)
        assert same is not None
        assert slower is not None
        assert (same.ratio, same.verdict) == (1, "no difference")
        assert slower.verdict == "slower"
        assert slower.ratio == pytest.approx(0.9)


def test_one_run_of_each_tells_by_the_strata_alone() -> None:
    a, b = bench(1), bench(2)
    one = compare_runs(a.runs[:4], b.runs[:4], "decode_tps")
    assert one is not None
    assert (one.n_a, one.n_b, one.verdict) == (4, 4, "no difference")
    assert one.low < 1 < one.high
    assert compare_runs(a.runs[:1], b.runs[:1], "decode_tps") is None


def test_one_run_against_many_takes_their_noise() -> None:
    a, b = bench(1), bench(2)
    found = compare_runs(a.runs, b.runs[:4], "decode_tps")
    assert found is not None
    assert (found.n_a, found.n_b) == (16, 4)
    assert found.low < 1 < found.high


def test_nothing_in_common_is_said() -> None:
    new = changed(bench(), lambda run: replace(run, prompt=f"other {run.prompt}"))
    found = compare_sessions(bench(), new)
    assert found.figures == {}
    assert any("Nothing can be compared" in note for note in found.notes)
    assert compare_sides(bench()) == {}


def test_a_held_up_run_does_not_speak_for_all() -> None:
    """One of sixteen takes ten times as long: a mean would be moved by a tenth."""
    new = bench(2)
    held = replace(new.runs[5], host=Clock(1e4, 30.0, 1.4))
    found = compare_sessions(bench(1), replace(new, runs=(*new.runs[:5], held, *new.runs[6:])))
    assert found.figures["decode_tps"].ratio == pytest.approx(1, abs=0.02)
    assert found.figures["decode_tps"].verdict == "no difference"


def test_coarse_clocks_are_no_certainty() -> None:
    """Ticks of 15.6 ms: most values are equal, which must not make the others disturbances and the noise nothing."""
    chance = random.Random(4)  # noqa: S311
    ticks = [[109.2 if chance.random() < 0.7 else 124.8 for _ in range(16)] for _ in "ab"]
    sides = [
        [rated(run, tick) for run, tick in zip(bench().runs, values, strict=True)]
        for values in ticks
    ]
    found = compare_runs(sides[0], sides[1], "ttft_ms")
    assert found is not None
    assert found.high - found.low > 0.05


def test_times_that_no_clock_tells_are_left_out() -> None:
    made = bench()
    odd = [
        replace(run, began_s=at) for run, at in zip(made.runs, (math.nan, math.inf), strict=False)
    ]
    for paired in (False, True):
        assert compare_runs(made.runs, odd, "decode_tps", paired=paired) is None
        found = compare_runs(made.runs, [*made.runs, *odd], "decode_tps", paired=paired)
        assert found is not None
        assert found.n_b == 16


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(ODD), min_size=0, max_size=8),
    st.lists(st.sampled_from(ODD), min_size=0, max_size=8),
    st.booleans(),
)
def test_odd_values_break_nothing(
    ours: list[float | None], theirs: list[float | None], paired: bool
) -> None:
    base = bench().runs[0]
    a, b = (
        [replace(rated(base, value), repeat=at, began_s=at) for at, value in enumerate(values)]
        for values in (ours, theirs)
    )
    found = compare_runs(a, b, "decode_tps", paired=paired)
    usable = [
        sum(value is not None and 0 < value < math.inf for value in values)
        for values in (ours, theirs)
    ]
    if min(usable) == 0:
        assert found is None
    if found is not None:
        assert 0 <= found.low <= found.ratio <= found.high
        assert math.isfinite(found.high)
        assert math.isfinite(found.detectable)


def test_the_same_runs_have_the_same_interval() -> None:
    assert compare_sessions(bench(1), bench(2)) == compare_sessions(bench(1), bench(2))


def test_what_is_not_the_same_is_said() -> None:
    old = bench(
        machine=Machine(soc="X1E80100", driver="30.0.219", memory_mb=16_000, power="mains"),
        plan={"warmups": 1, "repeats": 3, "duration_s": 0.0},
    )
    new = replace(
        old,
        machine=Machine(soc="X1P42100", driver="30.0.220", memory_mb=16_300, power="battery"),
        plan={"warmups": 2, "repeats": 9, "duration_s": 300.0},
        sides=(replace(old.sides[0], runtime="1.21", model_hash="ab" * 32, context=2048),),
        complete=False,
        reason="The battery is empty",
    )
    old = replace(old, sides=(replace(old.sides[0], runtime="1.17", context=4096),))
    found = compare_sessions(old, new)
    assert set(found.differs) == {
        "Processor: X1E80100 before, X1P42100 now.",
        "NPU driver: 30.0.219 before, 30.0.220 now.",
        "Power source: mains before, battery now.",
        "Runtime: 1.17 before, 1.21 now.",
        "Context window: 4096 before, 2048 now.",
        "Model file: 5f5f5f5f5f5f before, abababababab now: not the same file under one name.",
        "Warm-up runs after a load: 1 before, 2 now.",
        "Seconds of stress: 0 before, 300 now.",
    }
    assert found.notes == ("The new bench is not complete: The battery is empty.",)
    assert "decode_tps" in found.figures, "nothing is refused"


def test_a_file_without_a_hash_may_be_another() -> None:
    old = bench()
    new = replace(old, sides=(replace(old.sides[0], model_hash=""),))
    assert any("cannot be told" in each for each in compare_sessions(old, new).differs)


def test_hostile_texts_stay_one_printable_line() -> None:
    evil = "x\n\x1b[31m\u202eevil" * 50
    old = bench()
    new = replace(
        old,
        machine=Machine(system=evil),
        plan={"warmups": evil},
        sides=(Side("a", evil, evil, evil, evil, evil),),
        complete=False,
        reason=evil,
    )
    found = compare_sessions(replace(old, plan={"warmups": 1}), new)
    words = " ".join((*found.differs, *found.notes))
    assert "evil" in words
    assert words.isprintable()
    assert all(len(each) < 400 for each in (*found.differs, *found.notes))


def test_a_session_without_runs_or_sides() -> None:
    empty = bench(runs=(), sides=())
    assert compare_sessions(empty, bench()).figures == {}
    assert compare_sessions(bench(), empty).figures == {}
    timeless = changed(bench(), lambda run: replace(run, host=NOT_TIMED))
    assert compare_sessions(timeless, bench()).figures == {}
