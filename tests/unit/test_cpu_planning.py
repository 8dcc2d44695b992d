"""What each sentence code feeds, on a small tokenizer: one token per letter, control tokens as they are."""

from __future__ import annotations

import dataclasses

import pytest

from npurun_tui.engine.cpu.generation import Piece
from npurun_tui.engine.cpu.gguf import GgufInfo
from npurun_tui.engine.cpu.planning import Conversation, Planner
from npurun_tui.engine.cpu.prefix import Segment, Splitter
from npurun_tui.engine.cpu.record import CacheRecord
from npurun_tui.engine.cpu.sampling import RandomStream
from npurun_tui.engine.dialog import SentenceCode

CONTROL = {"<s>": 1, "</s>": 2}
INFO = GgufInfo(
    architecture="llama",
    name="",
    context_length=0,
    block_count=0,
    embedding_length=0,
    vocabulary_size=0,
    tokenizer="gpt2",
    chat_template="",
    quantisation="",
    bos=1,
    eos=2,
    eot=-1,
    adds_bos=False,
    tensor_count=0,
    file_size=0,
    header_size=0,
    control_tokens=CONTROL,
    texts={1: "<s>", 2: "</s>"},
)
WITH_BOS = dataclasses.replace(INFO, adds_bos=True)


def tokenize(text: str) -> list[int]:
    tokens: list[int] = []
    for part in Splitter(CONTROL).split(text):
        tokens.extend(
            [CONTROL[part.text]] if part.control else [ord(letter) for letter in part.text]
        )
    return tokens


def letters(text: str) -> list[Segment]:
    return [Segment(letter, (ord(letter),)) for letter in text]


def conversation(text: str = "", *, pending: str = "", queries: int = 0) -> Conversation:
    return Conversation(
        RandomStream(0),
        CacheRecord(letters(text)),
        letters(pending)[0] if pending else None,
        queries,
    )


@pytest.mark.parametrize("code", [SentenceCode.COMPLETE, SentenceCode.BEGIN])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (conversation(), "hi"),
        (conversation("ab", queries=1), "ab</s>hi"),
        (conversation("ab", pending="c", queries=1), "abc</s>hi"),
    ],
)
def test_complete_and_begin(state: Conversation, expected: str, code: SentenceCode) -> None:
    plan = Planner(tokenize, INFO).plan("hi", code, state)
    assert plan.prompt.tokens == tokenize(expected)
    assert plan.cached == len(state.record)


@pytest.mark.parametrize("code", [SentenceCode.CONTINUE, SentenceCode.END])
def test_continue_and_end_feed_text_only(code: SentenceCode) -> None:
    plan = Planner(tokenize, WITH_BOS).plan("hi", code, conversation("ab", pending="c", queries=3))
    assert plan.prompt.tokens == tokenize("abhi")


def test_bos_comes_before_the_text_unless_the_text_has_it() -> None:
    planner = Planner(tokenize, WITH_BOS)
    complete = SentenceCode.COMPLETE
    assert planner.plan("hi", complete, conversation()).prompt.tokens == tokenize("<s>hi")
    assert planner.plan("<s>hi", complete, conversation()).prompt.tokens == tokenize("<s>hi")
    later = conversation("ab", pending="c", queries=1)
    assert planner.plan("hi", complete, later).prompt.tokens == tokenize("abc</s><s>hi")
    rewound = planner.plan("hi", SentenceCode.REWIND, conversation("ab"))
    assert rewound.prompt.tokens == tokenize("<s>hi")


def test_a_model_without_eos_feeds_none() -> None:
    planner = Planner(tokenize, dataclasses.replace(INFO, eos=-1))
    plan = planner.plan("hi", SentenceCode.COMPLETE, conversation("ab", queries=1))
    assert plan.prompt.tokens == tokenize("abhi")


def test_rewind_reuses_the_pending_token_but_does_not_call_it_cached() -> None:
    state = conversation("ab", pending="c", queries=1)
    plan = Planner(tokenize, INFO).plan("abc</s>x", SentenceCode.REWIND, state)
    assert plan.prompt.tokens == tokenize("abc</s>x")
    assert plan.cached == 2
    assert state.record.tokens == tokenize("ab")


def test_only_what_is_new_is_tokenized() -> None:
    asked: list[str] = []

    def note(text: str) -> list[int]:
        asked.append(text)
        return tokenize(text)

    state = conversation("ab", pending="c", queries=1)
    Planner(note, INFO).plan("abc</s>x", SentenceCode.REWIND, state)
    assert asked == ["</s>x"]


def test_control_tokens_in_an_answer_are_control_tokens() -> None:
    segments = Planner(tokenize, INFO).answer([Piece("a", ord("a"), 1), Piece("", 1, 1)])
    assert segments == [Segment("a", (ord("a"),)), Segment("<s>", (1,), control=True)]


@pytest.mark.parametrize("characters", ["é", "éüß"])
def test_the_tokens_of_split_characters_are_found(characters: str) -> None:
    """A tokenizer of bytes, asked at most once."""
    asked: list[str] = []

    def of_bytes(text: str) -> list[int]:
        asked.append(text)
        tokens: list[int] = []
        for part in Splitter(CONTROL).split(text):
            tokens.extend([CONTROL[part.text]] if part.control else list(part.text.encode()))
        return tokens

    pieces = [Piece(text, text.encode()[-1], 2) for text in characters]
    segments = Planner(of_bytes, INFO).answer(pieces)
    assert [segment.text for segment in segments] == list(characters)
    assert [bytes(segment.tokens).decode() for segment in segments] == list(characters)
    assert len(asked) == 1


def test_the_space_that_sentencepiece_adds_is_dropped() -> None:
    planner = Planner(
        lambda text: [32, *text.encode()], dataclasses.replace(INFO, tokenizer="llama")
    )
    (segment,) = planner.answer([Piece("é", 0xA9, 2)])
    assert segment.tokens == (0xC3, 0xA9)


def test_other_tokens_than_the_sampled_ones_keep_the_text() -> None:
    """The count differs from the sampled one: the tokenizer's own tokens stand for the text."""
    (segment,) = Planner(tokenize, INFO).answer([Piece("abc", ord("c"), 2)])
    assert segment == Segment("abc", tuple(tokenize("abc")))
