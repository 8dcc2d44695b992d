"""What the Bench tab says and plots of a bench, before it is drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from npurun_tui.bench.events import RunBegan, Ticked
from npurun_tui.bench.plan import Plan, document_of
from npurun_tui.bench.records import Sample
from npurun_tui.bench.state import BenchState
from npurun_tui.screens.bench_plots import first_by_length, gauges, rates_over_time
from npurun_tui.screens.bench_rows import figure, gap_words
from npurun_tui.screens.bench_shown import plan_of
from npurun_tui.screens.bench_words import bar_words, loads_words, plan_words, state_words
from tests.support import bench_scene as scene

LIVE = RunBegan("b", "joke", 2048, 1, False, 0, 8, 24)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan(), "all prompts, 128 tokens, 3 repeats, 1 warm-up"),
        (Plan(turns=4, warmups=0), "4 turns, 128 tokens, 3 repeats, no warm-up"),
        (
            Plan(lengths=(32, 0), contexts=(0, 512), outputs=(1, 64), duration_s=300),
            "lengths 32 max, windows own 512, 1 64 tokens, stress for 5 min 00 s, 1 warm-up",
        ),
        (Plan(prompts=("joke", "a\x1b]b")), "joke a␛]b, 128 tokens, 3 repeats, 1 warm-up"),
        (Plan(prompts=tuple("abcde"), repeats=1), "5 prompts, 128 tokens, 1 repeat, 1 warm-up"),
    ],
)
def test_a_plan_in_words(plan: Plan, words: str) -> None:
    assert plan_words(plan) == words
    assert plan_of(document_of(plan)) == plan


def test_a_plan_of_another_version_counts_as_usual_where_it_does_not_fit() -> None:
    found = {"lengths": ["x"], "repeats": "3", "turns": 2, "more": 1, "duration_s": 60, "energy": 0}
    assert plan_of(found) == Plan(turns=2, duration_s=60)


def test_the_rest_is_foretold_by_the_pace_of_what_was_measured() -> None:
    state = BenchState(running=True, plan=scene.PLAN, current=LIVE, done=8, of=24, phase="joke")
    assert state_words(state, None, 20.0) == ("▶ run 9 of 24: joke", "20 s")
    state.runs = [scene.run(index) for index in range(8)]
    assert state_words(state, None, 20.0)[1] == "20 s, 21 s left"
    state.plan = replace(scene.PLAN, duration_s=300.0)
    assert state_words(state, None, 20.0)[1] == "20 s, 4 min 40 s left"


def test_the_status_bar_has_a_bench_only_while_one_runs() -> None:
    state = BenchState(running=True)
    assert bar_words(state) == "bench starts"
    state.waiting = "chat"
    assert bar_words(state) == "bench waits"
    state.waiting, state.done, state.of = "", 3, 12
    assert bar_words(state) == "bench 3/12"
    state.running = False
    assert bar_words(state) == ""


def test_loads_name_their_sides_only_where_there_are_two() -> None:
    loads = scene.session().loads
    assert loads_words(loads, (scene.A,)) == "load cold 812 ms, warm 240 ms"
    assert loads_words(loads, (scene.A, scene.B)) == "load A cold 812 ms, warm 240 ms"
    assert loads_words((), (scene.A,)) == ""


def test_the_run_that_goes_is_plotted_on_its_own_side() -> None:
    runs = [scene.run(1), scene.run(2, "b")]
    end = runs[-1].began_s + runs[-1].total_ms / 1000
    ticks = [
        Ticked(end - 1, 9, 5.0, 99.0),
        Ticked(end + 1, 9, 5.0, 51.0),
        Ticked(end + 2, 9, 5.0, None),
    ]
    a, b = rates_over_time(runs, ticks, "b")
    assert (a.name, b.name, a.sign, b.sign) == ("A", "B", "", "○")
    assert b.points[-1] == (end + 1, 51.0)
    assert (end + 1, 51.0) not in a.points
    [first] = rates_over_time([], ticks, "a")
    assert [y for _, y in first.points] == [99.0, 51.0]
    assert rates_over_time([]) == []


def test_warm_ups_and_failures_are_in_no_plot() -> None:
    runs = [scene.run(0, warmup=True), scene.run(1, outcome="failed")]
    assert rates_over_time(runs) == []
    assert first_by_length(runs) == []


def test_a_gauge_without_a_source_has_no_words() -> None:
    found = {gauge.label: gauge.words for gauge in gauges(scene.samples())}
    assert found == {"CPU": "72 %", "Memory": "339 MB", "Power": "", "Temp": "53.9 °C", "NPU": ""}
    assert gauges(()) == []


def test_figures_and_the_clocks_difference() -> None:
    assert [figure(rate) for rate in (None, 9.96, 99.949, 99.95, 1234.5)] == [
        "–", "10.0", "99.9", "100", "1,234",
    ]  # fmt: skip
    run = scene.run(1)
    assert gap_words(run) == "-0.2 %"
    assert gap_words(replace(run, engine=replace(run.engine, decode_tps=0.0))) == "–"


def test_the_sample_at_the_end_does_not_make_the_processor_immeasurable() -> None:
    """It comes right after another one, when the share of so short a time is not known."""
    samples = [Sample(0.0, 50.0, 300.0), Sample(0.5, 90.0, 310.0), Sample(0.6, None, 320.0)]
    words = {gauge.label: gauge.words for gauge in gauges(samples)}
    assert (words["CPU"], words["Memory"], words["Power"]) == ("90 %", "320 MB", "")
    gone = [Sample(at, None, 300.0) for at in range(4)]
    assert {gauge.label: gauge.words for gauge in gauges([samples[0], *gone])}["CPU"] == ""
