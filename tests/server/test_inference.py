"""The inference with the real model, its engine on another thread's loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.engine.engine import Engine
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.server.asking import (
    Ask,
    Call,
    Done,
    Event,
    Loading,
    Queued,
    Sampling,
    Text,
    ToolChoice,
)
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.faults import Busy, UnknownModel, Unready
from npurun_tui.server.inference import Inference
from tests.server.conftest import MakeInference

pytestmark = pytest.mark.model


def ask(text: str, model: str = "large", max_tokens: int = 12, **more: object) -> Ask:
    return Ask(
        model,
        (ChatMessage("user", text),),
        sampling=Sampling(temperature=0),
        max_tokens=max_tokens,
        **more,  # type: ignore[arg-type]
    )


async def events_of(inference: Inference, asked: Ask) -> list[Event]:
    return [event async for event in inference.answer(asked)]


async def rest_of(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


async def test_a_model_is_loaded_on_demand_and_answers(make_inference: MakeInference) -> None:
    inference = make_inference()
    events = await events_of(inference, ask("Please repeat this word: banana", max_tokens=24))
    assert events[0] == Loading("large")
    assert "banana" in text_of(events).lower()
    done = events[-1]
    assert isinstance(done, Done)
    assert done.reason == "stop"
    assert done.load_ms > 0
    assert done.stats.context_size == 1024
    again = await events_of(inference, ask("Please repeat this word: banana", "large:latest"))
    assert not any(isinstance(event, Loading) for event in again)


async def test_another_model_is_switched_to(make_inference: MakeInference, engine: Engine) -> None:
    inference = make_inference()
    for name, window in (("small", 512), ("large", 1024)):
        done = (await events_of(inference, ask("Hello", name)))[-1]
        assert isinstance(done, Done)
        assert done.stats.context_size == window
        assert engine.status.model is not None
        assert engine.status.model.name == name
    with pytest.raises(UnknownModel):
        await events_of(inference, ask("Hello", "gpt-4o"))


async def test_six_at_once_are_all_answered(make_inference: MakeInference) -> None:
    inference = make_inference()
    answers = await asyncio.gather(*(events_of(inference, ask(f"Count to {n}")) for n in range(6)))
    assert all(isinstance(events[-1], Done) for events in answers)
    assert sorted(max((e.ahead for e in events if isinstance(e, Queued)), default=0) for events in answers) == [
        0, 1, 2, 3, 4, 5,
    ]  # fmt: skip


async def test_without_a_queue_a_second_one_is_refused(make_inference: MakeInference) -> None:
    inference = make_inference(max_queue=0)
    first = inference.answer(ask("Tell me a long story.", max_tokens=400))
    await anext(first)
    with pytest.raises(Busy):
        await events_of(inference, ask("Hello"))
    await first.aclose()
    assert isinstance((await events_of(inference, ask("Hello")))[-1], Done)


async def test_leaving_frees_the_permit_within_a_token(
    make_inference: MakeInference, engine: Engine
) -> None:
    inference = make_inference()
    asked = ask("Tell me a long story.", max_tokens=400)
    story = inference.answer(asked)
    async for event in story:
        if isinstance(event, Text):
            break
    began = time.perf_counter()
    await story.aclose()
    assert time.perf_counter() - began < 1
    assert engine.status.holder is None
    assert 0 < asked.tally.completion_tokens < 400
    assert asked.tally.prompt_tokens is not None
    assert asked.tally.prompt_tokens > 5
    assert isinstance((await events_of(inference, ask("Hello")))[-1], Done)


async def test_what_clients_wish_for_on_the_real_engine(
    make_inference: MakeInference,
) -> None:
    """A schema, a needed call, a stop string, and the same seed twice."""
    inference = make_inference()
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "big": {"type": "boolean"}},
        "required": ["city", "big"],
        "additionalProperties": False,
    }
    text = text_of(
        await events_of(inference, ask("Tell me of Paris.", max_tokens=80, schema=schema))
    )
    document = json.loads(text)
    assert isinstance(document["city"], str)
    assert isinstance(document["big"], bool)

    parameters = {
        "type": "object",
        "properties": {"zone": {"enum": ["UTC", "CET"]}},
        "required": ["zone"],
    }
    tools = ({"type": "function", "function": {"name": "clock", "parameters": parameters}},)
    needed = ask("What time is it?", max_tokens=80, tools=tools, tool_choice=ToolChoice("required"))
    events = await events_of(inference, needed)
    (call,) = [event for event in events if isinstance(event, Call)]
    assert call.call.name == "clock"
    assert call.call.arguments["zone"] in {"UTC", "CET"}
    assert isinstance(done := events[-1], Done)
    assert done.reason == "tool_calls"

    events = await events_of(
        inference, ask("Count: one, two, three", max_tokens=60, stop=(" two", "two"))
    )
    assert "two" not in text_of(events)

    free = replace(ask("Say a number.", max_tokens=16), sampling=Sampling(temperature=1.5, seed=11))
    first, second = [text_of(await events_of(inference, free)) for _ in range(2)]
    assert first == second


async def test_zero_keep_alive_unloads_and_load_brings_it_back(
    make_inference: MakeInference, engine: Engine
) -> None:
    inference = make_inference()
    await events_of(inference, ask("Hello", keep_alive=0))
    async with asyncio.timeout(10):
        while engine.status.model is not None or engine.status.holder is not None:  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0.01)
    assert await inference.load("large", None) > 0
    assert await inference.load("large", None) == 0
    assert inference.expires is not None
    await inference.unload("large")
    assert engine.status.model is None


async def test_a_server_that_closes_ends_its_answers(
    make_inference: MakeInference, engine: Engine
) -> None:
    inference = make_inference()
    story = inference.answer(ask("Tell me a long story.", max_tokens=400))
    assert isinstance(await anext(story), Loading)
    await inference.aclose()
    with pytest.raises(Unready):
        await rest_of(story)
    with pytest.raises(Unready):
        await events_of(inference, ask("Hello"))
    assert engine.status.holder is None


async def test_a_model_is_looked_for_again_once_its_folder_has_changed(
    engine: Engine,
    engine_loop: asyncio.AbstractEventLoop,
    specs: dict[str, ModelSpec],
    tmp_path: Path,
) -> None:
    (tmp_path / "model").mkdir()
    spec = replace(specs["large"], folder=tmp_path / "model")
    looked: list[str] = []

    def spec_of(name: str) -> ModelSpec:
        looked.append(name)
        return spec

    inference = Inference(
        engine, engine_loop, spec_of=spec_of, installed=lambda: ["large"], config=ServerConfig()
    )
    async with aclosing(inference):
        for _ in range(3):
            await events_of(inference, ask("Hi", max_tokens=1))
        assert len(looked) == 1
        (tmp_path / "new").touch()
        (tmp_path / "new").rename(spec.folder / "manifest")
        for _ in range(2):
            await events_of(inference, ask("Hi", max_tokens=1))
        assert len(looked) == 2
