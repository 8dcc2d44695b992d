"""Ctrl+C in a command: nicely, then at once."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from npurun_tui.commands.interrupting import Interrupts

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals to oneself")


async def test_it_ends_the_work_nicely_and_pressed_again_at_once() -> None:
    asked = asyncio.Event()
    before = signal.getsignal(signal.SIGINT)

    async def work() -> None:
        with Interrupts(signal.SIGTERM) as ctrl_c:
            ctrl_c.gently = asked.set
            signal.raise_signal(signal.SIGTERM)
            await asked.wait()
            assert ctrl_c.came
            signal.raise_signal(signal.SIGINT)
            await asyncio.get_running_loop().create_future()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) in (before, signal.default_int_handler)


async def test_where_there_is_no_nice_end_yet_the_work_is_cancelled() -> None:
    heard: list[bool] = []

    async def work() -> None:
        with Interrupts() as ctrl_c:
            signal.raise_signal(signal.SIGINT)
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                heard.append(ctrl_c.came)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())
    assert heard == [True]
