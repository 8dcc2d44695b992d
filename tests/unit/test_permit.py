"""The permit: fair, bounded, cancellable, observable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from npurun_tui.engine.permit import PermitLine
from npurun_tui.errors import QueueFull


async def _turns() -> None:
    """Let everything that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


class Caller:
    """Takes the permit, says so, and keeps it until told to let go."""

    def __init__(self, line: PermitLine, who: str, log: list[str]) -> None:
        self.ahead: list[int] = []
        self.let_go = asyncio.Event()
        self._log = log
        self.task = asyncio.create_task(self._run(line, who))

    async def _run(self, line: PermitLine, who: str) -> None:
        async with line.hold(who, self.ahead.append):
            self._log.append(who)
            await self.let_go.wait()


async def test_it_is_passed_on_in_the_order_of_asking() -> None:
    line, log = PermitLine(8), list[str]()
    callers = [Caller(line, name, log) for name in "abcd"]
    await _turns()
    assert (line.holder, line.waiting) == ("a", ("b", "c", "d"))
    for caller in callers:
        caller.let_go.set()
        await caller.task
    assert log == ["a", "b", "c", "d"]
    assert (line.holder, line.waiting) == (None, ())


async def test_only_one_holds_it_at_a_time() -> None:
    line = PermitLine(100)
    inside, most = 0, 0

    async def use(number: int) -> None:
        nonlocal inside, most
        async with line.hold(f"caller {number}"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(use(n) for n in range(50)))
    assert most == 1
    assert line.holder is None


async def test_a_waiter_sees_its_place_come_nearer() -> None:
    line, log = PermitLine(8), list[str]()
    first, second, third = (Caller(line, name, log) for name in "abc")
    await _turns()
    first.let_go.set()
    await _turns()
    assert first.ahead == []
    assert second.ahead[0] == 1
    assert third.ahead[0] == 2
    assert third.ahead[-1] == 1
    for caller in (second, third):
        caller.let_go.set()
    await asyncio.gather(second.task, third.task)


async def test_a_full_line_refuses_and_says_who_holds_it() -> None:
    line, log = PermitLine(1), list[str]()
    callers = [Caller(line, "the bench", log), Caller(line, "b", log)]
    await _turns()
    with pytest.raises(QueueFull, match="the bench holds the permit and 1 wait") as full:
        async with line.hold("c"):
            pytest.fail("must not get in")
    assert full.value.waiting == 1
    for caller in callers:
        caller.let_go.set()
    await asyncio.gather(*(caller.task for caller in callers))


async def test_a_line_of_length_zero_refuses_only_while_held() -> None:
    line, log = PermitLine(0), list[str]()
    caller = Caller(line, "a", log)
    await _turns()
    with pytest.raises(QueueFull):
        async with line.hold("b"):
            pytest.fail("must not get in")
    caller.let_go.set()
    await caller.task
    async with line.hold("b"):
        assert line.holder == "b"


async def test_leaving_the_line_keeps_the_others_in_order() -> None:
    line, log = PermitLine(8), list[str]()
    callers = [Caller(line, name, log) for name in "abcd"]
    await _turns()
    callers[1].task.cancel()
    await _turns()
    assert line.waiting == ("c", "d")
    for caller in (callers[0], callers[2], callers[3]):
        caller.let_go.set()
        await caller.task
    assert log == ["a", "c", "d"]


async def test_a_permit_handed_to_somebody_just_cancelled_is_passed_on() -> None:
    line, log = PermitLine(8), list[str]()
    a, b, c = (Caller(line, name, log) for name in "abc")
    await _turns()
    a.let_go.set()
    await a.task
    # b has been given the permit but has not run since: the cancellation comes in between.
    b.task.cancel()
    await _turns()
    assert log[-1] == "c"
    assert line.holder == "c"
    c.let_go.set()
    await c.task
    assert line.holder is None


async def test_cancelling_all_waiters_at_once_leaves_a_usable_permit() -> None:
    line, log = PermitLine(50), list[str]()
    callers = [Caller(line, f"{n}", log) for n in range(20)]
    await _turns()
    for caller in callers:
        caller.task.cancel()
    await asyncio.gather(*(caller.task for caller in callers), return_exceptions=True)
    assert (line.holder, line.waiting) == (None, ())
    async with line.hold("after"):
        assert line.holder == "after"


async def test_observers_hear_every_change() -> None:
    seen: list[tuple[str | None, int]] = []
    line = PermitLine(8, lambda: seen.append((line.holder, len(line.waiting))))
    log: list[str] = []
    a, b = Caller(line, "a", log), Caller(line, "b", log)
    await _turns()
    for caller in (a, b):
        caller.let_go.set()
        await caller.task
    assert seen == [("a", 0), ("a", 1), ("b", 0), (None, 0)]


async def test_a_listener_that_fails_loses_no_permit(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    line = PermitLine(8, fail)
    async with line.hold("a"):
        waiter = asyncio.create_task(_hold(line, "b", fail))
        await _turns()
        assert line.waiting == ("b",)
    await waiter
    assert line.holder is None
    assert "ZeroDivisionError" in caplog.text


async def _hold(line: PermitLine, who: str, on_wait: Callable[[int], None]) -> None:
    async with line.hold(who, on_wait):
        pass


async def test_who_waits_however_long_gets_into_a_full_line() -> None:
    line, log = PermitLine(0), list[str]()
    caller = Caller(line, "a", log)
    await _turns()

    async def wait() -> None:
        async with line.hold("restart", however_long=True):
            log.append("restart")

    task = asyncio.create_task(wait())
    await _turns()
    assert line.waiting == ("restart",)
    caller.let_go.set()
    await task
    assert log == ["a", "restart"]
