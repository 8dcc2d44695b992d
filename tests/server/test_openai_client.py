"""OpenAI's own Python client, unmodified, against the routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import openai
import pytest
from pydantic import BaseModel

from npurun_tui.errors import EngineCrashed
from npurun_tui.server.asking import Queued, Reading, Text
from npurun_tui.server.faults import Busy
from tests.server.scripted import CALLING, HELLO, THINKING, Served, Step, done, served

T = TypeVar("T")

MESSAGES: Any = [{"role": "user", "content": "Hi"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


class Place(BaseModel):
    """What a structured answer is parsed into."""

    name: str
    people: int


PLACE: Sequence[Step] = (Text('{"name": "Köln",'), Text(' "people": 1000000}'), done())


@asynccontextmanager
async def client(
    script: Sequence[Step] = HELLO, *, retries: int = 0
) -> AsyncIterator[tuple[openai.AsyncOpenAI, Served]]:
    """The asynchronous client and the server that it speaks to."""
    async with (
        served(script) as server,
        openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="none", max_retries=retries
        ) as connected,
    ):
        yield connected, server


async def synchronously(script: Sequence[Step], work: Callable[[openai.OpenAI], T]) -> T:
    """What `work` does with the synchronous client, in a thread."""
    async with served(script) as server:

        def run() -> T:
            with openai.OpenAI(
                base_url=f"{server.url}/v1", api_key="none", max_retries=0
            ) as connected:
                return work(connected)

        return await asyncio.to_thread(run)


async def test_models() -> None:
    async with client() as (connected, _):
        models = [model async for model in connected.models.list()]
        one = await connected.models.retrieve("qwen/three:4b")
        with pytest.raises(openai.NotFoundError, match="not installed") as missing:
            await connected.models.retrieve("none")
    assert [model.id for model in models] == ["small", "qwen/three:4b", "thinker"]
    assert (one.object, one.owned_by, one.created) == ("model", "npurun", 1_700_000_000)
    assert missing.value.code == "model_not_found"


async def test_a_chat_synchronously() -> None:
    answer = await synchronously(
        HELLO, lambda one: one.chat.completions.create(model="small", messages=MESSAGES)
    )
    assert answer.choices[0].message.content == "Hello, wörld 🎉"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 10
    assert answer._request_id


async def test_a_stream_synchronously() -> None:
    def read(one: openai.OpenAI) -> list[str]:
        stream = one.chat.completions.create(model="small", messages=MESSAGES, stream=True)
        return [chunk.choices[0].delta.content or "" for chunk in stream]

    script = [Queued(1), Reading(1, 2), *HELLO]
    assert await synchronously(script, read) == ["", "Hel", "lo, wörld 🎉", ""]


async def test_a_stream_is_put_together() -> None:
    async with (
        client() as (connected, _),
        connected.chat.completions.stream(
            model="small", messages=MESSAGES, stream_options={"include_usage": True}
        ) as stream,
    ):
        kinds = {event.type async for event in stream}
        whole = await stream.get_final_completion()
    assert "content.delta" in kinds
    assert whole.choices[0].message.content == "Hello, wörld 🎉"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.total_tokens == 35


async def test_calls_are_put_together() -> None:
    async with client([Text("Well. "), *CALLING]) as (connected, _):
        async with connected.chat.completions.stream(
            model="small", messages=MESSAGES, tools=TOOLS
        ) as stream:
            whole = await stream.get_final_completion()
        blocking = await connected.chat.completions.create(
            model="small", messages=MESSAGES, tools=TOOLS
        )
    for answer in (whole, blocking):
        calls: Any = answer.choices[0].message.tool_calls
        assert [(call.id, call.function.name) for call in calls] == [
            ("call_0", "weather"),
            ("call_1", "time"),
        ]
        assert calls[0].function.arguments == '{"city":"Köln"}'
        assert answer.choices[0].finish_reason == "tool_calls"


async def test_an_answer_goes_back_with_the_next_question() -> None:
    async with client(CALLING) as (connected, server):
        answer = await connected.chat.completions.create(
            model="small", messages=MESSAGES, tools=TOOLS
        )
        message = answer.choices[0].message
        messages: Any = [
            *MESSAGES,
            message,
            {"role": "tool", "tool_call_id": "call_0", "content": "rain"},
        ]
        await connected.chat.completions.create(model="small", messages=messages, tools=TOOLS)
        _, assistant, result = server.answerer.asks[1].messages
    assert assistant.tool_calls[0].arguments == {"city": "Köln"}
    assert (result.role, result.tool_call_id) == ("tool", "call_0")


async def test_a_structured_answer() -> None:
    async with client(PLACE) as (connected, server):
        answer = await connected.chat.completions.parse(
            model="small", messages=MESSAGES, response_format=Place
        )
        schema = server.answerer.asks[0].schema
    assert answer.choices[0].message.parsed == Place(name="Köln", people=1_000_000)
    assert schema is not None
    assert schema["required"] == ["name", "people"]


async def test_thoughts_are_beside_the_answer() -> None:
    async with client(THINKING) as (connected, _):
        answer = await connected.chat.completions.create(model="small", messages=MESSAGES)
    assert answer.choices[0].message.model_extra == {
        "reasoning_content": "Hm…",
        "reasoning": "Hm…",
    }


async def test_errors_are_the_sdks_own() -> None:
    async with client([Busy("The line is full.")]) as (connected, _):
        with pytest.raises(openai.RateLimitError) as busy:
            await connected.chat.completions.create(model="small", messages=MESSAGES)
        with pytest.raises(openai.RateLimitError):
            await connected.chat.completions.create(model="small", messages=MESSAGES, stream=True)
        with pytest.raises(openai.BadRequestError) as bad:
            await connected.chat.completions.create(model="small", messages=[])
    assert busy.value.code == "server_busy"
    assert busy.value.response.headers["retry-after"] == "1"
    assert bad.value.param == "messages"


async def test_a_failed_engine_is_not_asked_again() -> None:
    async with client([EngineCrashed("It died.")], retries=2) as (connected, server):
        with pytest.raises(openai.InternalServerError):
            await connected.chat.completions.create(model="small", messages=MESSAGES)
        assert len(server.answerer.asks) == 1


async def test_an_error_half_way_is_raised() -> None:
    async with client([Text("Hel"), EngineCrashed("It died.")]) as (connected, _):
        stream = await connected.chat.completions.create(
            model="small", messages=MESSAGES, stream=True
        )
        with pytest.raises(openai.APIError, match="It died"):
            [chunk async for chunk in stream]


async def test_a_client_that_stops_reading_stops_the_answer() -> None:
    never = asyncio.Event()
    async with client([Text("x"), never.wait]) as (connected, server):
        stream = await connected.chat.completions.create(
            model="small", messages=MESSAGES, stream=True
        )
        await anext(aiter(stream))
        await stream.close()
        await asyncio.wait_for(server.answerer.closed.wait(), 2)


async def test_completions() -> None:
    async with client() as (connected, server):
        whole = await connected.completions.create(model="small", prompt=["a", "b"], echo=True)
        stream = await connected.completions.create(model="small", prompt="a", stream=True)
        texts = [chunk.choices[0].text async for chunk in stream]
        prompts = [ask.prompt for ask in server.answerer.asks]
    assert [choice.text for choice in whole.choices] == ["aHello, wörld 🎉", "bHello, wörld 🎉"]
    assert whole.usage is not None
    assert whole.usage.total_tokens == 70
    assert texts == ["Hel", "lo, wörld 🎉", ""]
    assert prompts == ["a", "b", "a"]


async def test_embeddings_in_base64_and_as_numbers() -> None:
    async with client() as (connected, server):
        packed = await connected.embeddings.create(model="small", input=["a", "b"])
        plain = await connected.embeddings.create(model="small", input="a", encoding_format="float")
        assert server.answerer.embedded == ("a",)
    assert packed.data[0].embedding == pytest.approx([0.6, 0.8])
    assert packed.data[1].embedding == pytest.approx([1.0, 0.0])
    assert plain.data[0].embedding == [0.6, 0.8]
    assert packed.usage.prompt_tokens == 7


async def test_a_response() -> None:
    async with client([*THINKING[:2], *CALLING[:2], Text("So."), done()]) as (connected, server):
        answer = await connected.responses.create(
            model="small", input="Hi", instructions="Be brief.", reasoning={"effort": "low"}
        )
        ask = server.answerer.asks[0]
    assert [item.type for item in answer.output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert answer.output_text == "So."
    assert answer.status == "completed"
    assert [message.role for message in ask.messages] == ["system", "user"]
    assert ask.think is True


async def test_a_response_in_events_is_put_together() -> None:
    async with (
        client([*THINKING[:-1], *CALLING]) as (connected, _),
        connected.responses.stream(model="small", input="Hi") as stream,
    ):
        numbers = [event.sequence_number async for event in stream]
        whole = await stream.get_final_response()
    assert numbers == sorted(numbers)
    assert whole.output_text == "42"
    assert [item.type for item in whole.output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]


async def test_a_structured_response() -> None:
    async with client(PLACE) as (connected, _):
        answer = await connected.responses.parse(model="small", input="Hi", text_format=Place)
    assert answer.output_parsed == Place(name="Köln", people=1_000_000)


async def test_a_response_goes_back_with_the_next_question() -> None:
    async with client([*THINKING[:2], *CALLING]) as (connected, server):
        first = await connected.responses.create(model="small", input="Hi")
        items: Any = [
            {"role": "user", "content": "Hi"},
            *first.output,
            {"type": "function_call_output", "call_id": "call_0", "output": "rain"},
        ]
        await connected.responses.create(model="small", input=items)
        _, assistant, result = server.answerer.asks[1].messages
    assert assistant.thinking == "Hm…"
    assert [call.name for call in assistant.tool_calls] == ["weather", "time"]
    assert (result.role, result.tool_name) == ("tool", "weather")


async def test_a_response_that_fails_half_way_is_raised() -> None:
    async with client([Text("Hel"), EngineCrashed("It died.")]) as (connected, _):
        stream = await connected.responses.create(model="small", input="Hi", stream=True)
        kinds = [(await anext(aiter(stream))).type for _ in range(9)]
        with pytest.raises(openai.APIError, match="It died"):
            await anext(aiter(stream))
    assert kinds[-1] == "response.failed"
