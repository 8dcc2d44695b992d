"""The unmodified `openai` package."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.support.real_model import NAME
from tests.support.served import Served

pytestmark = pytest.mark.model

QUESTION: ChatCompletionUserMessageParam = {
    "role": "user",
    "content": "Say hello in one short sentence.",
}


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert NAME in names
    assert client.models.retrieve(NAME).id == NAME
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no/such:model")
    assert caught.value.code == "model_not_found"


def test_an_answer_with_true_counts(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=NAME, messages=[QUESTION], temperature=0, max_completion_tokens=8
    )
    choice = answer.choices[0]
    assert choice.message.content
    assert choice.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 8


def test_a_stream_says_the_same_as_the_whole(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(
        model=NAME, messages=[QUESTION], temperature=0, max_tokens=12
    )
    chunks = list(
        client.chat.completions.create(
            model=NAME,
            messages=[QUESTION],
            temperature=0,
            max_tokens=12,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens_details is not None
    assert (chunks[-1].usage.prompt_tokens_details.cached_tokens or 0) > 0
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_schema_is_kept(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "people": {"type": "integer"}},
        "required": ["city", "people"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=NAME,
        messages=[{"role": "user", "content": "Name a city and how many people live there."}],
        temperature=0,
        max_tokens=80,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "city", "schema": schema, "strict": True},
        },
    )
    document = json.loads(answer.choices[0].message.content or "")
    assert set(document) == {"city", "people"}
    assert isinstance(document["people"], int)


def test_a_tool_that_must_be_called_is_called(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=NAME,
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        temperature=0,
        max_tokens=100,
        tools=[
            {
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "description": "The weather of a city",
                    "parameters": {
                        "type": "object",
                        "properties": {"city": {"type": "string", "maxLength": 20}},
                        "required": ["city"],
                    },
                },
            }
        ],
        tool_choice="required",
    )
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    call = choice.message.tool_calls[0]
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)


def test_completions_and_responses(client: openai.OpenAI) -> None:
    done = client.completions.create(
        model=NAME, prompt="Once upon a time", max_tokens=6, temperature=0
    )
    assert done.choices[0].text
    response = client.responses.create(
        model=NAME, input="Say hello.", max_output_tokens=8, temperature=0
    )
    assert response.output_text
    kinds = [
        event.type
        for event in client.responses.create(
            model=NAME, input="Say hello.", max_output_tokens=8, temperature=0, stream=True
        )
    ]
    assert kinds[0] == "response.created"
    assert "response.output_text.delta" in kinds
    assert kinds[-1] in ("response.completed", "response.incomplete")


async def test_six_at_once_all_succeed(served: Served) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{served.url}/v1", api_key="x", max_retries=0
    ) as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(
                    model=NAME,
                    messages=[{"role": "user", "content": f"Count to {n}."}],
                    max_tokens=10,
                    temperature=0,
                )
                for n in range(6)
            )
        )
    assert all(answer.choices[0].message.content for answer in answers)


def test_embeddings_are_refused_with_the_reason(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="embedding"):
        client.embeddings.create(model=NAME, input="hello")
