"""Anthropic's messages: what is asked for, every event of what is answered, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from npurun_tui.engine.messages import ChatMessage, ToolCall
from npurun_tui.errors import EngineCrashed
from npurun_tui.server import sse
from npurun_tui.server.asking import Queued, Text, Thought, ToolChoice
from npurun_tui.server.faults import Busy, ContextLength, UnknownModel
from tests.server.scripted import CALLING, HELLO, THINKING, Step, done, served

URL = "/v1/messages"
USER: dict[str, Any] = {
    "model": "small",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hi"}],
}
TOOL = {"name": "weather", "description": "d", "input_schema": {"type": "object"}}
USAGE = {
    "input_tokens": 20,
    "output_tokens": 5,
    "cache_read_input_tokens": 10,
    "cache_creation_input_tokens": 0,
}


def told(text: str) -> list[dict[str, Any]]:
    """The data of a stream's events, each of which has the name that its data has."""
    found = []
    for block in text.strip().split("\n\n"):
        if block.startswith(":"):
            continue
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


async def test_a_whole_answer() -> None:
    async with served() as server:
        response = await server.post(URL, USER, headers={"user-agent": "Anthropic/Python 0.9"})
        body = response.json()
        assert server.answerer.asks[0].client == "anthropic (Python)"
    assert response.headers["request-id"] == server.recorder.ended[0].id
    assert body.pop("id").startswith("msg_")
    assert body == {
        "type": "message",
        "role": "assistant",
        "model": "small",
        "content": [{"type": "text", "text": "Hello, wörld 🎉"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
    }
    assert server.recorder.ended[0].dialect == "anthropic"


async def test_a_stream() -> None:
    async with served([Thought("Hm"), *HELLO[:2], *CALLING]) as server:
        response = await server.post(URL, USER | {"stream": True})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    start, ping, *middle, delta, stop = told(response.text)
    assert start["message"].pop("id").startswith("msg_")
    assert start["message"] == {
        "type": "message",
        "role": "assistant",
        "model": "small",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": dict.fromkeys(USAGE, 0),
    }
    assert ping == {"type": "ping"}
    assert [(event["type"], event["index"]) for event in middle] == [
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        *[
            (f"content_block_{step}", index)
            for index in (2, 3)
            for step in ("start", "delta", "stop")
        ],
    ]
    assert middle[0]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    assert middle[1]["delta"] == {"type": "thinking_delta", "thinking": "Hm"}
    assert middle[3]["content_block"] == {"type": "text", "text": ""}
    assert middle[4]["delta"] == {"type": "text_delta", "text": "Hel"}
    assert middle[7]["content_block"] == {
        "type": "tool_use",
        "id": "call_0",
        "name": "weather",
        "input": {},
    }
    assert middle[8]["delta"] == {
        "type": "input_json_delta",
        "partial_json": '{"city":"Köln"}',
    }
    assert delta["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert delta["usage"] == USAGE
    assert stop == {"type": "message_stop"}


@pytest.mark.parametrize(
    ("end", "reason", "sequence"),
    [
        (done(), "end_turn", None),
        (done("length"), "max_tokens", None),
        (done("tool_calls"), "tool_use", None),
        (done("stop", stop_sequence="END"), "stop_sequence", "END"),
    ],
)
async def test_why_it_ended(end: Step, reason: str, sequence: str | None) -> None:
    async with served([Text("x"), end]) as server:
        whole = (await server.post(URL, USER)).json()
        stream = told((await server.post(URL, USER | {"stream": True})).text)
    assert (whole["stop_reason"], whole["stop_sequence"]) == (reason, sequence)
    assert stream[-2]["delta"] == {"stop_reason": reason, "stop_sequence": sequence}


async def test_thoughts_and_calls_are_blocks() -> None:
    async with served([*THINKING[:-1], *CALLING]) as server:
        body = (await server.post(URL, USER | {"tools": [TOOL]})).json()
    assert body["content"] == [
        {"type": "thinking", "thinking": "Hm…", "signature": ""},
        {"type": "text", "text": "42"},
        {"type": "tool_use", "id": "call_0", "name": "weather", "input": {"city": "Köln"}},
        {"type": "tool_use", "id": "call_1", "name": "time", "input": {"zone": "UTC"}},
    ]


async def test_an_empty_answer() -> None:
    async with served([done()]) as server:
        whole = (await server.post(URL, USER)).json()
        stream = told((await server.post(URL, USER | {"stream": True})).text)
    assert whole["content"] == []
    kinds = [event["type"] for event in stream]
    assert kinds == ["message_start", "ping", "message_delta", "message_stop"]


async def test_silence_is_broken_by_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT", 0.05)
    monkeypatch.setattr(sse, "GRACE", 0.02)
    release = asyncio.Event()
    script: list[Step] = [Queued(1), release.wait, Text("x"), done()]
    async with (
        served(script) as server,
        server.http.stream("POST", URL, json=USER | {"stream": True}) as response,
    ):
        text, chunks = "", response.aiter_text()
        while text.count('{"type":"ping"}') < 3:
            text += await anext(chunks)
        release.set()
        text += "".join([chunk async for chunk in chunks])
    assert ": queued 1\n\n" in text
    assert told(text)[-1] == {"type": "message_stop"}


# --- what is asked for --------------------------------------------------------------------


async def test_a_conversation_of_blocks() -> None:
    body = USER | {
        "system": [
            {"type": "text", "text": "One.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Two."},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "redacted_thinking", "data": "x"},
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Köln"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [{"type": "text", "text": "rain"}],
                        "is_error": False,
                    },
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
        "stop_sequences": ["END", ""],
        "temperature": 0.5,
        "top_k": 3,
        "top_p": 0.9,
        "tools": [
            TOOL,
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
            {"type": "mcp_toolset", "mcp_server_name": "x"},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "array"}}},
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
    }
    async with served() as server:
        response = await server.post(URL, body)
        ask = server.answerer.asks[0]
    assert response.status_code == 200, response.text
    assert response.headers["x-npurun-warning"] == "tools-dropped"
    assert ask.messages == (
        ChatMessage("system", "One.\nTwo."),
        ChatMessage("user", "Hi"),
        ChatMessage(
            "assistant",
            "Let me see.",
            "hm",
            tool_calls=(ToolCall("weather", {"city": "Köln"}, "t1"),),
        ),
        ChatMessage("tool", "rain", tool_name="weather", tool_call_id="t1"),
        ChatMessage("user", "And now?"),
    )
    assert ask.tools == (
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "d",
                "parameters": {"type": "object"},
            },
        },
    )
    assert ask.tool_choice == ToolChoice("required")
    assert (ask.stop, ask.max_tokens, ask.parallel_tool_calls) == (("END",), 50, False)
    assert ask.schema == {"type": "array"}
    assert (ask.sampling.temperature, ask.sampling.top_k, ask.sampling.top_p) == (0.5, 3, 0.9)


