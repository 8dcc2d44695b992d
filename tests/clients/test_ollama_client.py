"""The unmodified `ollama` package."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import ollama
import pytest

from tests.support.real_model import NAME
from tests.support.served import Served

pytestmark = pytest.mark.model

QUESTION = {"role": "user", "content": "Say hello in one short sentence."}
SHORT = {"temperature": 0, "num_predict": 8}


@pytest.fixture
def client(served: Served) -> Iterator[ollama.Client]:
    with ollama.Client(host=served.url) as client:
        yield client


def test_list_show_and_ps(client: ollama.Client) -> None:
    (model,) = [m for m in client.list().models if (m.model or "").startswith(NAME)]
    assert model.digest
    assert model.details is not None
    shown = client.show(NAME)
    assert "completion" in (shown.capabilities or [])
    assert shown.modelinfo is not None
    assert shown.modelinfo["llama.context_length"] == 8192
    client.generate(NAME, "Hi", options=SHORT)
    (running,) = client.ps().models
    assert running.expires_at is not None
    assert running.context_length


def test_chat_whole_and_streamed(client: ollama.Client) -> None:
    whole = client.chat(NAME, messages=[QUESTION], options=SHORT)
    assert whole.done_reason == "length"
    assert whole.eval_count == 8
    assert whole.total_duration
    parts = list(client.chat(NAME, messages=[QUESTION], options=SHORT, stream=True))
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert parts[-1].done


def test_generate_raw_and_not(client: ollama.Client) -> None:
    raw = client.generate(NAME, "Once upon a time", raw=True, options=SHORT)
    assert raw.response
    assert client.generate(NAME, "Say hello.", system="Be brief.", options=SHORT).response


def test_load_and_formats(client: ollama.Client) -> None:
    assert client.generate(NAME, "").done_reason == "load"
    answer = client.chat(
        NAME,
        messages=[{"role": "user", "content": "Name a colour as JSON."}],
        format={
            "type": "object",
            "properties": {"colour": {"enum": ["red", "green"]}},
            "required": ["colour"],
        },
        options={"temperature": 0, "num_predict": 40},
    )
    assert json.loads(answer.message.content or "")["colour"] in ("red", "green")


def test_errors_are_sentences(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="not found") as caught:
        client.chat("nothing-of-this-name", messages=[QUESTION])
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="embedding"):
        client.embed(NAME, "hello")
    with pytest.raises(ollama.ResponseError):
        client.delete("nothing-of-this-name")


async def test_a_broken_off_stream_frees_the_permit(served: Served) -> None:
    long = {"temperature": 1, "num_predict": 2000}
    async with ollama.AsyncClient(host=served.url) as client:
        stream = await client.generate(NAME, "Tell a very long story.", options=long, stream=True)
        async for _ in stream:
            break
        await stream.aclose()
        answer = await asyncio.wait_for(client.generate(NAME, "Hi", options=SHORT), 20)
    assert answer.response
