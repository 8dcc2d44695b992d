"""Endpoints that speak Ollama's dialect: durations in nanoseconds, a model that is loaded when it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from npurun_tui.bench.endpoint import EndpointTarget
from npurun_tui.bench.endpoint import hearing as words
from npurun_tui.bench.records import Clock
from npurun_tui.bench.target import Question
from npurun_tui.errors import EngineError, UsageError
from npurun_tui.server.asking import Text
from tests.bench.asking import HI, ask
from tests.server.scripted import Step, done
from tests.support.attached import server_there
from tests.support.endpoint_server import Reply, endpoint, lines, models, reply

VERSION = reply({"version": "0.33.0"})
DETAILS = {"quantization_level": "Q4_K_M"}
TAGS = reply({"models": [{"name": "gemma3:4b", "digest": "cd" * 32, "details": DETAILS}]})
MS = 1_000_000


def running(*windows: int) -> Reply:
    """`/api/ps` with the model loaded, or not."""
    entries = [{"name": "gemma3:4b", "context_length": window} for window in windows]
    return reply({"models": entries})


def said(**message: Any) -> dict[str, Any]:
    """One line of an answer."""
    return {"model": "m", "message": {"role": "assistant", "content": "", **message}, "done": False}


def end(**figures: Any) -> dict[str, Any]:
    """The last line."""
    return {
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "length",
        "load_duration": 20 * MS,
        "prompt_eval_count": 50,
        "prompt_eval_duration": 500 * MS,
        "eval_count": 11,
        "eval_duration": 1000 * MS,
        **figures,
    }


ANSWER = lines([said(content="Hel"), 0.1, said(content="lo"), end(prompt_eval_cached_count=0)])


async def test_its_figures_are_read() -> None:
    async with endpoint(
        api_version=VERSION, api_tags=TAGS, api_ps=running(4096), api_chat=ANSWER
    ) as there:
        heard = await ask(EndpointTarget(there.url, wanted="mine"))
    measured, side = heard.one, heard.side
    assert side is not None
    assert measured.text == "Hello"
    assert measured.outcome == "length"
    assert (measured.prompt_tokens, measured.cached_tokens, measured.completion_tokens) == (
        50,
        0,
        11,
    )
    assert measured.engine == Clock(500.0, 100.0, 10.0)  # its eleven tokens have ten intervals
    seconds = heard.progress.last - heard.progress.first
    assert seconds > 0
    assert measured.host.decode_tps == pytest.approx(10 / seconds)
    assert measured.note == ""
    assert (side.model, side.backend, side.runtime) == ("gemma3:4b", "ollama", "Ollama 0.33.0")
    assert (side.model_hash, side.quant, side.context) == ("cd" * 32, "Q4_K_M", 4096)
    assert (heard.load, heard.loads) == (None, 0)  # it was loaded
    [body] = there.bodies("/api/chat")
    assert body["options"] == {"temperature": 0, "num_predict": 20, "num_ctx": 4096}
    assert body["stream"] is True


async def test_before_it_told_of_its_cache() -> None:
    answer = lines([said(content="Hi"), end()])
    async with endpoint(
        api_version=VERSION, api_tags=TAGS, api_ps=running(4096), api_chat=answer
    ) as there:
        heard = await ask(EndpointTarget(there.url))
    assert heard.one.cached_tokens is None
    assert heard.one.engine.prefill_tps is None
    assert heard.one.note == words.CACHE_UNKNOWN


async def test_a_model_is_loaded_before_it_is_asked_and_that_is_timed() -> None:
    loading = Reply([0.15, b'{"done": true, "done_reason": "load"}'])
    async with endpoint(
        api_version=VERSION,
        api_tags=TAGS,
        api_ps=[running(), running(8192)],
        api_generate=loading,
        api_chat=ANSWER,
    ) as there:
        heard = await ask(EndpointTarget(there.url), context=8192)
    load = heard.load
    assert load is not None
    assert heard.loads == 1
    assert load.ms > 140
    assert (load.side, load.cold, load.context) == ("b", True, 8192)
    [body] = there.bodies("/api/generate")
    assert body == {"model": "gemma3:4b", "stream": False, "options": {"num_ctx": 8192}}
    assert there.bodies("/api/chat")[0]["options"]["num_ctx"] == 8192


async def test_a_model_that_cannot_be_loaded() -> None:
    failed = Reply([b'{"error": "llama runner: out of memory"}'], "500 Internal Server Error")
    async with endpoint(
        api_version=VERSION, api_tags=TAGS, api_ps=running(), api_generate=failed
    ) as there:
        with pytest.raises(EngineError, match="500: llama runner: out of memory"):
            await ask(EndpointTarget(there.url))


async def test_a_load_within_an_answer_leaves_no_time_to_the_first_token() -> None:
    answer = lines([said(content="Hi"), end(load_duration=900 * MS, prompt_eval_cached_count=0)])
    async with endpoint(
        api_version=VERSION, api_tags=TAGS, api_ps=running(4096), api_chat=answer
    ) as there:
        heard = await ask(EndpointTarget(there.url))
    assert heard.one.host.ttft_ms is None
    assert heard.one.note == words.LOADED


async def test_thoughts_and_calls_are_tokens() -> None:
    answer = lines([said(thinking="Hm"), 0.1, said(tool_calls=[{"function": {}}]), end()])
    async with endpoint(
        api_version=VERSION, api_tags=TAGS, api_ps=running(4096), api_chat=answer
    ) as there:
        heard = await ask(EndpointTarget(there.url))
    assert heard.one.text == ""
    assert heard.progress.last > heard.progress.first


async def test_a_window_that_it_does_not_open_is_told() -> None:
    async with endpoint(
        api_version=VERSION,
        api_tags=TAGS,
        api_ps=[running(2048), running(2048)],
        api_generate=reply({"done": True}),
    ) as there:
        with pytest.raises(UsageError, match="one of 2,048 tokens"):
            await ask(EndpointTarget(there.url), context=1 << 20)


async def test_an_error_in_the_middle_is_told_with_what_came() -> None:
    answer = lines([said(content="Ha"), {"error": "out of\x1b[31m memory"}])
    async with endpoint(
        api_version=VERSION, api_tags=TAGS, api_ps=running(4096), api_chat=answer
    ) as there:
        with pytest.raises(EngineError, match="failed in the middle: out of") as caught:
            await ask(EndpointTarget(there.url))
    assert "\x1b" not in str(caught.value)


async def test_the_path_says_the_dialect() -> None:
    async with endpoint(v1_models=models("m")) as there:
        with pytest.raises(EngineError, match="does not speak Ollama's"):
            await ask(EndpointTarget(f"{there.url}/api"))
    assert [asked.path for asked in there.asked] == ["/api/version"]


async def test_our_own_server_in_this_dialect(tmp_path: Path) -> None:
    script: tuple[Step, ...] = (Text("Hel"), Text("lo"), done("length"))
    async with server_there(tmp_path, script) as there:
        heard = await ask(EndpointTarget(f"{there.url}/api#small"), Question(HI, 5))
    measured, side = heard.one, heard.side
    assert side is not None
    assert measured.text == "Hello"
    assert measured.engine == Clock(40.0, 500.0, 100.0)
    assert (measured.prompt_tokens, measured.cached_tokens, measured.completion_tokens) == (
        30,
        10,
        5,
    )
    assert (side.backend, side.context) == ("ollama", 512)
    assert side.runtime.startswith("npurun-tui ")
