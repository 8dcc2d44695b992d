"""The inference with the real model, its engine on another thread's loop."""

from __future__ import annotations

import asyncio
import time

import pytest

from npurun_tui.engine.engine import Engine
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.server.asking import Ask, Done, Event, Loading, Queued, Sampling, Text
from npurun_tui.server.faults import Busy, UnknownModel
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
    story = inference.answer(ask("Tell me a long story.", max_tokens=400))
    async for event in story:
        if isinstance(event, Text):
            break
    began = time.perf_counter()
    await story.aclose()
    assert time.perf_counter() - began < 1
    assert engine.status.holder is None
    assert isinstance((await events_of(inference, ask("Hello")))[-1], Done)
