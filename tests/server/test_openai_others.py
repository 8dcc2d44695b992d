"""Models, completions and embeddings: what is asked for, what is answered, what is refused."""

from __future__ import annotations

import base64
import struct
from dataclasses import replace
from typing import Any

import pytest

from npurun_tui.server.asking import Done, Text
from npurun_tui.server.faults import ContextLength, Unsupported
from npurun_tui.server.openai.answers import FINGERPRINT
from tests.server.scripted import HELLO, STATS, done, served
from tests.server.test_openai_chat import TIMINGS, USAGE
from tests.server.test_sse import events


async def test_the_list_of_models() -> None:
    async with served() as server:
        body = (await server.http.get("/v1/models")).json()
    assert body["object"] == "list"
    assert body["data"][0] == {
        "id": "small",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "npurun",
        "context_length": 512,
        "max_model_len": 512,
        "capabilities": ["completion", "tools"],
    }


@pytest.mark.parametrize("name", ["qwen/three:4b", "qwen%2Fthree%3A4b"])
async def test_a_model_with_a_slash_and_a_colon(name: str) -> None:
    async with served() as server:
        response = await server.http.get(f"/v1/models/{name}")
    assert response.json()["id"] == "qwen/three:4b"


@pytest.mark.parametrize("name", ["none", "../../etc/passwd", "%00", "%1b[2J", "ä" * 50])
async def test_a_model_that_is_not_there(name: str) -> None:
    async with served() as server:
        response = await server.http.get(f"/v1/models/{name}")
    assert response.status_code in (400, 404)
    assert response.json()["error"].keys() == {"message", "type", "param", "code"}


# --- completions --------------------------------------------------------------------------


async def test_a_completion() -> None:
    async with served() as server:
        body = (await server.post("/v1/completions", {"prompt": "Once", "max_tokens": 9})).json()
        ask = server.answerer.asks[0]
    assert (ask.prompt, ask.messages, ask.max_tokens) == ("Once", (), 9)
    assert body.pop("id").startswith("cmpl-")
    assert isinstance(body.pop("created"), int)
    assert body == {
        "object": "text_completion",
        "model": "small",
        "system_fingerprint": FINGERPRINT,
        "choices": [
            {"index": 0, "text": "Hello, wörld 🎉", "finish_reason": "stop", "logprobs": None}
        ],
        "usage": USAGE,
        "timings": TIMINGS,
    }


async def test_a_completion_in_chunks() -> None:
    async with served([Text("a"), Text("b"), done("length")]) as server:
        body = {
            "prompt": "Once",
            "stream": True,
            "echo": True,
            "stream_options": {"include_usage": True},
        }
        response = await server.post("/v1/completions", body)
    *chunks, usage, end = events(response.text)
    assert end == "[DONE]"
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["Once", "a", "b", ""]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert (usage["choices"], usage["usage"], usage["timings"]) == ([], USAGE, TIMINGS)


async def test_several_prompts_are_answered_in_turn() -> None:
    async with served() as server:
        body = (await server.post("/v1/completions", {"prompt": ["a", "b", "c"]})).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert body["usage"]["prompt_tokens"] == 90
    assert body["timings"]["predicted_per_second"] == pytest.approx(100)
    record = server.recorder.ended[0]
    assert (record.prompt_tokens, record.completion_tokens) == (90, 15)


async def test_a_brought_back_cache_has_a_time_of_its_own() -> None:
    """The rate is that of the reading, and so is the time that stands beside it."""
    stats = replace(STATS, ttft_ms=190.0)
    async with served([Text("a"), Done("stop", stats)]) as server:
        one = (await server.post("/v1/completions", {"prompt": "a"})).json()["timings"]
        two = (await server.post("/v1/completions", {"prompt": ["a", "b"]})).json()["timings"]
    assert one == TIMINGS | {"restore_ms": pytest.approx(150)}
    assert two["prompt_ms"] == pytest.approx(two["prompt_n"] * 1000 / two["prompt_per_second"])
    assert (two["prompt_ms"], two["restore_ms"]) == (pytest.approx(80), pytest.approx(300))


UNKNOWN = replace(
    STATS, prompt_tokens=0, cached_tokens=0, prefilled_tokens=0, ttft_ms=0.0, prefill_tps=0.0
)
"""The figures of an engine that has none of its reading."""


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/v1/completions", {"prompt": "a"}),
        ("/v1/completions", {"prompt": ["a", "b"]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}),
        ("/v1/responses", {"input": "a"}),
    ],
)
async def test_counts_that_nobody_knows_are_not_said_to_be_zero(path: str, ask: Any) -> None:
    async with served([Text("a"), Done("stop", UNKNOWN)]) as server:
        body = (await server.post(path, ask)).json()
    assert body.get("usage") is None
    assert body["timings"].keys() == {name for name in TIMINGS if name.startswith("predicted")}


