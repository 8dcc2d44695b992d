"""Prompts by name, and prompts of an exact length."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from npurun_tui.bench.engine_target import EngineTarget
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.prompts import BUILT_IN, NEAR, asking, prompts_of, sized
from npurun_tui.bench.target import Measuring
from npurun_tui.engine.engine import Engine
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import UsageError
from tests.bench.playing import Played


def test_without_a_wish_all_built_in_prompts_are_asked() -> None:
    assert prompts_of(Plan()) == BUILT_IN
    assert prompts_of(Plan(lengths=(32,))) == {}
    assert prompts_of(Plan(prompts=("number",))) == {"number": BUILT_IN["number"]}


def test_a_text_is_called_by_its_beginning_and_no_two_have_one_name() -> None:
    long = "Why is the sky blue, and why is it red in the evening? "
    named = prompts_of(Plan(prompts=("Hi\x1b[2J", long + "A", long + "B", "joke")))
    assert len(named) == 4
    assert all(len(name) <= 40 and name.isprintable() for name in named)
    assert set(named.values()) == {"Hi\x1b[2J", long + "A", long + "B", BUILT_IN["joke"]}


class Counting(Played):
    """Counts as a vocabulary might: `by` words or letters."""

    def __init__(self, per_word: int, per_letters: int = 0) -> None:
        super().__init__()
        self._per_word = per_word
        self._per_letters = per_letters
        self.asked = 0

    async def count(self, messages: tuple[ChatMessage, ...]) -> int:
        self.asked += 1
        text = messages[0].content
        if self._per_letters:
            return 9 + -(-len(text) // self._per_letters)
        return 9 + self._per_word * len(text.split())


@pytest.mark.parametrize("measuring", [Counting(1), Counting(2), Counting(0, 4), Counting(0, 1)])
@pytest.mark.parametrize("tokens", [32, 33, 64, 127, 512, 2048, 8000])
async def test_a_prompt_has_as_many_tokens_as_it_should(measuring: Counting, tokens: int) -> None:
    measuring.asked = 0
    text = await sized(measuring, tokens)
    asked = measuring.asked
    assert abs(await measuring.count(asking(text)) - tokens) <= NEAR
    assert asked < 40, "a count may cost an endpoint a prefill"


async def test_what_is_shorter_than_the_template_is_refused() -> None:
    with pytest.raises(UsageError, match="the shortest has 11"):
        await sized(Played(), 5)


async def test_where_nobody_counts_no_length_is_promised() -> None:
    with pytest.raises(UsageError, match="does not tell how many tokens"):
        await sized(Played(counts=False), 64)


@pytest.fixture
async def at_hand(model_file: Path, tmp_path: Path) -> AsyncIterator[Measuring]:
    engine = Engine(log=tmp_path / "engine.log", answer_timeout=60)
    spec = ModelSpec("smollm2", "llama.cpp", model_file.parent, model_file, context=2048)
    target = EngineTarget(engine, spec)
    async with target.at_hand(0, lambda _ahead, _holder: None, lambda: None) as measuring:
        yield measuring
    await engine.aclose()


@pytest.mark.model
async def test_with_a_real_vocabulary_lengths_are_exact(at_hand: Measuring) -> None:
    for tokens in (40, 64, 65, 66, 129, 512, 2000):
        text = await sized(at_hand, tokens)
        assert await at_hand.count(asking(text)) == tokens
    with pytest.raises(UsageError, match="the shortest has"):
        await sized(at_hand, 16)
