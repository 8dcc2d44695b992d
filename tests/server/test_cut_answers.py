"""Answers that break off: what they cost is in the record, the log and the metrics all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.engine.messages import ChatMessage
from npurun_tui.server.asking import Ask
from npurun_tui.server.log import RequestLog
from npurun_tui.server.metrics import Metrics
from npurun_tui.server.records import RequestRecord
from tests.server.conftest import Play, Stage
from tests.server.scripted import Served, served
from tests.server.test_generation import PLAIN, THINKER
from tests.server.test_metrics import STATUS, scraped
from tests.support.playing_host import Script

CHAT: dict[str, Any] = {
    "model": "played",
    "messages": [{"role": "user", "content": "Hi"}],
    "stream": True,
}
STORY = Script([("Hi", "word " * 500)], PLAIN, piece=5, pause=0.005)


@asynccontextmanager
async def serving(stage: Stage) -> AsyncIterator[Served]:
    async with served(instead=stage.inference) as server:
        yield server


async def ended(server: Served) -> RequestRecord:
    async with asyncio.timeout(10):
        while not server.recorder.ended:  # noqa: ASYNC110 - the recorder tells nobody
            await asyncio.sleep(0.01)
    return server.recorder.ended[0]


async def read_words(server: Served, count: int, then: Callable[[], Awaitable[None]]) -> None:
    """Read `count` words of a stream, do `then`, and leave."""
    seen = 0
    async with server.http.stream("POST", "/v1/chat/completions", json=CHAT) as response:
        async for line in response.aiter_lines():
            seen += line.count("word")
            if seen >= count:
                await then()
                return


async def test_a_client_that_leaves_has_its_tokens_counted(play: Play, tmp_path: Path) -> None:
    """The live record has them before, the log's row and the metrics after."""
    live: list[int | None] = []
    async with serving(await play(STORY)) as server:

        async def look() -> None:
            live.append(server.recorder.open[0].completion_tokens)

        await read_words(server, 12, look)
        record = await ended(server)
    assert live[0] is not None
    assert live[0] >= 12
    assert record.outcome == "client left"
    assert record.completion_tokens is not None
    assert live[0] <= record.completion_tokens < 500
    assert record.prompt_tokens == len("[user]Hi[assistant]") // 4 + 1
    assert record.cached_tokens == 0

    log = RequestLog(tmp_path / "log.db")
    log.closed(record)
    (row,) = log.recent()
    log.close()
    assert row.completion_tokens == record.completion_tokens
    metrics = Metrics(lambda: STATUS)
    metrics.opened(record)
    metrics.closed(record)
    found = await scraped(metrics)
    assert found["npurun_tokens_total", ("generated",)] == record.completion_tokens


async def test_a_request_that_is_aborted_here_has_its_tokens_counted(play: Play) -> None:
    async with serving(await play(STORY)) as server:

        async def abort() -> None:
            cancel = server.recorder.open[0].cancel
            assert cancel is not None
            cancel()
            await ended(server)

        await read_words(server, 3, abort)
        record = await ended(server)
    assert record.outcome == "aborted here"
    assert record.completion_tokens is not None
    assert 3 <= record.completion_tokens < 500


async def test_a_crash_leaves_the_count_of_what_came(play: Play) -> None:
    script = Script([("Hi", "word " * 50)], PLAIN, piece=5, crash_after=7)
    async with serving(await play(script)) as server:
        await server.post("/v1/chat/completions", CHAT)
        record = await ended(server)
    assert (record.completion_tokens, record.prompt_tokens) == (7, None)


async def test_a_whole_answer_nobody_waits_for_is_counted_too(play: Play) -> None:
    stage = await play(STORY)
    async with serving(stage) as server:
        asking = asyncio.create_task(server.post("/v1/chat/completions", CHAT | {"stream": False}))
        async with asyncio.timeout(10):
            while not any(each.completion_tokens for each in server.recorder.open):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        record = await ended(server)
    assert record.status == 499
    assert record.completion_tokens


async def test_both_halves_of_an_answer_count_and_its_prompt_once(play: Play) -> None:
    """A thought first, then JSON that is cut: the second half's prompt holds the first's."""
    says = [("</think>", "[1, 2, " * 300), ("Hi", "Hm, yes.</think>")]
    script = Script(says, THINKER, pause=0.005, constrains=True)
    stage = await play(script)
    asked = Ask(
        "played",
        (ChatMessage("user", "Hi"),),
        think=True,
        schema={"type": "object"},
    )
    answer = stage.inference.answer(asked)
    async for _ in answer:
        if asked.tally.completion_tokens > 10:
            break
    await answer.aclose()
    assert len(stage.heard()) == 2
    assert asked.tally.completion_tokens > 10
    assert asked.tally.prompt_tokens == -(-len(stage.heard()[0]["prompt"]) // 4)


@pytest.mark.parametrize("reason", ["client", "server"])
async def test_a_request_that_made_nothing_counts_nothing(play: Play, reason: str) -> None:
    """One that leaves the waiting line has no figures at all, rather than zeros."""
    stage = await play(STORY)
    first = stage.inference.answer(Ask("played", (ChatMessage("user", "Hi"),)))
    await anext(first)
    async with serving(stage) as server:
        waiting = asyncio.create_task(server.post("/v1/chat/completions", CHAT))
        async with asyncio.timeout(10):
            while not any(each.phase == "queued" for each in server.recorder.open):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        if reason == "client":
            waiting.cancel()
        else:
            cancel = server.recorder.open[0].cancel
            assert cancel is not None
            cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        record = await ended(server)
    await first.aclose()
    assert (record.prompt_tokens, record.completion_tokens) == (None, None)