async def test_null_fields_are_fields_that_were_left_out() -> None:
    names = ("system", "stream", "stop_sequences", "temperature", "top_p", "top_k", "tools")
    async with served() as server:
        response = await server.post(URL, USER | dict.fromkeys((*names, "tool_choice", "thinking")))
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("thinking", "model", "expected"),
    [
        (None, "small", False),
        ({"type": "disabled"}, "small", False),
        ({"type": "enabled", "budget_tokens": 1024}, "small", None),
        ({"type": "enabled", "budget_tokens": 1024}, "thinker", True),
        ({"type": "adaptive"}, "thinker", True),
    ],
)
async def test_thinking_is_relaxed_where_a_model_cannot(
    thinking: Any, model: str, expected: bool | None
) -> None:
    async with served() as server:
        await server.post(URL, USER | {"thinking": thinking, "model": model})
        assert server.answerer.asks[0].think is expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, ToolChoice()),
        ({"type": "none"}, ToolChoice("none")),
        ({"type": "any"}, ToolChoice("required")),
        ({"type": "tool", "name": "weather"}, ToolChoice("required", "weather")),
    ],
)
async def test_tool_choices(choice: Any, expected: ToolChoice) -> None:
    async with served() as server:
        await server.post(URL, USER | {"tools": [TOOL], "tool_choice": choice})
        assert server.answerer.asks[0].tool_choice == expected


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"model": None}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "`image`"),
        ({"messages": [{"role": "user", "content": [{"type": "document"}]}]}, "`document`"),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]}, "name"),
        ({"system": [{"type": "image"}]}, "system.0"),
        ({"thinking": {"type": "hard"}}, "thinking"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "x"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool", "name": "x"}, "tools": [TOOL]}, "tool_choice"),
        ({"tools": [{"name": ""}]}, "tools[0]"),
        ({"stop_sequences": ["x"] * 17}, "stop_sequences"),
        ({"temperature": "x"}, "temperature"),
    ],
)
async def test_refusals(fields: dict[str, Any], word: str) -> None:
    async with served() as server:
        response = await server.post(URL, USER | fields)
        assert server.answerer.asks == []
    assert response.status_code == 400
    body = response.json()
    assert body.keys() == {"type", "error", "request_id"}
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    assert word in body["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (Busy("The line is full."), 429, "rate_limit_error"),
        (UnknownModel("No such model."), 404, "not_found_error"),
        (ContextLength("Too long.", needed=600, window=512), 400, "invalid_request_error"),
        (EngineCrashed("It died."), 500, "api_error"),
    ],
)
async def test_errors_before_the_answer(
    error: Exception, status: int, kind: str, stream: bool
) -> None:
    async with served([error]) as server:
        response = await server.post(URL, USER | {"stream": stream})
    assert response.status_code == status
    assert response.json()["error"]["type"] == kind


async def test_an_error_half_way_is_an_event() -> None:
    async with served([Text("Hel"), EngineCrashed("It died.")]) as server:
        response = await server.post(URL, USER | {"stream": True})
    assert told(response.text)[-1] == {
        "type": "error",
        "error": {"type": "api_error", "message": "It died."},
    }


async def test_tokens_are_not_counted() -> None:
    async with served() as server:
        response = await server.post("/v1/messages/count_tokens", USER)
    assert response.status_code == 501
    assert response.json()["type"] == "error"
