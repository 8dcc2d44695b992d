"""How a bench goes, with sides that play a part: order, failures, sleep, and every way to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from npurun_tui.bench.events import Ended, Resting, RunBegan, RunEnded, Ticked
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.records import Energy, Session
from npurun_tui.bench.runner import Bench
from npurun_tui.bench.target import Measured, Progress, Question
from npurun_tui.bench.watching import Watch
from npurun_tui.errors import EngineCrashed, NetworkUnavailable, UsageError
from tests.bench.playing import MACHINE, Heard, Hook, Played, PlayedMeter, Wall

CRASH = EngineCrashed("The engine process ended: killed.")
TWO = Plan(prompts=("joke", "number"), repeats=2, warmups=0, loads=False)


async def bench(plan: Plan, *targets: Played, heard: Heard | None = None) -> Session:
    return await Bench(plan, targets, machine=MACHINE).run(heard or Heard())


def two_sides() -> tuple[Played, Played]:
    """Two models of one engine: only one is loaded at a time."""
    first, second = Played("a"), Played("b")
    second.stage, second.log = first.stage, first.log
    return first, second


# --- the order --------------------------------------------------------------------------------


async def test_two_sides_take_turns_repeat_by_repeat() -> None:
    first, second = two_sides()
    session = await bench(TWO, first, second)
    assert "".join(first.log) == "+aaa-a+bbb-b" * 2
    assert session.complete
    assert [(run.side, run.repeat, run.prompt) for run in session.runs] == [
        (side, repeat, prompt)
        for repeat in (0, 1)
        for side in "ab"
        for prompt in ("joke", "number")
    ]


async def test_each_switch_of_models_is_a_load_with_warm_ups_after_it() -> None:
    first, second = two_sides()
    session = await bench(Plan(prompts=("joke",), repeats=2, warmups=2), first, second)
    assert [(load.side, load.cold) for load in session.loads] == [
        ("a", True),
        ("a", False),
        ("b", True),
        ("b", False),
        ("a", False),
        ("b", False),
    ]
    assert [run.warmup for run in session.runs] == [True, True, False] * 4
    assert [len(session.counted(key)) for key in "ab"] == [2, 2]


async def test_a_model_that_stays_is_warmed_up_once() -> None:
    target = Played()
    session = await bench(Plan(prompts=("joke",), repeats=3), target)
    assert [(load.cold) for load in session.loads] == [True, False]
    assert [run.warmup for run in session.runs] == [True, False, False, False]


async def test_what_nobody_loads_has_no_loads_and_is_warmed_up_all_the_same() -> None:
    session = await bench(Plan(prompts=("joke",), repeats=2), Played(loads=False))
    assert session.loads == ()
    assert [run.warmup for run in session.runs] == [True, False, False]


async def test_a_window_has_all_its_repeats_before_the_next_is_loaded() -> None:
    plan = Plan(prompts=("joke",), contexts=(256, 512), repeats=2, warmups=0, loads=False)
    session = await bench(plan, Played())
    assert [(run.context, run.repeat) for run in session.runs] == [
        (256, 0),
        (256, 1),
        (512, 0),
        (512, 1),
    ]
    assert len(session.loads) == 2


async def test_each_prompt_is_asked_with_each_limit() -> None:
    plan = Plan(prompts=("joke", "number"), outputs=(8, 16), repeats=1, warmups=0)
    session = await bench(plan, Played())
    assert [(run.prompt, run.max_tokens) for run in session.runs] == [
        ("joke", 8),
        ("number", 8),
        ("joke", 16),
        ("number", 16),
    ]


async def test_a_listener_hears_how_far_it_is() -> None:
    heard = Heard()
    await bench(Plan(prompts=("joke", "number"), repeats=2), Played(), heard=heard)
    began = [event for event in heard.events if isinstance(event, RunBegan)]
    assert [(event.done, event.of) for event in began] == [(0, 4), (0, 4), (1, 4), (2, 4), (3, 4)]
    assert heard.kinds[-1] == "Ended"
    assert heard.kinds.count("RunEnded") == 5


async def test_a_listener_that_fails_costs_nothing() -> None:
    def fail(_event: object) -> None:
        raise ZeroDivisionError

    session = await Bench(TWO, [Played()], machine=MACHINE).run(fail)
    assert session.complete
    assert len(session.runs) == 4


# --- what is asked ----------------------------------------------------------------------------


async def test_a_sweep_leaves_out_what_does_not_fit_and_says_so() -> None:
    plan = Plan(lengths=(32, 400, 0, 9000), outputs=(64, 256), repeats=1, warmups=0)
    session = await bench(plan, Played(window=512))
    assert [(run.prompt, run.max_tokens, run.prompt_tokens) for run in session.runs] == [
        ("32 tokens", 64, 32),
        ("400 tokens", 64, 400),
        ("full window", 64, 512 - 64),
        ("32 tokens", 256, 32),
        ("full window", 256, 512 - 256),
    ]
    assert session.complete
    assert [note.partition(" (")[0] for note in session.notes] == [
        "Left out: 9000 tokens",
        "Left out: 400 tokens",
        "Left out: 9000 tokens",
    ]


async def test_both_sides_of_a_sweep_are_asked_the_same_text() -> None:
    first, second = two_sides()
    second.window = 256
    await bench(Plan(lengths=(100, 0), outputs=(16,), repeats=1, warmups=0), first, second)
    assert [q.messages for q in first.questions[:1]] == [q.messages for q in second.questions]


async def test_a_prompt_that_does_not_fit_is_left_out() -> None:
    plan = Plan(prompts=("joke", "word " * 600), repeats=1, warmups=0)
    session = await bench(plan, Played())
    assert [run.prompt for run in session.runs] == ["joke"]
    assert "does not fit the window of 512 tokens" in session.notes[0]


@pytest.mark.parametrize("duration", [0.0, 60.0])
async def test_where_nothing_fits_it_is_over_at_once(duration: float) -> None:
    session = await bench(Plan(lengths=(9000,), duration_s=duration), Played())
    assert (session.complete, session.reason) == (False, "none of the prompts could be asked")


async def test_a_window_in_which_nothing_fits_does_not_end_it_for_the_others() -> None:
    plan = Plan(lengths=(300,), outputs=(8,), contexts=(256, 512), repeats=2, warmups=0)
    played = Played()
    session = await bench(plan, played)
    assert session.complete, session.reason
    assert [run.context for run in session.runs] == [512, 512]
    assert "does not fit the window of 256 tokens" in session.notes[0]
    assert [load.context for load in session.loads] == [256, 256, 512]


async def test_a_conversation_is_asked_with_and_without_its_cache_in_the_same_words() -> None:
    target = Played(text="an answer")
    session = await bench(Plan(turns=3, repeats=1, warmups=0), target)
    assert [(run.turn, run.reuse) for run in session.runs] == [
        (1, True),
        (2, True),
        (3, True),
        (1, False),
        (2, False),
        (3, False),
    ]
    questions = target.questions
    assert [q.keep for q in questions] == [False, True, True, False, False, False]
    assert [q.messages for q in questions[:3]] == [q.messages for q in questions[3:]]
    assert [m.role for m in questions[2].messages] == ["user", "assistant"] * 2 + ["user"]
    assert questions[2].messages[1].content == "an answer"


async def test_a_conversation_ends_where_the_window_does() -> None:
    target = Played(window=400, text="word " * 100)
    session = await bench(Plan(turns=9, outputs=(32,), repeats=1, warmups=0), target)
    turns = [run.turn for run in session.runs if run.reuse]
    assert turns == list(range(1, len(turns) + 1))
    assert 1 < len(turns) < 9
    assert [run.turn for run in session.runs if not run.reuse] == turns
    assert session.complete
    assert f"ended before turn {len(turns) + 1}" in session.notes[0]


# --- failures ---------------------------------------------------------------------------------


async def test_a_run_that_fails_is_a_row_and_the_bench_goes_on() -> None:
    heard = Heard()
    session = await bench(TWO, Played(faults={1: CRASH}), heard=heard)
    assert [run.outcome for run in session.runs] == ["length", "failed", "length", "length"]
    assert session.runs[1].fault == str(CRASH)
    assert len(session.counted()) == 3
    assert session.complete


async def test_after_a_failure_the_side_is_taken_up_anew_and_warmed_up_again() -> None:
    target = Played(faults={1: CRASH})
    plan = Plan(prompts=("joke", "number"), repeats=1, warmups=1, loads=False)
    await bench(plan, target)
    assert "".join(target.log) == "+aaa-a" + "+aaa-a"[:2] + "a" * 2 + "-a"


async def test_three_failures_in_a_row_end_it_with_the_reason() -> None:
    session = await bench(TWO, Played(faults=dict.fromkeys((1, 2, 3), CRASH)))
    assert [run.outcome for run in session.runs] == ["length", "failed", "failed", "failed"]
    assert not session.complete
    assert "3 runs" in session.reason
    assert str(CRASH) in session.reason


async def test_failures_with_answers_between_them_do_not_end_it() -> None:
    session = await bench(
        Plan(prompts=("joke",), repeats=8, warmups=0),
        Played(faults=dict.fromkeys((0, 1, 3, 4, 6, 7), CRASH)),
    )
    assert session.complete
    assert len(session.runs) == 8


async def test_one_sides_failures_are_not_counted_with_the_others() -> None:
    first, second = two_sides()
    first.faults = second.faults = dict.fromkeys((0, 1), CRASH)
    session = await bench(TWO, first, second)
    assert session.complete
    assert [run.outcome for run in session.runs].count("failed") == 4


async def test_an_endpoint_that_dies_between_two_blocks_leaves_what_there_is() -> None:
    first, second = two_sides()
    gone = NetworkUnavailable("Nobody answers at 127.0.0.1:9.")
    second.hooks = {1: lambda _question: setattr(second, "absent", gone)}
    session = await bench(TWO, first, second)
    assert not session.complete
    assert session.reason == str(gone)
    assert len(session.counted("a")) == 4
    assert len(session.counted("b")) == 2


async def test_a_window_that_a_side_lacks_is_the_reason() -> None:
    session = await bench(TWO, Played(absent=UsageError("There is no such window.")))
    assert (session.complete, session.reason) == (False, "There is no such window.")


async def test_a_model_that_answers_nothing_is_asked_to_the_end() -> None:
    session = await bench(TWO, Played(outcome="empty", text=""))
    assert session.complete
    assert [run.outcome for run in session.runs] == ["empty"] * 4
    assert session.counted() == []


async def test_what_this_program_does_wrong_loses_no_run() -> None:
    def fail(_question: object) -> None:
        raise ZeroDivisionError

    heard = Heard()
    with pytest.raises(ZeroDivisionError):
        await bench(TWO, Played(hooks={2: fail}), heard=heard)
    ended = heard.events[-1]
    assert isinstance(ended, Ended)
    assert len(ended.session.runs) == 2
    assert "fault of this program" in ended.session.reason


# --- sleep ------------------------------------------------------------------------------------


async def slept(hooks: dict[int, Callable[[Wall], None]]) -> tuple[Session, Played]:
    """A bench whose machine sleeps as `hooks` say, and its side."""
    wall = Wall()

    def act(hook: Callable[[Wall], None]) -> Hook:
        return lambda _question: hook(wall)

    target = Played(hooks={number: act(hook) for number, hook in hooks.items()})
    session = await Bench(TWO, [target], machine=MACHINE, wall=wall).run(Heard())
    return session, target


def sleep(wall: Wall) -> None:
    wall.ahead += 3600


async def test_a_run_that_the_machine_slept_through_is_asked_again() -> None:
    session, target = await slept({1: sleep})
    assert session.complete
    assert [run.outcome for run in session.runs] == ["length", "aborted"] + ["length"] * 3
    assert "the machine slept" in session.runs[1].fault
    assert session.runs[1].prompt == session.runs[2].prompt == "number"
    assert target.questions[1] == target.questions[2]
    assert "slept" in session.notes[0]
    assert len(session.counted()) == 4


async def test_it_is_asked_again_once() -> None:
    session, _ = await slept({1: sleep, 2: sleep})
    outcomes = ["length", "aborted", "aborted", "length", "length"]
    assert [run.outcome for run in session.runs] == outcomes
    assert session.complete


async def test_a_small_correction_of_the_clock_is_no_sleep() -> None:
    def correct(wall: Wall) -> None:
        wall.ahead += 2

    session, _ = await slept({0: correct, 1: correct})
    assert all(run.counts for run in session.runs)


async def test_a_program_that_stood_still_measured_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, late = time.monotonic, 0.0
    monkeypatch.setattr("npurun_tui.bench.watching.time.monotonic", lambda: real() + late)

    def stand(_wall: Wall) -> None:
        nonlocal late
        late += 30  # as on Windows, where both clocks go on in a sleep

    wall = Wall()
    target = Played(hooks={0: lambda _question: stand(wall)})
    session = await Bench(TWO, [target], machine=MACHINE, wall=wall).run(Heard())
    assert "stood still" in session.runs[0].fault
    assert len(session.counted()) == 4


# --- every way to end -------------------------------------------------------------------------


async def test_stop_ends_the_answer_in_flight_and_keeps_what_there_is() -> None:
    target, heard = Played(hang=2), Heard()
    going = Bench(TWO, [target], machine=MACHINE)
    task = asyncio.create_task(going.run(heard))
    await target.hanging.wait()
    going.stop()
    session = await task
    assert (session.complete, session.reason) == (False, "stopped")
    assert [run.outcome for run in session.runs] == ["length", "length", "aborted"]
    assert session.runs[-1].completion_tokens == 3
    assert session.runs[-1].host.ttft_ms is not None
    assert target.log[-1] == "-a"
    assert heard.kinds[-1] == "Ended"


async def test_stop_before_it_begins() -> None:
    going = Bench(TWO, [Played(hang=0)], machine=MACHINE)
    going.stop()
    session = await going.run(Heard())
    assert (session.reason, session.runs) == ("stopped", ())


async def test_a_cancelled_bench_tells_its_end_first() -> None:
    target, heard = Played(hang=1), Heard()
    task = asyncio.create_task(Bench(TWO, [target], machine=MACHINE).run(heard))
    await target.hanging.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    ended = heard.events[-1]
    assert isinstance(ended, Ended)
    assert ended.session.reason == "cancelled"
    assert [run.outcome for run in ended.session.runs] == ["length", "aborted"]
    assert target.log[-1] == "-a"
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, "a task was left behind"


class Stubborn(Played):
    """Takes its time to end an answer, until it is cancelled again."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_to_end = asyncio.Event()

    async def measure(self, question: Question, progress: Progress) -> Measured:
        self.hanging.set()
        never: asyncio.Future[Measured] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.shield(never)
        except asyncio.CancelledError:
            self.asked_to_end.set()
        return await never


