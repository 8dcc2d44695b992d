"""Endpoints that speak OpenAI's dialect: when text came, what is counted, and what is left unknown."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.bench.endpoint import EndpointTarget
from npurun_tui.bench.endpoint import hearing as words
from npurun_tui.bench.endpoint.target import NO_TEMPERATURE
from npurun_tui.bench.records import NOT_TIMED, Clock
from npurun_tui.bench.target import Progress, Question
from npurun_tui.errors import EngineError, UsageError
from npurun_tui.server.asking import Loading, Queued, Text, Thought
from tests.bench.asking import HI, Heard, ask
from tests.server.scripted import Step, call, done
from tests.support.attached import server_there
from tests.support.endpoint_server import (
    DONE,
    Reply,
    delta,
    endpoint,
    event,
    finish,
    models,
    reply,
    stream,
    usage,
)
from tests.support.server_tab import forever

NO_CACHE = {"prompt_tokens_details": {"cached_tokens": 0}}
ROLE = delta(role="assistant", content="")


async def test_the_clock_runs_from_the_request_to_the_last_text() -> None:
    pieces = (ROLE, 0.2, delta(content="One"), 0.3, delta(content=" two"), 0.1, finish("length"))
    async with endpoint(
        v1_models=models("m"), chat=stream(*pieces, usage(30, 7, **NO_CACHE), DONE)
    ) as there:
        heard = await ask(EndpointTarget(there.url))
    measured = heard.one
    assert measured.text == "One two"
    assert (measured.prompt_tokens, measured.cached_tokens, measured.completion_tokens) == (
        30,
        0,
        7,
    )
    assert measured.outcome == "length"
    assert measured.engine == NOT_TIMED
    assert measured.note == ""
    progress = heard.progress
    ttft, seconds = progress.first - progress.asked, progress.last - progress.first
    assert ttft > 0.19  # the event with the role holds no token
    assert seconds > 0
    assert measured.host.ttft_ms == pytest.approx(ttft * 1000)
    assert measured.host.prefill_tps == pytest.approx(30 / ttft)
    assert measured.host.decode_tps == pytest.approx(6 / seconds)  # tokens after the first
    assert measured.total_ms > (ttft + seconds) * 1000
    assert progress.tokens == 7


async def test_an_answer_that_ends_by_itself_ends_with_the_word_for_it() -> None:
    pieces = (delta(content="391"), 0.4, finish("stop"), usage(20, 2, **NO_CACHE), DONE)
    async with endpoint(v1_models=models("m"), chat=stream(*pieces)) as there:
        heard = await ask(EndpointTarget(there.url))
    assert heard.one.outcome == "stop"
    progress, host = heard.progress, heard.one.host
    assert progress.last == progress.first
    assert host.ttft_ms is not None
    assert host.decode_tps == pytest.approx(1000 / (heard.one.total_ms - host.ttft_ms))


async def test_connecting_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def slowly(*args: Any, **options: Any) -> Any:
        await asyncio.sleep(0.5)
        return await connect(*args, **options)

    pieces = (delta(content="Hi"), finish(), usage(5, 2), DONE)
    async with endpoint(v1_models=models("m"), chat=stream(*pieces)) as there:
        target = EndpointTarget(there.url)
        async with target.at_hand(0, lambda *_: None, lambda: None) as hand:
            monkeypatch.setattr(loop, "create_connection", slowly)
            began = time.perf_counter()
            measured = await hand.measure(Question(HI, 20), Progress())
            took = time.perf_counter() - began
    assert measured.host.ttft_ms is not None
    assert measured.host.ttft_ms <= measured.total_ms < (took - 0.49) * 1000


async def test_what_is_asked_is_greedy_and_known_to_everybody() -> None:
    pieces = (delta(content="Hi"), finish(), usage(5, 2), DONE)
    async with endpoint(v1_models=models("m"), chat=stream(*pieces)) as there:
        await ask(EndpointTarget(there.url, token="secret"))
    [asked] = [each for each in there.asked if each.path == "/v1/chat/completions"]
    assert asked.headers["authorization"] == "Bearer secret"
    assert asked.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": 20,
    }


async def test_without_usage_there_are_no_rates() -> None:
    pieces = (delta(content="a"), 0.05, delta(content="b"), finish("length"), DONE)
    async with endpoint(v1_models=models("m"), chat=stream(*pieces)) as there:
        heard = await ask(EndpointTarget(there.url))
    measured = heard.one
    assert (measured.completion_tokens, measured.host.decode_tps) == (None, None)
    assert measured.host.ttft_ms is not None
    assert words.UNCOUNTED in measured.note
    assert words.CACHE_UNKNOWN in measured.note
    assert measured.host.prefill_tps is None


async def test_thoughts_are_tokens_and_no_text() -> None:
    pieces = (delta(reasoning_content="Hm", reasoning="Hm"), 0.2, delta(content="42"), finish())
    counted = usage(9, 5, completion_tokens_details={"reasoning_tokens": 3}, **NO_CACHE)
    async with endpoint(v1_models=models("m"), chat=stream(*pieces, counted, DONE)) as there:
        heard = await ask(EndpointTarget(there.url))
    assert heard.one.text == "42"
    progress, measured = heard.progress, heard.one
    assert progress.last > progress.first  # which was the thought's
    seconds = measured.total_ms / 1000 - (progress.first - progress.asked)
    assert measured.host.decode_tps == pytest.approx(4 / seconds)


async def test_thoughts_out_of_sight_leave_no_rate() -> None:
    counted = usage(9, 500, completion_tokens_details={"reasoning_tokens": 480}, **NO_CACHE)
    pieces = (0.1, delta(content="4"), 0.1, delta(content="2"), finish(), counted, DONE)
    async with endpoint(v1_models=models("m"), chat=stream(*pieces)) as there:
        heard = await ask(EndpointTarget(there.url), Question(HI, 600))
    assert heard.one.host.decode_tps is None
    assert heard.one.note == words.HIDDEN


async def test_a_call_is_a_token_too() -> None:
    called = delta(tool_calls=[{"index": 0, "function": {"name": "x", "arguments": ""}}])
    async with endpoint(
        v1_models=models("m"), chat=stream(called, finish("tool_calls"), usage(5, 4), DONE)
    ) as there:
        heard = await ask(EndpointTarget(there.url))
    assert (heard.one.outcome, heard.one.text) == ("stop", "")
    assert heard.progress.first


async def test_an_answer_of_nothing_is_told_as_that() -> None:
    async with endpoint(
        v1_models=models("m"), chat=stream(ROLE, finish(), usage(5, 0), DONE)
    ) as there:
        heard = await ask(EndpointTarget(there.url))
    measured = heard.one
    assert measured.outcome == "empty"
    assert measured.host == NOT_TIMED
    assert measured.completion_tokens == 0


async def test_what_a_cache_held_is_recorded_and_said() -> None:
    cached = usage(30, 5, prompt_tokens_details={"cached_tokens": 28})
    async with endpoint(
        v1_models=models("m"), chat=stream(delta(content="Hi"), finish(), cached, DONE)
    ) as there:
        heard = await ask(EndpointTarget(there.url), Question(HI, 20), Question(HI, 20, keep=True))
    first, second = heard.measured
    assert first.cached_tokens == 28
    assert first.note == words.FROM_CACHE
    assert second.note == ""  # going on from it was asked for
    assert first.host.ttft_ms is not None
    assert first.host.prefill_tps == pytest.approx(2000 / first.host.ttft_ms)


async def test_more_tokens_than_asked_for_are_told() -> None:
    async with endpoint(
        v1_models=models("m"),
        chat=stream(delta(content="Hi"), finish("length"), usage(5, 21, **NO_CACHE), DONE),
    ) as there:
        heard = await ask(EndpointTarget(there.url))
    assert heard.one.note == words.TOO_MANY


async def test_what_a_strict_server_refuses_is_left_out_from_then_on() -> None:
    def refused(text: str) -> Reply:
        body = event({"error": {"message": text}})[6:].strip()
        return Reply([body], "400 Bad Request")

    good = stream(delta(content="Hi"), finish(), usage(5, 2, **NO_CACHE), DONE)
    replies = [
        refused("Unsupported parameter: 'max_tokens' is not supported with this model."),
        refused("Unsupported value: 'temperature' does not support 0 with this model."),
        good,
    ]
    async with endpoint(v1_models=models("m"), chat=replies) as there:
        target = EndpointTarget(there.url)
        heard = await ask(target, Question(HI, 20))
        await ask(target, Question(HI, 30), heard=heard)
    bodies = there.bodies("/v1/chat/completions")
    assert len(bodies) == 4
    assert "max_tokens" not in bodies[2]
    assert "temperature" not in bodies[2]
    assert [body["max_completion_tokens"] for body in bodies[1:]] == [20, 20, 30]
    assert [each.note for each in heard.measured] == [NO_TEMPERATURE] * 2


async def test_a_refusal_that_cannot_be_answered_is_raised() -> None:
    body = b'{"error": {"message": "`messages` are too long."}}'
    async with endpoint(v1_models=models("m"), chat=Reply([body], "400 Bad Request")) as there:
        with pytest.raises(EngineError, match="too long"):
            await ask(EndpointTarget(there.url))
    assert len(there.bodies("/v1/chat/completions")) == 1


# --- llama-server ------------------------------------------------------------------------------


async def test_llama_servers_own_figures_and_fields() -> None:
    def timings(count: int, ms: float) -> dict[str, float]:
        return {
            "cache_n": 0,
            "prompt_n": 40,
            "prompt_ms": 200.0,
            "predicted_n": count,
            "predicted_ms": ms,
        }

    pieces = (
        delta(content="three tokens", timings=timings(3, 20.0)),
        0.2,
        delta(content=" more", timings=timings(11, 100.0)),
        event({"choices": [{"delta": {}, "finish_reason": "length"}], "timings": timings(11, 100)}),
        usage(40, 11),
        DONE,
    )
    props = {"build_info": "b9999-abc", "default_generation_settings": {"n_ctx": 4096}}
    async with endpoint(
        v1_models=models("file.gguf", owner="llamacpp"), props=reply(props), chat=stream(*pieces)
    ) as there:
        heard = await ask(EndpointTarget(there.url, wanted="mine"), Question(HI, 11))
    measured = heard.one
    assert measured.engine == Clock(
        200.0, 200.0, 100.0
    )  # ten tokens in 100 ms: the first is not one
    seconds = heard.progress.last - heard.progress.first
    assert measured.host.decode_tps == pytest.approx(8 / seconds)  # three were in the first event
    assert measured.cached_tokens == 0
    assert measured.note == ""
    assert heard.side is not None
    assert heard.side.runtime == "llama-server b9999-abc"
    assert (heard.side.model, heard.side.context) == ("file.gguf", 4096)
    [body] = there.bodies("/v1/chat/completions")
    assert body["cache_prompt"] is False


# --- this program's own server -----------------------------------------------------------------


async def test_our_own_server_tells_all(tmp_path: Path) -> None:
    script: tuple[Step, ...] = (Text("Hel"), Text("lo"), done("length"))
    async with server_there(tmp_path, script) as there:
        where = there.where
        heard = await ask(EndpointTarget(f"{there.url}#small", token="x"))
    measured, side = heard.one, heard.side
    assert side is not None
    assert measured.text == "Hello"
    assert measured.engine == Clock(40.0, 500.0, 100.0)
    assert (measured.prompt_tokens, measured.cached_tokens, measured.completion_tokens) == (
        30,
        10,
        5,
    )
    assert there.answerer.asks[-1].cache is False
    assert (side.model, side.backend, side.context) == ("small", "openai", 512)
    assert side.runtime.startswith("npurun-tui ")
    assert (side.quant, side.model_hash) == ("Q4_1", "ab" * 32)
    assert side.label == f"small · CPU (llama.cpp) at {where}"


async def test_waiting_is_told_and_leaves_no_time_to_the_first_token(tmp_path: Path) -> None:
    script: tuple[Step, ...] = (Queued(2), Queued(0), Text("Hi"), done())
    async with server_there(tmp_path, script) as there:
        where = there.where
        heard = await ask(EndpointTarget(f"{there.url}#small"))
    assert heard.waits == [(2, f"others at {where}")]
    assert heard.one.host.ttft_ms is None
    assert heard.one.host.prefill_tps is None
    assert words.WAITED in heard.one.note


async def test_a_load_leaves_no_time_to_the_first_token(tmp_path: Path) -> None:
    script: tuple[Step, ...] = (Queued(1), Loading("small"), Thought("Hm"), Text("Hi"), done())
    async with server_there(tmp_path, script) as there:
        heard = await ask(EndpointTarget(f"{there.url}#small"))
    assert heard.one.host.ttft_ms is None


async def test_its_calls_are_heard(tmp_path: Path) -> None:
    async with server_there(tmp_path, (call(), done("tool_calls"))) as there:
        heard = await ask(EndpointTarget(f"{there.url}#small"))
    assert heard.progress.first
    assert heard.one.outcome == "stop"


async def test_a_cancellation_ends_the_answer_there(tmp_path: Path) -> None:
    async with server_there(tmp_path, (Text("Once"), forever, done())) as there:
        heard = Heard()
        task = asyncio.create_task(ask(EndpointTarget(f"{there.url}#small"), heard=heard))
        async with asyncio.timeout(10):
            while not heard.progress.first:  # noqa: ASYNC110 - written by the other task
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            while there.answerer.running:  # noqa: ASYNC110 - it happens in the server's thread
                await asyncio.sleep(0.01)


async def test_its_wrong_token_is_mended_with_the_right_flag(tmp_path: Path) -> None:
    async with server_there(tmp_path, infer_token=hashlib.sha256(b"right").digest()) as there:
        with pytest.raises(EngineError) as caught:
            await ask(EndpointTarget(f"{there.url}#small", token="wrong"))
    assert "401" in caught.value.message
    assert caught.value.mend == "Give its token with --baseline-token."


async def test_the_rust_programs_server() -> None:
    """It has one model from its beginning, cannot be told to load, and counts nothing (its facts, as of 2026)."""
    cannot = Reply([b"missing field `prompt`"], "422 Unprocessable Entity", kind="text/plain")
    async with endpoint(
        api_version=reply({"version": "0.1.0"}),
        healthz=reply({"status": "ready", "model": "phi", "auth": False, "version": "0.1.0"}),
        api_tags=reply({"models": [{"name": "phi:latest", "size": 0, "digest": ""}]}),
        api_generate=cannot,
        chat=stream(delta(role="assistant"), delta(content="Hi"), finish(), DONE),
    ) as there:
        heard = await ask(EndpointTarget(there.url, wanted="mine"))
    assert heard.side is not None
    assert (heard.side.model, heard.side.runtime) == ("phi", "npurun")
    assert heard.load is None
    assert heard.one.host.ttft_ms is not None
    assert heard.one.host.decode_tps is None
    assert words.UNCOUNTED in heard.one.note


# --- which model -------------------------------------------------------------------------------

GOOD = stream(delta(content="Hi"), finish(), usage(5, 2), DONE)


@pytest.mark.parametrize(
    ("listed", "fragment", "wanted", "asked"),
    [
        (("only",), "", "mine", "only"),
        (("a", "mine:latest"), "", "mine", "mine:latest"),
        (("a", "b"), "#b", "a", "b"),
        ((), "#unlisted", "", "unlisted"),
    ],
)
async def test_the_model_that_is_asked(
    listed: tuple[str, ...], fragment: str, wanted: str, asked: str
) -> None:
    async with endpoint(v1_models=models(*listed), chat=GOOD) as there:
        heard = await ask(EndpointTarget(there.url + fragment, wanted=wanted))
    assert there.bodies("/v1/chat/completions")[0]["model"] == asked
    assert heard.side is not None
    assert heard.side.model == asked


@pytest.mark.parametrize(
    ("listed", "fragment", "message"),
    [
        (("a", "b\x1b[31m"), "", "several models: a, b"),
        ((), "", "lists no models"),
        (("a", "b"), "#c", "has no model c"),
        (tuple(f"m{n}" for n in range(9)), "", "m5 and 3 more"),
    ],
)
async def test_a_model_that_is_not_clear_is_asked_for(
    listed: tuple[str, ...], fragment: str, message: str
) -> None:
    async with endpoint(v1_models=models(*listed), chat=GOOD) as there:
        with pytest.raises(UsageError, match=message) as caught:
            await ask(EndpointTarget(there.url + fragment))
    assert "\x1b" not in str(caught.value)


async def test_an_endpoint_without_a_list_is_asked_for_the_named_model() -> None:
    async with endpoint(chat=GOOD) as there:
        assert (await ask(EndpointTarget(f"{there.url}/v1#some"))).one.text == "Hi"
        with pytest.raises(EngineError, match="404"):
            await ask(EndpointTarget(f"{there.url}/v1"))


async def test_a_window_that_cannot_be_set_is_refused() -> None:
    listed = reply({"data": [{"id": "m", "max_model_len": 8192}]})
    async with endpoint(v1_models=listed, chat=GOOD) as there:
        side = (await ask(EndpointTarget(there.url), context=8192)).side
        assert side is not None
        assert side.context == 8192
        with pytest.raises(UsageError, match="one of 8,192 tokens"):
            await ask(EndpointTarget(there.url), context=4096)
