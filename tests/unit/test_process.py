"""The engine process seen from its parent, with real children that misbehave in every way."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from npurun_tui.engine.dialog import GenieError, Status
from npurun_tui.engine.process import HostProcess
from npurun_tui.errors import EngineCrashed

# Says hello, then runs BODY with `requests()` giving what the parent sends and `say` answering it.
CHILD = """
import json, os, sys, time
def say(**message):
    sys.stdout.write(json.dumps(message) + "\\n"); sys.stdout.flush()
def requests():
    for line in sys.stdin:
        yield json.loads(line)
say(hello=1)
{body}
"""

Start = Callable[[str], Awaitable[HostProcess]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    hosts: list[HostProcess] = []

    async def run(body: str) -> HostProcess:
        command = (sys.executable, "-c", CHILD.format(body=body))
        hosts.append(await HostProcess.start(tmp_path / "engine.log", command))
        return hosts[-1]

    yield run
    for host in hosts:
        await host.close()
        assert host.pid is not None
        assert not psutil.pid_exists(host.pid)


async def test_calls_are_answered_each_by_its_own_answer(start: Start) -> None:
    host = await start(
        "held = []\n"
        "for r in requests():\n"
        "    held.append(r)\n"
        "    if len(held) == 3:\n"
        "        for r in reversed(held): say(id=r['id'], ok=r['text'])\n"
    )
    answers = await asyncio.gather(*(host.call("echo", text=t) for t in "abc"))
    assert answers == ["a", "b", "c"]


async def test_tokens_and_progress_come_before_the_answer(start: Start) -> None:
    host = await start(
        "for r in requests():\n"
        "    say(id=r['id'], p=[5, 10]); say(id=r['id'], t=['hé', 1]); say(id=r['id'], ok=7)\n"
    )
    heard: list[object] = []
    _, answer = host.begin(
        "query",
        on_token=lambda text, code: heard.append((text, code)),
        on_progress=lambda done, total: heard.append((done, total)),
    )
    assert await answer == 7
    assert heard == [(5, 10), ("hé", 1)]


async def test_an_error_arrives_as_the_same_error(start: Start) -> None:
    error = {
        "kind": "GenieError",
        "message": "m",
        "mend": "",
        "status": -6,
        "call": "GenieDialog_query",
        "detail": "empty",
    }
    host = await start(f"for r in requests(): say(id=r['id'], error={error!r})")
    with pytest.raises(GenieError) as caught:
        await host.call("query")
    assert caught.value.status is Status.ERROR_QUERY_FAILED


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV"), (signal.SIGABRT, "SIGABRT")],
)
async def test_a_death_in_the_middle_is_told_in_words(
    start: Start, number: int, words: str
) -> None:
    host = await start(
        f"for r in requests():\n    say(id=r['id'], t=['half', 1])\n    os.kill(os.getpid(), {int(number)})\n"
    )
    heard: list[str] = []
    _, answer = host.begin("query", on_token=lambda text, _code: heard.append(text))
    with pytest.raises(EngineCrashed, match=words):
        await answer
    assert heard == ["half"]
    assert words in await host.exited
    with pytest.raises(EngineCrashed, match=words):
        await host.call("query")


async def test_a_child_that_says_nothing_is_ended(start: Start) -> None:
    host = await start("for r in requests(): time.sleep(60)")
    with pytest.raises(EngineCrashed, match=r"no sign of life for 200 ms \(query\)"):
        await host.call("query", silence=0.2)


async def test_progress_is_a_sign_of_life(start: Start) -> None:
    host = await start(
        "for r in requests():\n"
        "    for n in range(8):\n"
        "        time.sleep(0.1); say(id=r['id'], p=[n, 8])\n"
        "    say(id=r['id'], ok=None)\n"
    )
    assert await host.call("query", silence=0.6) is None


@pytest.mark.parametrize("rubbish", ["Loading model...", "[1]", '{"id": []}', '{"t": 1}', "\\xff"])
async def test_rubbish_on_the_pipe_ends_it(start: Start, rubbish: str) -> None:
    host = await start(f"for r in requests(): print({rubbish!r}, flush=True); time.sleep(60)")
    with pytest.raises(EngineCrashed, match="not a message"):
        await host.call("query")


async def test_an_answer_to_nothing_is_ignored(start: Start) -> None:
    host = await start("for r in requests(): say(id=999, ok=1); say(id=r['id'], ok=2)")
    assert await host.call("query") == 2


async def test_a_child_that_ends_before_hello(tmp_path: Path) -> None:
    with pytest.raises(EngineCrashed, match="exit code 3"):
        await HostProcess.start(tmp_path / "log", (sys.executable, "-c", "raise SystemExit(3)"))


async def test_a_child_that_ignores_the_end_of_its_pipe_is_ended_by_force(start: Start) -> None:
    host = await start("time.sleep(60)")
    async with asyncio.timeout(10):
        await host.close()
    assert not host.alive


async def test_the_real_host_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """No orphan: the parent is killed without any chance to clean up."""
    parent = (
        "import asyncio, pathlib, sys, time\n"
        "from npurun_tui.engine.process import HostProcess\n"
        "async def main():\n"
        "    host = await HostProcess.start(pathlib.Path(sys.argv[1]))\n"
        "    print(host.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, str(tmp_path / "engine.log"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    child = psutil.Process(int(await process.stdout.readline()))
    process.kill()
    await process.wait()
    await asyncio.to_thread(child.wait, 10)
    assert not child.is_running()