async def test_cancelled_twice_it_hurries() -> None:
    target, heard = Stubborn(), Heard()
    task = asyncio.create_task(Bench(TWO, [target], machine=MACHINE).run(heard))
    await target.hanging.wait()
    task.cancel()
    await target.asked_to_end.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard.kinds[-1] == "Ended"


async def test_a_stress_run_goes_on_until_the_time_is_up() -> None:
    def answer(_question: object) -> None:
        time.sleep(0.01)

    target = Played(hooks=dict.fromkeys(range(1000), answer))
    plan = Plan(prompts=("joke",), repeats=1, warmups=1, duration_s=0.3)
    heard = Heard()
    session = await bench(plan, target, heard=heard)
    assert session.complete
    counted = session.counted()
    assert len(counted) > 3
    assert [run.repeat for run in counted] == list(range(len(counted)))
    assert counted[-1].began_s - counted[0].began_s < 0.3 + 0.1
    assert session.seconds >= 0.3
    assert {event.of for event in heard.events if isinstance(event, RunBegan)} == {0}


async def test_a_stress_run_asks_both_sides_however_short_it_is() -> None:
    first, second = two_sides()
    plan = Plan(prompts=("joke", "number"), warmups=0, loads=False, duration_s=1e-9)
    session = await bench(plan, first, second)
    assert [run.side for run in session.runs] == ["a", "b"]
    assert session.complete


