"""The stop filter: nothing of a stop sequence is let through, nothing else is lost, and the work is linear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.engine.cpu.stops import StopFilter
from tests.support.work import steps

LETTERS = "ab"  # few letters, so that sequences overlap with themselves and each other
SEQUENCES = st.lists(st.text(LETTERS, min_size=1, max_size=5), max_size=4)
CHUNKS = st.lists(st.text(LETTERS, max_size=6), max_size=12)


def run(sequences: list[str], chunks: list[str]) -> tuple[list[str], bool]:
    stops = StopFilter(sequences)
    emitted: list[str] = []
    for chunk in chunks:
        text, matched = stops.feed(chunk)
        emitted.append(text)
        if matched:
            assert stops.emitted == len("".join(emitted))
            return emitted, True
    emitted.append(stops.flush())
    assert stops.emitted == len("".join(emitted))
    return emitted, False


def first_match(text: str, sequences: list[str]) -> int | None:
    """Where the sequence begins that ends first (the longest of those), by trying everything."""
    for end in range(1, len(text) + 1):
        starts = [end - len(s) for s in sequences if text[:end].endswith(s)]
        if starts:
            return min(starts)
    return None


@given(SEQUENCES, CHUNKS)
def test_the_text_up_to_the_first_match_comes_through(
    sequences: list[str], chunks: list[str]
) -> None:
    text = "".join(chunks)
    emitted, matched = run(sequences, chunks)
    start = first_match(text, sequences)
    assert matched == (start is not None)
    assert "".join(emitted) == text[:start]


@given(SEQUENCES, CHUNKS)
def test_no_stop_sequence_is_ever_emitted(sequences: list[str], chunks: list[str]) -> None:
    emitted, _ = run(sequences, chunks)
    assert not any(sequence in "".join(emitted) for sequence in sequences)


@given(SEQUENCES, CHUNKS)
def test_no_more_is_held_back_than_may_become_a_match(
    sequences: list[str], chunks: list[str]
) -> None:
    stops = StopFilter(sequences)
    text = ""
    for chunk in chunks:
        text += chunk
        if stops.feed(chunk)[1]:
            return
        longest = max(
            (n for s in sequences for n in range(len(s)) if text.endswith(s[:n])), default=0
        )
        assert len(stops.held) == longest


def test_without_sequences_text_passes() -> None:
    assert run([], ["a", "", "b"]) == (["a", "", "b", ""], False)


def test_a_sequence_over_many_tokens() -> None:
    assert run(["<|end|>"], ["Hi <", "|e", "", "nd", "|", "> and more"]) == (
        ["Hi ", "", "", "", "", ""],
        True,
    )


def test_a_false_start_is_given_back() -> None:
    assert run(["<|end|>"], ["a<|e", "<", "x"]) == (["a", "<|e", "<x", ""], False)


def test_the_end_gives_back_what_was_held() -> None:
    stops = StopFilter(["END"])
    assert stops.feed("the E") == ("the ", False)
    assert stops.flush() == "E"
    assert stops.flush() == ""


def test_the_longest_of_those_that_end_together_counts() -> None:
    assert run(["bc", "abc"], ["xabc"]) == (["x"], True)


def cost(sequence: int, chunks: int) -> int:
    """Steps for `chunks` chunks of text that nearly matches a sequence of `sequence` characters all the time."""
    stops = StopFilter(["a" * (sequence - 1) + "b"])
    for _ in range(sequence // 50 + 1):
        stops.feed("a" * 50)
    return steps(lambda: [stops.feed("a" * 50) for _ in range(chunks)])


def test_the_work_is_linear_in_the_text() -> None:
    assert cost(1000, 500) < 10.1 * cost(1000, 50)


def test_the_work_does_not_grow_with_the_sequence() -> None:
    assert cost(10_000, 100) < 1.1 * cost(100, 100)


@pytest.mark.parametrize("text", ["👍🏽", "é", "日本"])
def test_any_character(text: str) -> None:
    assert run([text], ["x", *text, "y"])[0][0] == "x"
    assert run([text], ["x", *text, "y"])[1]
