"""Stop sequences are never seen, wherever they fall in the tokens (items 47 and 48)."""

from __future__ import annotations

import pytest

from npurun_tui.engine.dialog import Dialog, GenieError, SentenceCode, Status
from tests.conformance.hearing import FOX, ask

TOKENS = 14


@pytest.fixture
def story(dialog: Dialog) -> str:
    """What the model says without stop sequences; the dialog is as new afterwards."""
    dialog.set_max_tokens(TOKENS)
    text = ask(dialog, FOX).text
    dialog.reset()
    return text


@pytest.mark.parametrize("length", [1, 2, 5, 9, 15])
def test_a_stop_sequence_is_never_emitted(dialog: Dialog, story: str, length: int) -> None:
    for start in range(4, len(story) - length, max(1, len(story) // 4)):
        stop = story[start : start + length]
        dialog.set_stop_sequences([stop, "never said at all"])
        code = SentenceCode.REWIND if dialog.context_occupancy else SentenceCode.COMPLETE
        ear = ask(dialog, FOX, code)
        assert ear.text == story[: story.index(stop)]


def test_the_stop_sequence_leaves_the_cache(dialog: Dialog, story: str) -> None:
    words = story.split(" ")
    stop = " ".join(words[4:6])
    dialog.set_stop_sequences([stop])
    ear = ask(dialog, FOX)
    kept = dialog.tokenize(ear.text.rstrip())
    assert dialog.context_occupancy == len(dialog.tokenize(FOX)) + len(kept)
    dialog.set_stop_sequences([])
    dialog.set_max_tokens(1)
    before = dialog.context_occupancy
    ask(dialog, FOX)  # EOS and the text, but nothing of the stop sequence
    assert dialog.context_occupancy == before + 1 + len(dialog.tokenize(FOX))


def test_what_only_looked_like_a_stop_sequence_arrives(dialog: Dialog, story: str) -> None:
    dialog.set_stop_sequences([story[6:12] + "\x00", story[-2:] + "\x00"])
    ear = ask(dialog, FOX)
    assert ear.text == story
    assert ear.tokens == TOKENS


def test_held_back_text_arrives_when_the_answer_ends_by_itself(dialog: Dialog) -> None:
    prompt = FOX.replace("Tell me a long story about a fox.", "What is the capital of France?")
    answer = ask(dialog, prompt).text
    dialog.set_stop_sequences([answer[-1] + "!"])
    assert "".join(text for text, _ in ask_loosely(dialog, prompt)) == answer


def ask_loosely(dialog: Dialog, prompt: str) -> list[tuple[str, SentenceCode]]:
    calls: list[tuple[str, SentenceCode]] = []
    code = SentenceCode.REWIND
    assert dialog.query(prompt, code, lambda text, code: calls.append((text, code))) == 0
    return calls


def test_no_sequences_clear_them(dialog: Dialog, story: str) -> None:
    dialog.set_stop_sequences([story[4:8]])
    dialog.set_stop_sequences([])
    assert ask(dialog, FOX).text == story


@pytest.mark.parametrize(
    ("sequences", "status"),
    [([""], Status.ERROR_JSON_VALUE), (["a", ""], Status.ERROR_JSON_VALUE)],
)
def test_an_empty_sequence_is_refused(dialog: Dialog, sequences: list[str], status: Status) -> None:
    with pytest.raises(GenieError) as caught:
        dialog.set_stop_sequences(sequences)
    assert caught.value.status == status


def test_one_text_is_not_a_list_of_texts(dialog: Dialog) -> None:
    with pytest.raises(GenieError) as caught:
        dialog.set_stop_sequences("END")
    assert caught.value.status == Status.ERROR_JSON_SCHEMA
