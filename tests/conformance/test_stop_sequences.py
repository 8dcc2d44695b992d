"""Stop sequences are never seen, wherever they fall in the tokens (items 47 and 48)."""

from __future__ import annotations

import pytest

from npurun_tui.engine.dialog import Action, Dialog, GenieError, SentenceCode, Status
from tests.conformance.hearing import CAPITAL, FOX, Ear, ask

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


@pytest.mark.parametrize("back", [1, 2, 1000])
def test_held_back_text_arrives_with_the_last_tokens_call(dialog: Dialog, back: int) -> None:
    """The answer's last characters, or all of it, look like the beginning of a stop sequence until its end."""
    plain = ask(dialog, CAPITAL)
    dialog.reset()
    dialog.set_stop_sequences([plain.text[-back:] + "!"])
    ear = ask(dialog, CAPITAL)
    assert (ear.text, ear.tokens) == (plain.text, plain.tokens)
    profile = dialog.profile()
    assert profile is not None
    assert profile.generated_tokens == ear.tokens


def test_text_comes_at_once_where_nothing_is_held_back(dialog: Dialog, story: str) -> None:
    """An abort in the n-th call leaves the text of n tokens, not of one less."""
    dialog.set_stop_sequences(["\x00 is never said"])
    heard: list[str] = []

    def stop(text: str, _code: SentenceCode) -> None:
        heard.append(text)
        if len(heard) == 3:
            dialog.signal(Action.ABORT)

    assert dialog.query(FOX, on_text=stop) == Status.WARNING_ABORTED
    assert all(heard[:3])
    assert story.startswith("".join(heard))


def test_an_abort_brings_what_was_held_back(dialog: Dialog, story: str) -> None:
    dialog.set_stop_sequences([story + "!"])
    ear = Ear()

    def stop(text: str, code: SentenceCode) -> None:
        ear(text, code)
        if len(ear.calls) == 3:
            dialog.signal(Action.ABORT)

    assert dialog.query(FOX, on_text=stop) == Status.WARNING_ABORTED
    ear.check()
    assert 3 <= ear.tokens <= 4
    profile = dialog.profile()
    assert profile is not None
    assert profile.generated_tokens == ear.tokens
    assert story.startswith(ear.text)
    assert len(dialog.tokenize(ear.text)) == ear.tokens


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