async def test_a_stream_whose_counts_nobody_knows_says_null() -> None:
    ask = {"prompt": "a", "stream": True, "stream_options": {"include_usage": True}}
    async with served([Text("a"), Done("stop", UNKNOWN)]) as server:
        *_, last, _ = events((await server.post("/v1/completions", ask)).text)
    assert (last["choices"], last["usage"]) == ([], None)
    assert "prompt_n" not in last["timings"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1, 2], [3]]}, "prompt"),
        ({"prompt": ["a"] * 65}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["a", "b", ""]}, "prompt[2]"),
        ({"prompt": ["a", "b"], "stream": True}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"n": 2}, "n"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": 5}, "logprobs"),
        ({"prompt": {"a": 1}}, "prompt"),
    ],
)
async def test_completions_that_are_refused(fields: dict[str, Any], param: str) -> None:
    async with served() as server:
        response = await server.post("/v1/completions", {"prompt": "x"} | fields)
        assert server.answerer.asks == []
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


# --- embeddings ---------------------------------------------------------------------------


async def test_embeddings_as_numbers() -> None:
    async with served() as server:
        body = (await server.post("/v1/embeddings", {"input": ["a", "b"], "model": "m"})).json()
    assert body == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.6, 0.8]},
            {"object": "embedding", "index": 1, "embedding": [1.0, 0.0]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    assert server.recorder.ended[0].prompt_tokens == 7


async def test_embeddings_in_base64_are_little_endian_floats() -> None:
    async with served() as server:
        body = {"input": "a", "encoding_format": "base64"}
        answer = (await server.post("/v1/embeddings", body)).json()
    packed = base64.b64decode(answer["data"][0]["embedding"])
    assert struct.unpack("<2f", packed) == pytest.approx((0.6, 0.8))


async def test_fewer_dimensions_are_a_unit_vector_again() -> None:
    async with served() as server:
        body = {"input": "a", "dimensions": 1}
        answer = (await server.post("/v1/embeddings", body)).json()
    assert answer["data"][0]["embedding"] == [1.0]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": [[1, 2]]}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 3}, "dimensions"),
    ],
)
async def test_embeddings_that_are_refused(fields: dict[str, Any], param: str) -> None:
    async with served() as server:
        response = await server.post("/v1/embeddings", {"input": "a"} | fields)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_a_model_without_embeddings_says_so() -> None:
    async with served() as server:
        server.answerer.embed_error = Unsupported("The model makes no embeddings.", param="model")
        response = await server.post("/v1/embeddings", {"input": "a"})
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "The model makes no embeddings."


# --- responses ----------------------------------------------------------------------------


async def test_a_cut_response_is_incomplete() -> None:
    async with served([Text("a"), done("length")]) as server:
        whole = (await server.post("/v1/responses", {"input": "Hi"})).json()
        stream = await server.post("/v1/responses", {"input": "Hi", "stream": True})
    last = events(stream.text)[-1]
    assert last["type"] == "response.incomplete"
    for response in (whole, last["response"]):
        assert response["status"] == "incomplete"
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
        assert response["output"][0]["status"] == "incomplete"
        assert response["usage"]["input_tokens_details"] == {"cached_tokens": 10}
        assert response["usage"]["output_tokens_details"] == {"reasoning_tokens": 0}


async def test_the_events_of_a_response_are_named_and_numbered() -> None:
    async with served(HELLO) as server:
        stream = await server.post("/v1/responses", {"input": "Hi", "stream": True})
    told = events(stream.text)
    names = [
        line.removeprefix("event: ") for line in stream.text.split("\n") if line.startswith("event")
    ]
    assert names == [event["type"] for event in told]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert [name.removeprefix("response.") for name in names] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert told[6]["text"] == "Hello, wörld 🎉"


async def test_an_empty_response_is_an_empty_message() -> None:
    async with served([done()]) as server:
        whole = (await server.post("/v1/responses", {"input": "Hi"})).json()
        stream = await server.post("/v1/responses", {"input": "Hi", "stream": True})
    for response in (whole, events(stream.text)[-1]["response"]):
        assert response["output"][0]["content"][0]["text"] == ""


async def test_a_response_says_again_what_was_asked() -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
    asked = {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "instructions": "Be brief.",
        "tools": [tool, {"type": "web_search"}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "array"}}},
        "truncation": "auto",
        "metadata": {"a": "b"},
        "max_output_tokens": 9,
        "parallel_tool_calls": False,
        "temperature": 0.5,
    }
    async with served() as server:
        response = await server.post("/v1/responses", asked)
        ask = server.answerer.asks[0]
    body = response.json()
    same = ("instructions", "tool_choice", "text", "truncation", "metadata", "max_output_tokens")
    assert {key: body[key] for key in same} == {key: asked[key] for key in same}
    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert response.headers["x-npurun-warning"] == "tools-dropped"
    assert (ask.tool_choice.name, ask.truncate, ask.max_tokens) == ("f", True, 9)
    assert (ask.schema, ask.parallel_tool_calls) == ({"type": "array"}, False)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"truncation": "some"}, "truncation"),
        ({"top_logprobs": 3}, "logprobs"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "function_call", "arguments": "{}"}]}, "input[0].name"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].type",
        ),
    ],
)
async def test_responses_that_are_refused(fields: dict[str, Any], param: str) -> None:
    async with served() as server:
        response = await server.post("/v1/responses", {"input": "Hi"} | fields)
        assert server.answerer.asks == []
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_a_response_that_does_not_fit_tells_the_numbers() -> None:
    async with served([ContextLength("Too long.", needed=600, window=512)]) as server:
        response = await server.post("/v1/responses", {"input": "Hi", "stream": True})
    error = response.json()["error"]
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (600, 512)
