"""Reusing cached tokens by text: canonical caches behave as plain token prefixes, others keep more."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.engine.cpu.prefix import Part, Segment, Splitter, common_prefix, reusable
from npurun_tui.engine.cpu.record import CacheRecord

CONTROL = {"<s>": 1, "<e>": 2, "<se>": 3}
SPLITTER = Splitter(CONTROL)
WORDS = {"ab": 10, "a": 11, "b": 12, "aa": 13, " ": 14}
TEXTS = st.lists(st.sampled_from(["<s>", "<e>", "<se>", "a", "b", "ab", "aa", " "]), max_size=12)


def canonical(text: str) -> list[int]:
    """A small tokenizer of the usual kind: control tokens first, then the longest words, each part by itself."""
    tokens: list[int] = []
    for part in SPLITTER.split(text):
        if part.control:
            tokens.append(CONTROL[part.text])
            continue
        rest = part.text
        while rest:
            word = next(word for word in ("ab", "aa", "a", "b", " ") if rest.startswith(word))
            tokens.append(WORDS[word])
            rest = rest[len(word) :]
    return tokens


def encode(text: str) -> list[Segment]:
    return SPLITTER.align(SPLITTER.split(text), canonical(text))


def compose(text: str, cached: CacheRecord) -> CacheRecord:
    parts = SPLITTER.split(text)
    kept = reusable(parts, cached.segments)
    prompt = CacheRecord(cached.segments[:kept])
    prompt.extend(encode("".join(part.text for part in parts[kept:])))
    return prompt


@given(TEXTS, TEXTS, TEXTS)
def test_on_a_canonical_cache_composing_is_tokenizing(
    shared: list[str], old: list[str], new: list[str]
) -> None:
    cached = CacheRecord(encode("".join(shared + old)))
    text = "".join(shared + new)
    assert compose(text, cached).tokens == canonical(text)


@given(TEXTS, TEXTS, st.data())
def test_on_a_sampled_cache_never_less_is_kept(
    shared: list[str], new: list[str], data: st.DataObject
) -> None:
    """The cache's texts are written with any tokens that spell them."""
    cached = CacheRecord()
    for part in SPLITTER.split("".join(shared)):
        if part.control:
            cached.extend([Segment(part.text, (CONTROL[part.text],), control=True)])
            continue
        rest = part.text
        while rest:
            words = [word for word in WORDS if rest.startswith(word)]
            word = data.draw(st.sampled_from(words))
            cached.extend([Segment(word, (WORDS[word],))])
            rest = rest[len(word) :]
    text = "".join(shared + new)
    composed = compose(text, cached).tokens
    assert "".join(spell(composed)) == text
    plain = common_prefix(canonical(text), cached.tokens)
    assert common_prefix(composed, cached.tokens) >= plain


def spell(tokens: list[int]) -> list[str]:
    names = {token: text for text, token in (CONTROL | WORDS).items()}
    return [names[token] for token in tokens]


def test_an_answer_with_other_tokens_is_kept_whole() -> None:
    cached = CacheRecord(encode("<s>a"))
    cached.extend([Segment("a", (11,)), Segment("b", (12,))])  # canonical would be "aa", "b"
    prompt = compose("<s>aab<e>", cached)
    assert prompt.tokens == [1, 11, 11, 12, 2]
    assert common_prefix(prompt.tokens, cached.tokens) == len(cached)


def test_splitting_prefers_the_longest_control_token() -> None:
    assert SPLITTER.split("x<se><s>") == [
        Part("x", control=False),
        Part("<se>", control=True),
        Part("<s>", control=True),
    ]
    assert SPLITTER.split("") == []
    assert Splitter({}).split("<s>") == [Part("<s>", control=False)]
    assert Splitter({}).split("") == []


def test_tokens_that_do_not_fit_their_text_are_of_unknown_text() -> None:
    parts = SPLITTER.split("a<s>b")
    assert SPLITTER.align(parts, [11, 2, 12]) == [Segment(None, (11, 2, 12))]
    assert SPLITTER.align(parts, [11]) == [Segment(None, (11,))]
    assert SPLITTER.align(parts, [11, 1, 12, 2]) == [Segment(None, (11, 1, 12, 2))]


def test_unknown_text_is_never_reused() -> None:
    assert reusable([Part("a", control=False)], [Segment(None, (11,))]) == 0


def test_texts_that_follow_each_other_are_one_segment() -> None:
    record = CacheRecord(encode("<s>a"))
    record.extend([Segment("b", (12,)), Segment("<e>", (2,), control=True), Segment("a", (11,))])
    assert list(record.segments) == [
        Segment("<s>", (1,), control=True),
        Segment("ab", (11, 12)),
        Segment("<e>", (2,), control=True),
        Segment("a", (11,)),
    ]
    assert record.tokens == [1, 11, 12, 2, 11]


@given(TEXTS, st.integers(0, 20))
def test_cutting_keeps_exactly_so_many_tokens(words: list[str], count: int) -> None:
    record = CacheRecord(encode("".join(words)))
    cut = record.cut(count)
    assert cut.tokens == record.tokens[:count]
    assert len(record.copy()) == len(record)
    for kept, segment in itertools.zip_longest(cut.segments, record.segments[: len(cut.segments)]):
        assert kept is not None
        assert kept.text in (None, segment.text)


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_prefix(first: list[int], second: list[int]) -> None:
    length = common_prefix(first, second)
    assert first[:length] == second[:length]
    assert first[length : length + 1] != second[length : length + 1] or length == min(
        len(first), len(second)
    )
