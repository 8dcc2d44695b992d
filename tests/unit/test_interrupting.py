"""Ctrl+C in a command: nicely, then at once."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import pytest

from npurun_tui.chat.model import ChatSettings
from npurun_tui.commands import run_remote
from npurun_tui.commands.interrupting import INTERRUPTED_STATUS, Interrupts
from npurun_tui.commands.run import RunRequest

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


async def test_an_answer_over_http_that_is_stopped_twice_ends_like_one_that_is_stopped_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        await writer.drain()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        request = RunRequest("Hello", ChatSettings(), json=True)
        work = run_remote._run(request, "m", f"http://127.0.0.1:{port}", "")
        assert await asyncio.create_task(work) == INTERRUPTED_STATUS
    assert json.loads(capsys.readouterr().out)["finish_reason"] == "aborted"
