"""Endpoints that lie, break off, or never end: one sentence, soon, and nothing that reaches a terminal raw."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.bench.endpoint import EndpointTarget, ollama, openai
from npurun_tui.bench.endpoint.hearing import Hearing
from npurun_tui.bench.endpoint.target import Patience
from npurun_tui.bench.records import Clock
from npurun_tui.bench.target import Progress, Question
from npurun_tui.errors import EngineError, NetworkUnavailable, NpurunError, UsageError
from tests.bench.asking import HI, Heard, ask
from tests.support.endpoint_server import (
    DONE,
    Piece,
    Reply,
    delta,
    endpoint,
    event,
    finish,
    lines,
    models,
    reply,
    stream,
    usage,
)

SOON = Patience(silence=0.3, answer=1.0)
HI_THERE = delta(content="Hi")


async def fails(
    reply: Reply, *, patience: Patience | None = None, hangs_up: bool = False
) -> tuple[NpurunError, Heard]:
    """How an answer of these bytes fails."""
    heard = Heard()
    async with endpoint(v1_models=models("m"), chat=reply) as there:
        with pytest.raises((EngineError, NetworkUnavailable)) as caught:
            async with asyncio.timeout(20):
                await ask(EndpointTarget(there.url, patience=patience), heard=heard)
        if hangs_up:
            async with asyncio.timeout(5):
                await there.left.wait()
    told = str(caught.value)
    assert told.isprintable()
    assert len(told) < 500
    return caught.value, heard


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ((b"data: <html>\x1b[2J\n\n",), "what is no answer"),
        ((b"data: [1, 2]\n\n",), "what is no answer"),
        ((b"data: " + b"[" * 100_000 + b"\n\n",), "what is no answer"),
        ((b"data: " + b"9" * 10_000 + b"\n\n",), "what is no answer"),
        ((b"data: " + b"x" * 1_100_000 + b"\n\n",), "without end"),
        ((HI_THERE, event({"error": {"message": "out of\x1b[31m luck"}})), "out of"),
        ((HI_THERE, event({"error": 7})), "failed in the middle"),
        ((HI_THERE,), "ended the answer in the middle"),
        ((HI_THERE, b"data: {"), "what is no answer"),
        ((DONE,), "ended the answer in the middle"),
        ((b"",), "ended the answer in the middle"),
    ],
)
async def test_what_is_no_answer(pieces: tuple[Piece, ...], words: str) -> None:
    error, _ = await fails(stream(*pieces))
    assert words in error.message


async def test_what_came_before_the_line_went_dead_is_kept() -> None:
    error, heard = await fails(Reply((HI_THERE,), headers="Content-Length: 5000\r\n"))
    assert isinstance(error, NetworkUnavailable)
    assert heard.progress.first
    assert heard.measured == []


async def test_a_line_without_end_is_left() -> None:
    error, _ = await fails(Reply((b"data: ",), again=b"x" * 65536))
    assert "without end" in error.message


async def test_an_answer_without_end_is_left() -> None:
    error, heard = await fails(Reply((), again=delta(content="x" * 50_000) * 4))
    assert "without end" in error.message
    assert heard.progress.first


@pytest.mark.parametrize(
    "pieces",
    [
        (asyncio.Event(),),
        (HI_THERE, asyncio.Event()),
        tuple(each for _ in range(60) for each in (b": ping\n\n", 0.05)),
        tuple(each for _ in range(60) for each in (b"d", 0.05)),
        tuple(each for _ in range(60) for each in (delta(role="assistant", content=""), 0.05)),
    ],
    ids=["silent", "silent after a word", "pings", "a byte at a time", "empty events"],
)
async def test_silence_has_an_end(pieces: tuple[Piece, ...]) -> None:
    error, _ = await fails(stream(*pieces), patience=SOON, hangs_up=True)
    assert isinstance(error, NetworkUnavailable)
    assert "does not come to the end" in error.message


async def test_a_slow_drip_of_text_has_an_end_too() -> None:
    pieces = tuple(each for _ in range(60) for each in (HI_THERE, 0.1))
    error, heard = await fails(stream(*pieces), patience=SOON)
    assert "does not come to the end" in error.message
    assert heard.progress.last > heard.progress.first


async def test_redirects_are_not_followed() -> None:
    moved = Reply((), "307 Temporary Redirect", headers="Location: http://127.0.0.1:1/\r\n")
    error, _ = await fails(moved)
    assert "status 307" in error.message


async def test_a_page_is_not_an_endpoint() -> None:
    page = Reply([b"<html>Welcome</html>"], kind="text/html")
    async with endpoint(api_version=page, v1_models=page) as there:
        with pytest.raises(EngineError, match="not JSON"):
            await ask(EndpointTarget(there.url))
    async with endpoint(v1_models=reply({"data": "none"})) as there:
        with pytest.raises(EngineError, match="speaks neither"):
            await ask(EndpointTarget(there.url))


async def test_nobody_there() -> None:
    async with endpoint() as there:
        url = there.url
    with pytest.raises(NetworkUnavailable, match="cannot be reached"):
        await ask(EndpointTarget(url))


async def test_one_that_has_died_between_two_questions() -> None:
    async with endpoint(
        v1_models=models("m"), chat=stream(HI_THERE, finish(), usage(5, 2), DONE)
    ) as there:
        target = EndpointTarget(there.url)
        async with target.at_hand(0, lambda *_: None, lambda: None) as hand:
            await hand.measure(Question(HI, 20), Progress())
            there.replies["/v1/chat/completions"] = Reply((), headers="Content-Length: 9\r\n")
            with pytest.raises(NetworkUnavailable, match="broke off"):
                await hand.measure(Question(HI, 20), Progress())


NUMBERS: list[Any] = [-1, True, "7", None, [], {}, 1e400, float("nan"), 2**70, 0.5]


@pytest.mark.parametrize("value", NUMBERS)
async def test_figures_that_cannot_be_are_not_known(value: Any) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": value}}
    keys = ("prompt_n", "cache_n", "predicted_n")
    timings = dict.fromkeys(keys, value) | {"prompt_ms": "soon", "predicted_ms": -3}
    pieces = (HI_THERE, event({"timings": timings}), finish(), usage(value, value, **details), DONE)
    async with endpoint(v1_models=models("m"), chat=stream(*pieces)) as there:
        measured = (await ask(EndpointTarget(there.url))).one
    counts = (measured.prompt_tokens, measured.cached_tokens, measured.completion_tokens)
    assert counts == (None, None, None)
    assert measured.engine == Clock(None, None, None)
    assert measured.host.decode_tps is None
    assert measured.text == "Hi"


@pytest.mark.parametrize("value", NUMBERS)
async def test_durations_that_cannot_be_are_not_known(value: Any) -> None:
    last = {"done": True, "done_reason": "stop"} | dict.fromkeys(
        ("load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count"), value
    )
    async with endpoint(
        api_version=reply({"version": "1"}),
        api_tags=reply({"models": [{"name": "m"}]}),
        api_ps=reply({"models": [7, {"name": "m", "context_length": value}]}),
        api_chat=lines([{"message": {"content": "Hi"}}, last]),
    ) as there:
        heard = await ask(EndpointTarget(there.url))
    assert heard.one.engine == Clock(None, None, None)
    assert heard.one.prompt_tokens is None
    assert heard.load is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
WORDS = (
    "error choices delta content reasoning_content tool_calls finish_reason usage timings message done thinking "
    "prompt_tokens completion_tokens prompt_tokens_details cached_tokens predicted_n predicted_ms prompt_ms prompt_n "
    "eval_count eval_duration prompt_eval_count load_duration done_reason"
)
KEYS = st.sampled_from(sorted(WORDS.split()))
SHAPED = st.recursive(
    JSON,
    lambda inner: st.dictionaries(KEYS, inner) | st.lists(inner, max_size=2),
    max_leaves=20,
)


@given(st.lists(SHAPED, max_size=4))
def test_whatever_is_sent_is_figures_or_one_sentence(documents: list[Any]) -> None:
    for take in (openai.take, ollama.take):
        hearing = Hearing(Progress())
        hearing.asked()
        refused = ""
        try:
            for document in documents:
                take(json.dumps(document), hearing)
        except EngineError as error:
            refused = str(error)
        assert refused.isprintable()
        measured = hearing.measured(Question(HI, 20))
        for clock in (measured.host, measured.engine):
            for figure in (clock.ttft_ms, clock.prefill_tps, clock.decode_tps):
                assert figure is None or 0 <= figure < float("inf")
        for count in (measured.prompt_tokens, measured.cached_tokens, measured.completion_tokens):
            assert count is None or count >= 0


@pytest.mark.parametrize("listed", [["x" * 5000], ["a\x1b]0;title\x07", "b"], ["", ""]])
async def test_hostile_lists_of_models(listed: list[str]) -> None:
    async with endpoint(v1_models=models(*listed)) as there:
        with pytest.raises(UsageError) as caught:
            await ask(EndpointTarget(there.url))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


async def test_a_long_list_is_read_and_not_shown() -> None:
    async with endpoint(v1_models=models(*(f"model-{n}" for n in range(50_000)))) as there:
        with pytest.raises(UsageError, match=r"1,994 more") as caught:
            await ask(EndpointTarget(there.url))
    assert len(str(caught.value)) < 400
