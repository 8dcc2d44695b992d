"""Streams: what comes before the first token, what keeps them alive, and how they end."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from npurun_tui.errors import ContextOverflow, EngineCrashed, QueueFull
from npurun_tui.server import sse
from npurun_tui.server.asking import Loading, Queued, Reading, Text, Warned
from npurun_tui.server.faults import Busy, ContextLength, UnknownModel
from tests.server.scripted import Served, Step, done, served

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}


def events(text: str) -> list[Any]:
    """The data of a stream's events; the last, `[DONE]`, as it is."""
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def comments(text: str) -> list[str]:
    """The comments of a stream."""
    return [line.removeprefix(": ") for line in text.split("\n") if line.startswith(":")]


@asynccontextmanager
async def streaming(script: Sequence[Step]) -> AsyncIterator[tuple[Served, httpx.Response]]:
    """A server and a chat's stream of which nothing is read yet."""
    async with (
        served(script) as server,
        server.http.stream("POST", "/v1/chat/completions", json=CHAT) as response,
    ):
        yield server, response


async def streamed(server: Served) -> httpx.Response:
    """A chat's stream, to its end."""
    return await server.post("/v1/chat/completions", CHAT)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Busy("The line is full."), 429, "server_busy"),
        (QueueFull("The line is full."), 429, "server_busy"),
        (UnknownModel("No such model.", param="model"), 404, "model_not_found"),
        (ContextLength("Too long.", needed=600, window=512), 400, "context_length_exceeded"),
        (ContextOverflow("Too long."), 400, "context_length_exceeded"),
        (EngineCrashed("The engine died."), 500, "engine_crashed"),
    ],
)
async def test_an_error_before_the_answer_is_a_status(
    error: Exception, status: int, code: str
) -> None:
    async with served([error]) as server:
        response = await streamed(server)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"]["code"] == code
    assert (response.headers.get("retry-after") == "1") == (status == 429)
    assert server.recorder.ended[0].status == status


async def test_an_error_while_the_model_is_loaded_is_a_status() -> None:
    async with served([Queued(0), Loading("small"), EngineCrashed("It died.")]) as server:
        response = await streamed(server)
    assert response.status_code == 500


async def test_a_line_that_gives_up_later_is_an_event() -> None:
    async with served([Queued(1), Busy("The wait took too long.")]) as server:
        response = await streamed(server)
        assert response.status_code == 200
        *_, error, end = events(response.text)
    assert error["error"]["type"] == "rate_limit_error"
    assert end == "[DONE]"
    assert server.recorder.ended[0].outcome == "The wait took too long."


@pytest.mark.parametrize(("waiting", "more"), [(0, ""), (2, ", and 2 wait")])
async def test_a_full_line_tells_no_client_who_another_is(waiting: int, more: str) -> None:
    full = QueueFull("The engine is busy, curl: small holds the permit.", waiting=waiting)
    async with served([full]) as server:
        message = (await streamed(server)).json()["error"]["message"]
    assert message == f"The engine is busy with another request{more}."


async def test_an_error_half_way_is_an_event_and_the_end() -> None:
    async with served([Text("Hel"), EngineCrashed("The engine died.")]) as server:
        response = await streamed(server)
    *_, last, error, end = events(response.text)
    assert last["choices"][0]["delta"] == {"content": "Hel"}
    assert error == {
        "error": {
            "message": "The engine died.",
            "type": "server_error",
            "param": None,
            "code": "engine_crashed",
        }
    }
    assert end == "[DONE]"


async def test_an_unforeseen_error_ends_the_stream_too() -> None:
    async with served([Text("Hel"), RuntimeError("a bug")]) as server:
        response = await streamed(server)
    assert "error" in events(response.text)[-2]
    assert "a bug" not in response.text


async def test_events_that_end_without_an_end_are_an_error() -> None:
    async with served([Text("Hel")]) as server:
        response = await streamed(server)
    assert events(response.text)[-2]["error"]["type"] == "server_error"


async def test_the_wait_is_told_once_for_each_change() -> None:
    script: list[Step] = [
        Queued(2),
        Queued(2),
        Queued(1),
        Loading("small"),
        Reading(1, 9),
        Reading(5, 9),
    ]
    async with served([*script, Text("x"), done()]) as server:
        response = await streamed(server)
    assert comments(response.text) == ["queued 2", "queued 1", "loading", "reading"]
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert "content-length" not in response.headers


async def test_the_place_in_the_line_arrives_while_the_request_waits() -> None:
    release = asyncio.Event()
    async with streaming([Queued(3), release.wait, Text("x"), done()]) as (_, response):
        chunks = response.aiter_text()
        assert await anext(chunks) == ": queued 3\n\n"
        assert not release.is_set()
        release.set()
        rest = "".join([chunk async for chunk in chunks])
    assert rest.endswith("data: [DONE]\n\n")


async def test_silence_is_broken_by_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT", 0.05)
    monkeypatch.setattr(sse, "GRACE", 0.1)
    release = asyncio.Event()
    async with streaming([Loading("small"), release.wait, Text("x"), done()]) as (_, response):
        chunks = response.aiter_text()
        first = [await anext(chunks) for _ in range(3)]
        release.set()
        rest = "".join([chunk async for chunk in chunks])
    assert first == [": loading\n\n", ": ping\n\n", ": ping\n\n"]
    assert events(rest)[-1] == "[DONE]"