async def test_the_rate_of_a_tick_is_that_of_the_tokens_since_the_last() -> None:
    progress, ticks, enough = Progress(), list[Ticked](), asyncio.Event()
    states = [(1, 10.0), (1, 10.0), (6, 11.0), (26, 12.0)]

    def refresh() -> None:
        progress.asked, progress.first = 9.0, 10.0
        progress.tokens, progress.last = states[min(len(ticks), len(states) - 1)]

    def hear(tick: Ticked) -> None:
        ticks.append(tick)
        if len(ticks) == len(states):
            enough.set()

    progress.refresh = refresh
    watch = Watch(progress, hear, at=time.perf_counter, wall=time.time)
    await watch.over(enough.wait())
    assert [tick.tokens for tick in ticks[:4]] == [1, 1, 6, 26]
    assert [tick.decode_tps for tick in ticks[:4]] == [None, None, 5.0, 20.0]
    assert all(tick.ttft_ms == 1000.0 for tick in ticks)


# --- the machine meanwhile --------------------------------------------------------------------


async def test_energy_is_that_of_the_counted_runs_above_the_rest_before() -> None:
    meter, heard = PlayedMeter(), Heard()
    first, second = two_sides()
    first.faults = {1: CRASH}
    plan = Plan(prompts=("joke", "number"), repeats=1, warmups=1, loads=False, idle_s=0.05)
    session = await Bench(plan, [first, second], machine=MACHINE, meter=meter).run(heard)
    assert set(heard.kinds[:2]) == {"Sampled", "Resting"}
    assert [energy.side for energy in session.energy] == ["a", "b"]
    for side, idle, busy, tokens in meter.asked:
        counted = session.counted(side)
        assert busy == [(run.began_s, run.began_s + run.total_ms / 1000) for run in counted]
        assert tokens == 3 * len(counted)
        (rest,) = idle
        assert rest[1] - rest[0] == pytest.approx(0.05, abs=0.04)
    assert session.machine.power == "battery"
    assert session.samples[0].watts == 4.0
    assert session.notes[-1] == meter.notes[0]
    assert meter.stopped


