"""Chat completions: what is asked for, and every byte of what is answered."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from npurun_tui.engine.messages import ChatMessage, ToolCall
from npurun_tui.server.asking import Ask, Text, Thought, ToolChoice
from npurun_tui.server.config import Limits
from npurun_tui.server.faults import BadRequest
from npurun_tui.server.openai.answers import FINGERPRINT
from npurun_tui.server.openai.chat import ChatRequest, ask_of
from npurun_tui.server.sampling import sampler_of
from tests.server.scripted import CALLING, THINKING, Step, call, done, served
from tests.server.test_sse import events

URL = "/v1/chat/completions"
USER: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object"}},
}
TIMINGS = {
    "cache_n": 10,
    "prompt_n": 20,
    "prompt_ms": 40.0,
    "prompt_per_token_ms": 2.0,
    "prompt_per_second": 500.0,
    "predicted_n": 5,
    "predicted_ms": 40.0,
    "predicted_per_token_ms": 10.0,
    "predicted_per_second": 100.0,
}
USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 5,
    "total_tokens": 35,
    "prompt_tokens_details": {"cached_tokens": 10},
}

EVERYTHING: dict[str, Any] = {
    "messages": [{"content": "string", "role": "developer", "name": "name"}],
    "model": "small",
    "audio": {"format": "wav", "voice": "string"},
    "frequency_penalty": -2,
    "function_call": "none",
    "functions": [{"name": "name", "description": "description", "parameters": {"foo": "bar"}}],
    "logit_bias": {"foo": 0},
    "logprobs": False,
    "max_completion_tokens": 0,
    "max_tokens": 0,
    "metadata": {"foo": "string"},
    "modalities": ["text"],
    "moderation": {"model": "model"},
    "n": 1,
    "parallel_tool_calls": True,
    "prediction": {"content": "string", "type": "content"},
    "presence_penalty": -2,
    "prompt_cache_key": "prompt-cache-key-1234",
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "prompt_cache_retention": "in_memory",
    "reasoning_effort": "none",
    "response_format": {"type": "text"},
    "safety_identifier": "safety-identifier-1234",
    "seed": -9007199254740991,
    "service_tier": "auto",
    "stop": "\n",
    "store": True,
    "stream_options": {"include_obfuscation": True, "include_usage": True},
    "temperature": 1,
    "tool_choice": "none",
    "tools": [
        {
            "function": {
                "name": "name",
                "description": "description",
                "parameters": {"foo": "bar"},
                "strict": True,
            },
            "type": "function",
        },
        {"type": "custom", "custom": {"name": "name", "format": {"type": "text"}}},
    ],
    "top_logprobs": 0,
    "top_p": 1,
    "user": "user-1234",
    "verbosity": "low",
    "web_search_options": {
        "search_context_size": "low",
        "user_location": {
            "approximate": {"city": "city", "country": "country"},
            "type": "approximate",
        },
    },
}


def asked(**fields: Any) -> Ask:
    """The ask that a body with these fields is made into."""
    body = msgspec.json.decode(json.dumps(USER | fields), type=ChatRequest)
    return ask_of(body, Limits())[0]


async def refused(body: dict[str, Any], *, status: int = 400) -> dict[str, Any]:
    """The error that `body` is refused with, before anything is asked of the inference."""
    async with served() as server:
        response = await server.post(URL, body)
        assert server.answerer.asks == []
    assert response.status_code == status
    error: dict[str, Any] = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


# --- what is answered ---------------------------------------------------------------------


async def test_a_whole_answer() -> None:
    async with served() as server:
        response = await server.post(URL, USER | {"model": "small"})
        body = response.json()
    assert body.pop("id").startswith("chatcmpl-")
    assert isinstance(body.pop("created"), int)
    assert body == {
        "object": "chat.completion",
        "model": "small",
        "system_fingerprint": FINGERPRINT,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello, wörld 🎉", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": USAGE | {"completion_tokens_details": {"reasoning_tokens": 0}},
        "timings": TIMINGS,
    }
    assert "x-npurun-warning" not in response.headers
    record = server.recorder.ended[0]
    assert (record.dialect, record.model, record.stream) == ("openai", "small", False)
    assert (record.prompt_tokens, record.completion_tokens) == (30, 5)


async def test_a_stream() -> None:
    async with served() as server:
        response = await server.post(URL, USER | {"model": "small", "stream": True})
    *chunks, end = events(response.text)
    assert end == "[DONE]"
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert len({chunk["created"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk["system_fingerprint"] for chunk in chunks} == {FINGERPRINT}
    assert not any("usage" in chunk for chunk in chunks)
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo, wörld 🎉"},
        {},
    ]
    finishes = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert finishes == [None, None, None, "stop"]
    assert chunks[-1]["timings"] == TIMINGS
    assert not any("timings" in chunk for chunk in chunks[:-1])
    assert server.recorder.ended[0].stream


@pytest.mark.parametrize("name", ["include_usage", "continuous_usage_stats"])
async def test_the_usage_is_a_chunk_without_choices(name: str) -> None:
    async with served() as server:
        body = USER | {"stream": True, "stream_options": {name: True}}
        response = await server.post(URL, body)
    *chunks, usage, _ = events(response.text)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert usage["choices"] == []
    assert usage["usage"] == USAGE | {"completion_tokens_details": {"reasoning_tokens": 0}}
    assert usage["timings"] == TIMINGS


async def test_thoughts_have_both_names() -> None:
    async with served(THINKING) as server:
        whole = (await server.post(URL, USER)).json()
        stream = await server.post(URL, USER | {"stream": True})
    message = whole["choices"][0]["message"]
    assert message["reasoning_content"] == message["reasoning"] == "Hm…"
    assert message["content"] == "42"
    assert "completion_tokens_details" not in whole["usage"], "their share is not known"
    deltas = [chunk["choices"][0]["delta"] for chunk in events(stream.text)[:-1]]
    assert deltas[1:4] == [
        {"reasoning_content": "Hm", "reasoning": "Hm"},
        {"reasoning_content": "…", "reasoning": "…"},
        {"content": "42"},
    ]


async def test_an_answer_of_thoughts_alone_is_all_reasoning() -> None:
    async with served([Thought("Hm"), done("length")]) as server:
        body = (await server.post(URL, USER)).json()
    assert body["usage"]["completion_tokens_details"] == {"reasoning_tokens": 5}
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["choices"][0]["message"]["content"] == ""


async def test_calls_in_a_whole_answer() -> None:
    async with served(CALLING) as server:
        body = (await server.post(URL, USER | {"tools": [TOOL]})).json()
    choice = body["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    first, second = choice["message"]["tool_calls"]
    assert first == {
        "id": "call_0",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Köln"}'},
    }
    assert second["id"] == "call_1"


async def test_calls_in_a_stream() -> None:
    async with served([Text("Let me see."), *CALLING]) as server:
        response = await server.post(URL, USER | {"tools": [TOOL], "stream": True})
    deltas = [chunk["choices"][0]["delta"] for chunk in events(response.text)[:-1]]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert calls == [
        {
            "index": 0,
            "id": "call_0",
            "type": "function",
            "function": {"name": "weather", "arguments": ""},
        },
        {"index": 0, "function": {"arguments": '{"city":"Köln"}'}},
        {
            "index": 1,
            "id": "call_1",
            "type": "function",
            "function": {"name": "time", "arguments": ""},
        },
        {"index": 1, "function": {"arguments": '{"zone":"UTC"}'}},
    ]


@pytest.mark.parametrize("script", [[done()], [done("length")]])
async def test_an_empty_answer_still_has_a_role_and_an_end(script: list[Step]) -> None:
    async with served(script) as server:
        response = await server.post(URL, USER | {"stream": True})
    deltas = [chunk["choices"][0]["delta"] for chunk in events(response.text)[:-1]]
    assert deltas == [{"role": "assistant", "content": ""}, {}]


async def test_without_a_model_the_answer_names_the_loaded_one() -> None:
    async with served() as server:
        body = (await server.post(URL, USER | {"model": None})).json()
        assert server.answerer.asks[0].model == ""
    assert body["model"] == "small"


async def test_half_a_character_in_arguments_is_replaced() -> None:
    async with served([call("f", {"a": "\ud83d", "b": ["\udc00"]}), done("tool_calls")]) as server:
        whole = await server.post(URL, USER)
        stream = await server.post(URL, USER | {"stream": True})
    message = json.loads(whole.content.decode("utf-8", "strict"))["choices"][0]["message"]
    arguments = message["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"a": "\ufffd", "b": ["\ufffd"]}
    assert stream.status_code == 200


# --- what is asked for --------------------------------------------------------------------


async def test_every_field_of_the_sdk_is_taken() -> None:
    known = CompletionCreateParamsBase.__annotations__.keys()
    assert EVERYTHING.keys() <= known
    newer = {name: {"anything": [1]} for name in known - EVERYTHING.keys()}
    whole = EVERYTHING | newer
    async with served() as server:
        for body in (whole, dict.fromkeys(whole) | USER, whole | {"stream": True}):
            response = await server.post(URL, body)
            assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/event-stream")
        ask = server.answerer.asks[0]
    assert ask.sampling.seed == -9007199254740991
    assert ask.max_tokens is None
    assert ask.think is False
    assert ask.stop == ("\n",)
    assert ask.messages == (ChatMessage("user", "string"),), "instructions alone are a question"
    assert [tool["function"]["name"] for tool in ask.tools] == ["name"]


async def test_no_content_type_and_unknown_fields_are_fine() -> None:
    async with served() as server:
        raw = json.dumps(USER | {"num_ctx": 4096, "zzz": {"a": [1]}}).encode()
        response = await server.http.post(URL, content=raw)
    assert response.status_code == 200


def test_content_may_be_parts_or_null() -> None:
    parts = [{"type": "text", "text": "a"}, "b", {"type": "input_text", "text": "c"}]
    messages = [
        {"role": "developer", "content": parts},
        {"role": "user", "content": None},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ]
    assert asked(messages=messages).messages == (
        ChatMessage("system", "abc"),
        ChatMessage("user", ""),
        ChatMessage("assistant", "no"),
    )


def test_calls_and_their_results_come_back() -> None:
    function = {"name": "weather", "arguments": '{"city":"Köln"}'}
    messages = [
        {"role": "user", "content": "?"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "assistant", "function_call": {"name": "time", "arguments": ""}},
        {"role": "function", "name": "time", "content": "12:00"},
    ]
    assert asked(messages=messages).messages[1:] == (
        ChatMessage(
            "assistant", "", "hm", tool_calls=(ToolCall("weather", {"city": "Köln"}, "call_1"),)
        ),
        ChatMessage("tool", "rain", tool_call_id="call_1"),
        ChatMessage("assistant", "", tool_calls=(ToolCall("time", {}, ""),)),
        ChatMessage("tool", "12:00", tool_name="time"),
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7, "max_tokens": 5}, 7),
        ({"max_completion_tokens": 0, "max_tokens": 5}, 5),
        ({"max_completion_tokens": None, "max_tokens": None}, None),
        ({"max_tokens": 100.0}, 100),
        ({"max_tokens": 0}, None),
        ({"max_tokens": -1}, None),
    ],
)
def test_max_tokens(fields: dict[str, Any], expected: int | None) -> None:
    assert asked(**fields).max_tokens == expected


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_negative_limit_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="must be 1 or more") as caught:
        asked(**{name: -5})
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"reasoning_effort": None}, None),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "minimal"}, True),
        ({"reasoning_effort": "xhigh"}, True),
        ({"think": False}, False),
        ({"think": False, "reasoning_effort": "high"}, False),
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
    ],
)
def test_thinking(fields: dict[str, Any], expected: bool | None) -> None:
    assert asked(**fields).think is expected


@pytest.mark.parametrize(
    ("format_", "expected"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "object"}),
        ({"type": "json_object", "schema": {"type": "array"}}, {"type": "array"}),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string"}}},
            {"type": "string"},
        ),
    ],
)
def test_response_formats(format_: Any, expected: Any) -> None:
    assert asked(response_format=format_).schema == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice()),
        ("auto", ToolChoice()),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        (
            {"type": "function", "function": {"name": "weather"}},
            ToolChoice("required", "weather"),
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}},
            ToolChoice("required"),
        ),
    ],
)
def test_tool_choices(choice: Any, expected: ToolChoice) -> None:
    ask = asked(tools=[TOOL], tool_choice=choice)
    assert ask.tool_choice == expected
    assert len(ask.tools) == 1


def test_tools_that_are_not_allowed_are_not_offered() -> None:
    other = {"type": "function", "function": {"name": "other"}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [other]}}
    ask = asked(tools=[TOOL, other], tool_choice=allowed)
    assert [tool["function"]["name"] for tool in ask.tools] == ["other"]


@pytest.mark.parametrize(
    ("stop", "expected"), [(None, ()), ("x", ("x",)), (["a", "", "b"], ("a", "b")), ("", ())]
)
def test_stop_strings(stop: Any, expected: tuple[str, ...]) -> None:
    assert asked(stop=stop).stop == expected


@pytest.mark.parametrize("seed", [0, -1, 2**64, -(2**200), 42.0])
def test_any_seed_is_taken_and_is_always_the_same(seed: float) -> None:
    first, second = sampler_of(asked(seed=seed).sampling), sampler_of(asked(seed=seed).sampling)
    assert first.seed == second.seed
    assert (first.seed is None) == (seed == -1)


def test_sampling_is_handed_on() -> None:
    sampling = asked(
        temperature=0, top_p=0.5, top_k=3, min_p=0.1, repetition_penalty=1.1, presence_penalty=1
    ).sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.0, 0.5, 3)
    assert (sampling.min_p, sampling.repeat_penalty, sampling.presence_penalty) == (0.1, 1.1, 1.0)


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"messages": []}, "messages", None),
        ({"n": 2}, "n", "unsupported_value"),
        ({"logprobs": True}, "logprobs", "unsupported_value"),
        ({"reasoning_effort": "lots"}, "reasoning_effort", None),
        ({"max_tokens": 1.5}, "max_tokens", None),
        ({"response_format": {"type": "xml"}}, "response_format.type", None),
        ({"response_format": {"type": "json_schema"}}, "response_format", None),
        ({"tool_choice": "sometimes"}, "tool_choice", None),
        ({"tool_choice": "required"}, "tool_choice", None),
        ({"tool_choice": {"type": "function"}}, "tool_choice", None),
        ({"tool_choice": {"function": {"name": "x"}}, "tools": [TOOL]}, "tool_choice", None),
        ({"tools": [{"type": "function"}]}, "tools[0]", None),
        ({"messages": [{"role": "wizard", "content": ""}]}, "messages[0].role", None),
        ({"messages": [{"role": 1, "content": ""}]}, "messages[0].role", "invalid_type"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"stop": ["x"] * 17}, "stop", None),
        ({"tools": [TOOL] * 257}, "tools", None),
    ],
)
async def test_refusals_name_the_field(
    fields: dict[str, Any], param: str, code: str | None
) -> None:
    error = await refused(USER | fields)
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file", "video\x1b[2J"])
async def test_parts_that_are_not_text_are_refused_by_their_type(kind: str) -> None:
    part = {"type": kind, "image_url": {"url": "data:image/png;base64,AAAA"}}
    error = await refused({"messages": [{"role": "user", "content": [part]}]})
    assert f"`{kind}`" in error["message"]
    assert error["param"] == "messages[0].content[0].type"


@pytest.mark.parametrize("arguments", ["[]", "{", '{"a": NaN}', '"x"', "[" * 60])
async def test_earlier_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    earlier = {"id": "1", "function": {"name": "f", "arguments": arguments}}
    body = {"messages": [*USER["messages"], {"role": "assistant", "tool_calls": [earlier]}]}
    assert (await refused(body))["param"] == "messages[1].tool_calls[0]"


async def test_arguments_nested_too_deeply_are_refused() -> None:
    earlier = {"id": "1", "function": {"name": "f", "arguments": "[" * 40_000}}
    body = {"messages": [{"role": "assistant", "tool_calls": [earlier]}]}
    assert (await refused(body))["param"] == "messages[0].tool_calls[0]"
