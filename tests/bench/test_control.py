"""The bench that belongs to no screen: one at a time, watched, kept, and ended with the workbench."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from npurun_tui.bench.control import BenchControl
from npurun_tui.bench.events import Ended, Noted, RunBegan, Sampled, Ticked, Waiting
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.records import Sample, Session
from npurun_tui.bench.state import SHOWN, BenchState
from npurun_tui.errors import BenchBusy, StorageError, UsageError
from tests.bench.playing import MACHINE, Heard, Played

PLAN = Plan(prompts=("joke", "number"), repeats=2)


class Keeper:
    """Keeps sessions as the history does: in whatever thread it is called."""

    def __init__(self, fault: StorageError | None = None) -> None:
        self.kept: list[Session] = []
        self.threads: list[str] = []
        self._fault = fault

    def __call__(self, session: Session) -> None:
        self.threads.append(threading.current_thread().name)
        if self._fault is not None:
            raise self._fault
        self.kept.append(session)


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
async def control(keeper: Keeper) -> AsyncIterator[BenchControl]:
    control = BenchControl(keeper)
    yield control
    await control.aclose()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not [task for task in left if "bench" in task.get_name()], "a task was left behind"


async def test_a_bench_is_watched_and_kept(control: BenchControl, keeper: Keeper) -> None:
    heard = Heard()
    control.subscribe(heard)
    control.start(PLAN, [Played()], MACHINE)
    assert control.state.phase == "starting"
    assert control.state.plan == PLAN
    session = await control.ended()
    state = control.state
    assert session is not None
    assert state.session is session is keeper.kept[0]
    assert keeper.threads != [threading.current_thread().name]
    assert not state.running
    assert tuple(state.runs) == session.runs
    assert tuple(state.loads) == session.loads
    assert (state.done, state.of) == (4, 4)
    assert (state.phase, state.current, state.waiting) == ("done", None, "")
    assert heard.kinds[-1] == "Ended"


async def test_who_hears_of_the_end_finds_the_session_kept(
    control: BenchControl, keeper: Keeper
) -> None:
    seen: list[int] = []

    def hear(event: object) -> None:
        if isinstance(event, Ended):
            seen.append(len(keeper.kept))

    control.subscribe(hear)
    control.start(PLAN, [Played()], MACHINE)
    await control.ended()
    assert seen == [1]


async def test_there_is_one_at_a_time(control: BenchControl) -> None:
    target = Played(hang=1)
    control.start(PLAN, [target], MACHINE)
    await target.hanging.wait()
    with pytest.raises(BenchBusy):
        control.start(PLAN, [Played()], MACHINE)
    assert control.state.current is not None
    control.stop()
    session = await control.ended()
    assert session is not None
    assert session.reason == "stopped"
    assert control.state.phase == "incomplete: stopped"
    control.start(PLAN, [Played()], MACHINE)
    assert control.state.runs == [], "each bench begins with a state of its own"
    session = await control.ended()
    assert session is not None
    assert session.complete


async def test_a_plan_that_cannot_be_meant_starts_nothing(control: BenchControl) -> None:
    with pytest.raises(UsageError):
        control.start(Plan(repeats=0), [Played()], MACHINE)
    assert not control.state.running
    assert await control.ended() is None


async def test_closing_keeps_what_there_is(control: BenchControl, keeper: Keeper) -> None:
    target = Played(hang=3)
    control.start(PLAN, [target], MACHINE)
    await target.hanging.wait()
    await control.aclose()
    (session,) = keeper.kept
    assert session.reason == "stopped"
    assert len(session.runs) == 4
    assert not control.state.running


async def test_closing_while_a_session_is_being_kept_waits_for_it() -> None:
    begun, go_on, kept = threading.Event(), threading.Event(), list[Session]()

    def keep(session: Session) -> None:
        begun.set()
        go_on.wait(30)
        kept.append(session)

    control = BenchControl(keep)
    control.start(PLAN, [Played()], MACHINE)
    await asyncio.to_thread(begun.wait, 30)
    closing = asyncio.create_task(control.aclose())
    await asyncio.wait({closing}, timeout=0.05)
    assert not closing.done()
    go_on.set()
    await closing
    assert kept == [control.state.session]


async def test_a_bench_that_has_asked_nothing_is_not_kept(
    control: BenchControl, keeper: Keeper
) -> None:
    heard = Heard()
    control.subscribe(heard)
    control.start(PLAN, [Played()], MACHINE)
    await control.aclose()
    assert keeper.kept == []
    assert not control.state.running
    assert heard.kinds[-1] == "Ended"


async def test_a_bench_whose_task_is_cancelled_is_kept_all_the_same(
    control: BenchControl, keeper: Keeper
) -> None:
    target = Played(hang=2)
    control.start(PLAN, [target], MACHINE)
    await target.hanging.wait()
    assert control._task is not None
    control._task.cancel()  # as `asyncio.run` does at its end
    await control.ended()
    assert keeper.kept[0].reason == "cancelled"
    assert not control.state.running


async def test_a_session_that_cannot_be_kept_is_still_there() -> None:
    control, heard = BenchControl(Keeper(StorageError("The disk is full."))), Heard()
    control.subscribe(heard)
    control.start(PLAN, [Played()], MACHINE)
    session = await control.ended()
    assert session is not None
    assert session.complete
    assert control.state.fault == "The disk is full."
    assert heard.kinds[-2:] == ["Noted", "Ended"]


async def test_whatever_keeping_it_does_the_end_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_session: Session) -> None:
        raise ZeroDivisionError

    control, heard = BenchControl(fail), Heard()
    control.subscribe(heard)
    control.start(PLAN, [Played()], MACHINE)
    session = await control.ended()
    assert session is not None
    assert heard.kinds[-1] == "Ended"
    assert "ZeroDivisionError" in caplog.text


async def test_who_has_unsubscribed_hears_nothing(control: BenchControl) -> None:
    heard = Heard()
    leave = control.subscribe(heard)
    leave()
    leave()
    control.start(PLAN, [Played()], MACHINE)
    await control.ended()
    assert heard.events == []


async def test_a_bench_with_a_fault_of_ours_is_kept_too(
    control: BenchControl, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_question: object) -> None:
        raise ZeroDivisionError

    control.start(PLAN, [Played(hooks={2: fail})], MACHINE)
    session = await control.ended()
    assert session is not None
    assert not session.complete
    assert keeper.kept == [session]
    assert "ZeroDivisionError" in caplog.text


def test_the_state_says_who_holds_the_permit() -> None:
    state = BenchState()
    state.take(Waiting(1, "chat"))
    assert state.waiting == "chat"
    assert state.phase == "waiting: chat holds the permit"
    state.take(Sampled(Sample(0.0)))
    state.take(Noted("It is warm."))
    assert state.waiting == "chat", "what happens meanwhile does not end the wait"
    state.take(Waiting(3, ""))
    assert state.phase == "waiting: somebody else holds the permit, 2 others wait before us"


def test_the_answer_ends_the_wait_in_an_endpoints_line() -> None:
    state = BenchState()
    state.take(RunBegan("a", "joke", 0, 0, warmup=False, turn=0, done=0, of=1))
    state.take(Waiting(1, "others at there:80"))
    state.take(Ticked(0.25, 0, None, None))
    assert state.waiting == "others at there:80"
    state.take(Ticked(0.5, 3, 400.0, None))
    assert (state.waiting, state.phase) == ("", "joke, repeat 1")


def test_the_next_question_does_not_begin_with_the_last_one_s_figures() -> None:
    state = BenchState()
    began = RunBegan("a", "joke", 0, 0, warmup=False, turn=0, done=0, of=2)
    state.take(began)
    last = Ticked(9.0, 128, 400.0, 30.0)
    state.take(last)
    assert state.tick == last
    state.take(began)
    assert state.tick is None


def test_a_long_run_does_not_fill_the_memory() -> None:
    state = BenchState()
    for number in range(SHOWN + 10):
        state.take(Ticked(number, number, None, None))
    assert len(state.ticks) == SHOWN
    assert state.ticks[0].tokens == 10