async def test_of_another_machine_the_instruments_of_this_one_tell_nothing() -> None:
    plan = Plan(prompts=("joke",), repeats=1, warmups=0, loads=False, idle_s=0.05)
    meter, heard = PlayedMeter(), Heard()
    first, second = two_sides()
    second.near = False
    session = await Bench(plan, [first, second], machine=MACHINE, meter=meter).run(heard)
    assert [energy.side for energy in session.energy] == ["a"]
    meter = PlayedMeter()
    elsewhere = Bench(plan, [Played(near=False)], machine=MACHINE, meter=meter)
    session = await elsewhere.run(Heard())
    assert (session.energy, session.samples) == ((), ())
    assert "another machine" in session.energy_note
    assert not meter.stopped, "it was never begun"


async def test_without_a_source_of_power_nobody_rests_for_nothing() -> None:
    meter, heard = PlayedMeter(note="Not measurable here: nothing tells power."), Heard()
    session = await Bench(TWO, [Played()], machine=MACHINE, meter=meter).run(heard)
    assert not [event for event in heard.events if isinstance(event, Resting)]
    assert session.energy == ()
    assert session.energy_note == meter.note
    assert [event for event in heard.events if isinstance(event, RunEnded)]


async def test_a_meter_that_fails_loses_no_run() -> None:
    class Failing(PlayedMeter):
        def energy(self, *_args: object) -> Energy | None:
            raise ZeroDivisionError

    heard = Heard()
    plan = Plan(prompts=("joke",), repeats=1, warmups=0, idle_s=0.01)
    with pytest.raises(ZeroDivisionError):
        await Bench(plan, [Played()], machine=MACHINE, meter=Failing()).run(heard)
    ended = heard.events[-1]
    assert isinstance(ended, Ended)
    assert len(ended.session.runs) == 1
    assert ended.session.energy == ()


def test_a_bench_has_one_side_or_two() -> None:
    for targets in ([], [Played("a"), Played("a")], [Played("a"), Played("b"), Played("c")]):
        with pytest.raises(UsageError):
            Bench(TWO, targets, machine=MACHINE)
