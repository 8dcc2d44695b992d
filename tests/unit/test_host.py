"""What a turn says of itself, over the real engine process and the real model: its ending and its figures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from npurun_tui.engine.dialog import Sampler, Status
from npurun_tui.engine.engine import Engine, Permit
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.remote import QueryOutcome
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import (
    Finished,
    FinishReason,
    Piece,
    Prefill,
    Turn,
    TurnOptions,
    begin_turn,
)

pytestmark = pytest.mark.model

GREEDY = Sampler(temperature=0)
CONTEXT = 1024
SMALL = 256
"""A window that is soon full."""
SHORT = "Say only the word yes."


@pytest.fixture
async def permit(
    tmp_path: Path, model_file: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Permit]:
    """With the model loaded; its window is CONTEXT where the test names no other."""
    window: int = getattr(request, "param", CONTEXT)
    engine = Engine(log=tmp_path / "engine.log", answer_timeout=60)
    folder = model_file.parent
    async with engine.permit("test") as permit:
        await permit.load(ModelSpec("smollm2", "llama.cpp", folder, model_file, context=window))
        yield permit
    await engine.aclose()


async def answer(
    permit: Permit,
    prompt: str,
    limit: int | None = None,
    stop: tuple[str, ...] = (),
    window: int = CONTEXT,
) -> tuple[str, Finished]:
    pieces: list[str] = []

    def on_event(event: Prefill | Piece) -> None:
        if isinstance(event, Piece):
            pieces.append(event.text)

    messages = [ChatMessage("user", prompt)]
    finished = await begin_turn(permit, window, messages, TurnOptions(GREEDY, limit, stop)).run(
        on_event
    )
    return "".join(pieces), finished


async def test_the_finish_reason_is_what_ended_the_answer(permit: Permit) -> None:
    text, whole = await answer(permit, SHORT, 200)
    assert whole.reason is FinishReason.STOP
    count = whole.stats.completion_tokens
    for limit, stop, reason in [
        (count + 1, (), FinishReason.STOP),
        (count + 1, (text[-1] + "!",), FinishReason.STOP),
        (count, (text[-2:],), FinishReason.STOP),
        (count, (), FinishReason.LENGTH),
        (count - 1, (), FinishReason.LENGTH),
    ]:
        _, finished = await answer(permit, SHORT, limit, stop)
        assert finished.reason is reason, (limit, stop)
        assert finished.stats.completion_tokens == min(limit, count)


@pytest.mark.parametrize("permit", [SMALL], indirect=True)
async def test_a_full_window_tells_cached_from_prefilled(permit: Permit) -> None:
    prompt = "Repeat for ever: " + "dog " * (SMALL - 50)
    _, first = await answer(permit, prompt, 2, window=SMALL)
    _, full = await answer(permit, prompt, None, window=SMALL)
    assert full.stats.note == "the context window is full"
    assert full.reason is FinishReason.LENGTH
    assert full.stats.prefilled_tokens <= 1
    assert full.stats.cached_tokens >= first.stats.prompt_tokens - 1
    assert full.stats.prompt_tokens == first.stats.prompt_tokens
    assert 0 < full.stats.decode_tps < 10_000


async def test_a_turn_stopped_in_its_prefill_claims_nothing_of_an_earlier_one(
    permit: Permit,
) -> None:
    await answer(permit, SHORT, 4)
    messages = [ChatMessage("user", "word " * 900)]
    turn = begin_turn(permit, CONTEXT, messages, TurnOptions(GREEDY))
    told: list[Prefill] = []

    def on_event(event: Prefill | Piece) -> None:
        if isinstance(event, Prefill):
            told.append(event)
            turn.stop()

    finished = await turn.run(on_event)
    assert finished.reason is FinishReason.ABORTED
    assert finished.stats.completion_tokens == 0
    assert finished.stats.prefilled_tokens in {event.done for event in told}
    assert (finished.stats.ttft_ms, finished.stats.prefill_tps) == (0, 0)


async def test_without_the_engines_figures_only_the_tokens_are_counted(permit: Permit) -> None:
    turn = Turn(permit, CONTEXT, [], TurnOptions(GREEDY, max_tokens=5))
    outcome = QueryOutcome(Status.WARNING_CONTEXT_EXCEEDED, 3, CONTEXT, None)
    stats = turn._stats(outcome, 0.0, "")
    assert (stats.prefilled_tokens, stats.cached_tokens, stats.completion_tokens) == (0, 0, 3)
    assert (stats.prefill_tps, stats.decode_tps, stats.ttft_ms) == (0, 0, 0)
    assert stats.occupancy == CONTEXT


@pytest.mark.parametrize(("count", "reason"), [(4, "stop"), (5, "length"), (6, "length")])
async def test_an_engine_that_cannot_tell_is_counted(
    permit: Permit, count: int, reason: str
) -> None:
    turn = Turn(permit, CONTEXT, [], TurnOptions(GREEDY, max_tokens=5))
    assert turn._reason(QueryOutcome(Status.SUCCESS, count, 20, None)) == reason
