"""OpenAI's and Anthropic's routes over the real engine and the real 135M model, on a real socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest

from tests.server.conftest import MakeInference
from tests.server.scripted import served
from tests.server.test_anthropic_messages import told
from tests.server.test_openai_chat import EVERYTHING
from tests.server.test_sse import events

pytestmark = pytest.mark.model

COUNT: Any = [{"role": "user", "content": "Count from one to ten in words."}]
CHAT: dict[str, Any] = {"model": "small", "messages": COUNT, "temperature": 0, "max_tokens": 16}


async def test_streamed_and_whole_are_the_same_and_counted(make_inference: MakeInference) -> None:
    async with served(instead=make_inference()) as server:
        whole = (await server.post("/v1/chat/completions", CHAT)).json()
        body = CHAT | {"stream": True, "stream_options": {"include_usage": True}}
        *chunks, last, _ = events((await server.post("/v1/chat/completions", body)).text)
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == whole["choices"][0]["message"]["content"] != ""
    assert whole["choices"][0]["finish_reason"] == "length"
    for usage in (whole["usage"], last["usage"]):
        assert usage["completion_tokens"] == 16
        assert usage["total_tokens"] == usage["prompt_tokens"] + 16
    assert last["usage"]["prompt_tokens"] == whole["usage"]["prompt_tokens"]
    assert last["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    timings = last["timings"]
    assert timings["cache_n"] + timings["prompt_n"] == last["usage"]["prompt_tokens"]
    assert timings["predicted_per_second"] > 0


async def test_a_prompt_is_read_whole_where_that_is_asked(make_inference: MakeInference) -> None:
    async with served(instead=make_inference()) as server:
        asked = [CHAT, CHAT, CHAT | {"cache_prompt": False}, CHAT | {"cache_prompt": True}]
        answers = [(await server.post("/v1/chat/completions", body)).json() for body in asked]
    cached = [each["usage"]["prompt_tokens_details"]["cached_tokens"] for each in answers]
    assert (cached[0], cached[2]) == (0, 0)
    assert cached[1] == cached[3] > 0
    assert len({each["choices"][0]["message"]["content"] for each in answers}) == 1


async def test_a_stop_string_is_not_in_the_answer(make_inference: MakeInference) -> None:
    async with served(instead=make_inference()) as server:
        free = (await server.post("/v1/chat/completions", CHAT)).json()
        said = free["choices"][0]["message"]["content"]
        stop = said[len(said) // 2 :][:4]
        body = {
            "model": "small",
            "max_tokens": 16,
            "temperature": 0,
            "messages": COUNT,
            "stop_sequences": [stop],
        }
        cut = (await server.post("/v1/messages", body)).json()
        stream = told((await server.post("/v1/messages", body | {"stream": True})).text)
    assert cut["content"][0]["text"] == said.partition(stop)[0]
    assert (cut["stop_reason"], cut["stop_sequence"]) == ("stop_sequence", stop)
    assert stream[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": stop}


async def test_a_schema_holds_the_answer(make_inference: MakeInference) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    format_ = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    async with served(instead=make_inference()) as server:
        body = CHAT | {"response_format": format_, "max_tokens": 100, "seed": -(2**70)}
        answer = (await server.post("/v1/chat/completions", body)).json()
    person = json.loads(answer["choices"][0]["message"]["content"])
    assert person.keys() == {"name", "age"}
    assert isinstance(person["age"], int)


async def test_what_does_not_fit_is_a_status_in_both_dialects(
    make_inference: MakeInference,
) -> None:
    long: Any = [{"role": "user", "content": "word " * 2000}]
    async with served(instead=make_inference()) as server:
        for stream in (False, True):
            body = CHAT | {"messages": long, "stream": stream}
            first = await server.post("/v1/chat/completions", body)
            second = await server.post("/v1/messages", body)
            third = await server.post(
                "/v1/responses", {"model": "small", "input": long, "stream": stream}
            )
            for response in (first, second, third):
                assert response.status_code == 400, response.text
            error = first.json()["error"]
            assert error["code"] == "context_length_exceeded"
            assert error["n_prompt_tokens"] > error["n_ctx"] == 512
            assert "prompt is too long" in second.json()["error"]["message"]


async def test_a_full_line_is_a_status(make_inference: MakeInference) -> None:
    async with served(instead=make_inference(max_queue=0)) as server:
        body = CHAT | {"stream": True, "max_tokens": 400}
        async with server.http.stream("POST", "/v1/chat/completions", json=body) as running:
            chunks = running.aiter_text()
            await anext(chunks)
            refused = await server.post("/v1/chat/completions", CHAT | {"stream": True})
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        # The client of the first has left: the permit is free again.
        async with asyncio.timeout(10):
            while (await server.post("/v1/chat/completions", CHAT)).status_code != 200:
                pass


async def test_six_clients_at_once(make_inference: MakeInference) -> None:
    async with (
        served(instead=make_inference()) as server,
        openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client,
    ):
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(
                    model="small", messages=COUNT, max_tokens=4, temperature=0
                )
                for _ in range(6)
            )
        )
    assert [answer.usage.completion_tokens for answer in answers if answer.usage] == [4] * 6


async def test_a_raw_prompt_goes_on(make_inference: MakeInference) -> None:
    async with served(instead=make_inference()) as server:
        body = {"model": "small", "prompt": "one, two, three,", "max_tokens": 6, "temperature": 0}
        answer = (await server.post("/v1/completions", body)).json()
    assert "four" in answer["choices"][0]["text"]
    assert answer["usage"]["completion_tokens"] == 6


async def test_the_sdks_own_test_of_all_fields(make_inference: MakeInference) -> None:
    async with served(instead=make_inference()) as server:
        body = EVERYTHING | {"max_completion_tokens": 4}
        response = await server.post("/v1/chat/completions", body)
    assert response.status_code == 200, response.text
