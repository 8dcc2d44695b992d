"""The bridge between two event loops: order, errors, and who ends what."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from npurun_tui.server.bridge import Bridge, Emit
from npurun_tui.server.faults import EngineFault, Unready


@pytest.fixture(params=["two loops", "one loop"])
async def there(
    request: pytest.FixtureRequest, engine_loop: asyncio.AbstractEventLoop
) -> asyncio.AbstractEventLoop:
    """The engine's loop: another thread's, or the very one that the test runs on."""
    return engine_loop if request.param == "two loops" else asyncio.get_running_loop()


async def read_into(seen: list[int], batches: AsyncIterator[list[int]]) -> None:
    async for batch in batches:
        seen += batch


async def test_events_come_in_order_and_on_this_loop(there: asyncio.AbstractEventLoop) -> None:
    async def work(emit: Emit[int]) -> None:
        assert asyncio.get_running_loop() is there
        for number in range(2000):
            emit(number)
            if number % 100 == 0:
                await asyncio.sleep(0)

    here, seen = threading.get_ident(), list[int]()
    async for batch in Bridge(there).stream(work):
        assert threading.get_ident() == here
        seen += batch
    assert seen == list(range(2000))


async def test_an_error_comes_after_what_came_before_it(there: asyncio.AbstractEventLoop) -> None:
    async def work(emit: Emit[int]) -> None:
        emit(1)
        raise EngineFault("It broke.")

    seen: list[int] = []
    with pytest.raises(EngineFault, match="It broke"):
        await read_into(seen, Bridge(there).stream(work))
    assert seen == [1]


async def test_closing_cancels_the_work_and_waits_for_its_end(
    there: asyncio.AbstractEventLoop,
) -> None:
    ended: list[str] = []

    async def work(emit: Emit[int]) -> None:
        emit(1)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            ended.append("tidied up")

    async with aclosing(Bridge(there).stream(work)) as batches:
        await anext(batches)
    assert ended == ["tidied up"]


async def test_a_cancelled_reader_cancels_the_work(there: asyncio.AbstractEventLoop) -> None:
    ended, began = threading.Event(), asyncio.Event()

    async def work(emit: Emit[int]) -> None:
        emit(1)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def read() -> None:
        async for _ in Bridge(there).stream(work):
            began.set()

    task = asyncio.create_task(read())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_work_that_is_cancelled_over_there_ends_the_reader(
    there: asyncio.AbstractEventLoop,
) -> None:
    async def work(emit: Emit[int]) -> None:
        emit(1)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    seen: list[int] = []
    with pytest.raises(Unready):
        await read_into(seen, Bridge(there).stream(work))
    assert seen == [1]


async def test_who_does_not_read_does_not_fill_the_memory(
    there: asyncio.AbstractEventLoop,
) -> None:
    emitted = 0

    async def work(emit: Emit[int]) -> None:
        nonlocal emitted
        while True:
            emit(emitted)
            emitted += 1

    with pytest.raises(EngineFault, match="does not read"):
        await read_into([], Bridge(there, bound=100).stream(work))
    assert emitted <= 200


async def test_calls_give_results_and_errors(there: asyncio.AbstractEventLoop) -> None:
    bridge = Bridge(there)

    async def right() -> int:
        return 7

    async def wrong() -> int:
        raise EngineFault("It broke.")

    assert await bridge.call(right) == 7
    with pytest.raises(EngineFault):
        await bridge.call(wrong)


async def test_aclose_ends_everything_that_runs(there: asyncio.AbstractEventLoop) -> None:
    bridge, running = Bridge(there), asyncio.Event()

    async def work(emit: Emit[int]) -> None:
        emit(1)
        await asyncio.Event().wait()

    async def read() -> None:
        async for _ in bridge.stream(work):
            running.set()

    task = asyncio.create_task(read())
    await running.wait()
    idle = bridge.stream(work)
    await anext(idle)
    await bridge.aclose()
    with pytest.raises(Unready):
        await task
    with pytest.raises(Unready):
        await anext(idle)


async def test_an_engine_loop_that_has_ended_is_said() -> None:
    gone = asyncio.new_event_loop()
    gone.close()

    async def work() -> int:
        return 1

    coroutine_was_made = False

    async def never(emit: Emit[int]) -> None:
        nonlocal coroutine_was_made
        coroutine_was_made = True

    with pytest.raises(Unready):
        await Bridge(gone).call(work)
    with pytest.raises(Unready):
        await read_into([], Bridge(gone).stream(never))
    assert not coroutine_was_made


async def test_events_that_may_wait_share_a_hop(there: asyncio.AbstractEventLoop) -> None:
    async def work(emit: Emit[int]) -> None:
        for number in range(12):
            emit(number)
            await asyncio.sleep(0)
        await asyncio.Event().wait()

    batches: list[list[int]] = []
    async with aclosing(Bridge(there).stream(work, lambda _number: True)) as stream:
        async for batch in stream:
            batches.append(batch)
            if batch[-1] == 11:  # alone at the end: a timer tells it, for no event follows
                break
    assert [number for batch in batches for number in batch] == list(range(12))
    assert len(batches) < 8


async def test_what_waits_comes_before_the_end(there: asyncio.AbstractEventLoop) -> None:
    async def work(emit: Emit[int]) -> None:
        emit(1)
        emit(2)

    seen: list[int] = []
    await read_into(seen, Bridge(there).stream(work, lambda _number: True))
    assert seen == [1, 2]