async def test_a_model_that_fails_late_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "GRACE", 0.05)
    began = asyncio.Event()

    async def fail_after_the_head() -> None:
        await began.wait()

    script: list[Step] = [Loading("small"), fail_after_the_head, EngineCrashed("It died.")]
    async with streaming(script) as (_, response):
        assert response.status_code == 200
        began.set()
        text = (await response.aread()).decode()
    assert events(text)[0]["error"]["code"] == "engine_crashed"


@pytest.mark.parametrize("script", [[Queued(1)], [Text("x")], [Reading(1, 9)]])
async def test_a_client_that_leaves_ends_the_answer(script: list[Any]) -> None:
    never = asyncio.Event()
    async with served([*script, never.wait]) as server:
        async with server.http.stream("POST", "/v1/chat/completions", json=CHAT) as response:
            await anext(response.aiter_text())
            assert server.answerer.running == 1
        await asyncio.wait_for(server.answerer.closed.wait(), 2)
        assert server.answerer.running == 0
    assert server.recorder.ended[0].outcome == "client left"
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("sse")]


async def test_a_client_that_leaves_before_the_head_ends_the_answer() -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        asked.set()
        await never.wait()

    async with served([wait]) as server:
        request = asyncio.create_task(streamed(server))
        await asyncio.wait_for(asked.wait(), 2)
        request.cancel()
        await asyncio.wait_for(server.answerer.closed.wait(), 2)
    assert server.recorder.ended[0].status == 499


async def test_a_blocking_client_that_leaves_ends_the_answer() -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        asked.set()
        await never.wait()

    async with served([Text("x"), wait]) as server:
        request = asyncio.create_task(server.post("/v1/chat/completions", CHAT | {"stream": False}))
        await asyncio.wait_for(asked.wait(), 2)
        request.cancel()
        await asyncio.wait_for(server.answerer.closed.wait(), 2)
    assert server.recorder.ended[0].status == 499


async def test_a_request_that_is_aborted_here_is_told_so() -> None:
    never = asyncio.Event()
    async with streaming([Text("x"), never.wait]) as (server, response):
        chunks = response.aiter_text()
        await anext(chunks)
        abort = server.recorder.open[0].cancel
        assert abort is not None
        abort()
        text = "".join([chunk async for chunk in chunks])
    assert "ended here" in events(text)[0]["error"]["message"]
    assert events(text)[-1] == "[DONE]"


async def test_a_warning_that_is_known_early_is_in_the_head() -> None:
    early, late = ("The tools did not fit.",), ("The answer took longer.",)
    async with served([Queued(0), Warned(early), Text("x"), done(warnings=early + late)]) as server:
        stream = await streamed(server)
    assert stream.headers["x-npurun-warning"] == "tools-dropped"
    assert comments(stream.text) == ["warning tools-dropped, time-limit"]


async def test_a_warning_after_the_head_is_a_comment_only() -> None:
    early = ("The tools did not fit.",)
    async with served([Queued(2), Warned(early), Text("x"), done(warnings=early)]) as server:
        stream = await streamed(server)
    assert "x-npurun-warning" not in stream.headers
    assert comments(stream.text) == ["queued 2", "warning tools-dropped"]


async def test_warnings_are_words_in_a_header_or_a_comment() -> None:
    warnings = ("The tools did not fit: évil\r\nX: y",)
    async with served([Text("x"), done(warnings=warnings)]) as server:
        stream = await streamed(server)
        whole = await server.post("/v1/chat/completions", CHAT | {"stream": False})
    assert comments(stream.text) == ["warning tools-dropped"]
    assert whole.headers["x-npurun-warning"] == "tools-dropped"


async def test_text_is_never_split_within_a_character() -> None:
    async with streaming([Text("a🎉"), Text("é"), Text('"\n\u2028\ud800'), done()]) as (
        _,
        response,
    ):
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
    text = raw.decode("utf-8", "strict")
    said = [chunk["choices"][0]["delta"].get("content") for chunk in events(text)[:-1]]
    assert said == ["", "a🎉", "é", '"\n\u2028\ufffd', None]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_end_is_told_when_the_permit_is_free(stream: bool) -> None:
    released: list[bool] = []

    async def release() -> None:
        await asyncio.sleep(0.05)
        released.append(True)

    async with (
        served([Text("x"), done(), release]) as server,
        server.http.stream(
            "POST", "/v1/chat/completions", json=CHAT | {"stream": stream}
        ) as response,
    ):
        text = ""
        async for chunk in response.aiter_text():
            text += chunk
            assert released or "stop" not in text, "the end came first"
    assert "stop" in text


async def test_many_that_leave_at_any_moment_leave_nothing() -> None:
    """Clients that close their connection after any number of bytes, while others read to the end."""
    texts: list[Step] = [Text(f" {index}") for index in range(40)]
    moments = random.Random(5)  # noqa: S311
    async with served([Queued(1), *texts, done()]) as server:

        async def visit(leaves: bool) -> None:
            async with server.http.stream("POST", "/v1/chat/completions", json=CHAT) as response:
                text = ""
                async for chunk in response.aiter_text():
                    text += chunk
                    if leaves and moments.random() < 0.5:
                        return
                assert text.endswith("data: [DONE]\n\n")

        for _ in range(20):
            await asyncio.gather(*(visit(index % 2 == 0) for index in range(10)))
        async with asyncio.timeout(5):
            while len(server.recorder.ended) < 200:
                await server.http.get("/v1/models/small")
        assert server.answerer.running == 0
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("sse")]
