"""Which callbacks a query makes, and what ends it (items 35 to 38, 55 and 57 of the Genie list)."""

from __future__ import annotations

import pytest

from npurun_tui.engine.dialog import Dialog, GenieError, SentenceCode, Status
from tests.conformance.hearing import CAPITAL, FOX, Ear, ask, turn

EMOJI = turn("Repeat exactly: 👍 привет 日本語 🎉🎉") + "👍"


def test_an_answer_begins_continues_and_ends(dialog: Dialog) -> None:
    ear = ask(dialog, CAPITAL)
    assert "Paris" in ear.text
    assert "<|im_end|>" not in ear.text
    assert len(ear.calls) > 3


def test_one_token_is_begin_then_end(dialog: Dialog) -> None:
    dialog.set_max_tokens(1)
    ear = ask(dialog, CAPITAL)
    assert [code for _, code in ear.calls] == [SentenceCode.BEGIN, SentenceCode.END]
    assert ear.text


def test_an_immediate_end_of_sequence_is_only_the_end(dialog: Dialog) -> None:
    answer = ask(dialog, CAPITAL).text
    dialog.reset()
    occupied = len(dialog.tokenize(CAPITAL + answer))
    assert ask(dialog, CAPITAL + answer).calls == [("", SentenceCode.END)]
    assert dialog.context_occupancy == occupied


@pytest.mark.parametrize("count", [1, 2, 7])
def test_max_tokens_is_exact_and_persists(dialog: Dialog, count: int) -> None:
    dialog.set_max_tokens(count)
    for _ in range(2):
        dialog.reset()
        assert ask(dialog, FOX).tokens == count


def test_no_max_tokens_behaves_as_one(dialog: Dialog) -> None:
    dialog.set_max_tokens(0)
    assert ask(dialog, FOX).tokens == 1


def test_max_tokens_can_be_lifted(dialog: Dialog) -> None:
    dialog.set_max_tokens(1)
    dialog.set_max_tokens(None)
    assert ask(dialog, CAPITAL).tokens > 1


def test_begin_and_continue_call_nothing_back(dialog: Dialog) -> None:
    ear = Ear()
    assert dialog.query("<|im_start|>user\nWhat is the", SentenceCode.BEGIN, ear) == Status.SUCCESS
    first = dialog.context_occupancy
    assert dialog.query(" capital of", SentenceCode.CONTINUE, ear) == Status.SUCCESS
    assert ear.calls == []
    assert dialog.context_occupancy > first > 0
    rest = " France?<|im_end|>\n<|im_start|>assistant\n"
    assert "Paris" in ask(dialog, rest, SentenceCode.END).text


def test_half_written_characters_never_appear(dialog: Dialog) -> None:
    dialog.set_max_tokens(12)
    ear = ask(dialog, EMOJI)
    assert ear.text.encode().decode() == ear.text
    assert "\ufffd" not in ear.text
    assert ear.tokens == 12
    assert len(dialog.tokenize(ear.text)) == 12


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_an_answer_cut_inside_a_character_keeps_its_count(dialog: Dialog, count: int) -> None:
    dialog.set_max_tokens(count)
    ear = ask(dialog, EMOJI)
    assert ear.tokens == count
    assert "\ufffd" not in ear.text[:-1]
    ear.text.encode()
    dialog.set_max_tokens(2)
    assert ask(dialog, turn("Go on.")).tokens == 2


def test_a_prompt_may_hold_control_characters(dialog: Dialog) -> None:
    dialog.set_max_tokens(2)
    ask(dialog, turn("a\x00b\x1b[31m\x07 \x7f"))
    assert dialog.context_occupancy > 0


@pytest.mark.parametrize("code", [SentenceCode.COMPLETE, SentenceCode.REWIND])
def test_an_empty_prompt_is_an_invalid_argument(dialog: Dialog, code: SentenceCode) -> None:
    ear = Ear()
    with pytest.raises(GenieError) as caught:
        dialog.query("", code, ear)
    assert caught.value.status == Status.ERROR_INVALID_ARGUMENT
    assert ear.calls == []


@pytest.mark.parametrize("code", [SentenceCode.ABORT, SentenceCode.RESUME])
def test_codes_of_other_calls_are_an_invalid_argument(dialog: Dialog, code: SentenceCode) -> None:
    with pytest.raises(GenieError) as caught:
        dialog.query("text", code)
    assert caught.value.status == Status.ERROR_INVALID_ARGUMENT
    assert caught.value.call == "GenieDialog_query"


def test_text_that_is_not_unicode_is_an_invalid_argument(dialog: Dialog) -> None:
    with pytest.raises(GenieError) as caught:
        dialog.query("half a pair: \ud83d")
    assert caught.value.status == Status.ERROR_INVALID_ARGUMENT


def test_a_callback_may_raise_and_the_dialog_goes_on(dialog: Dialog) -> None:
    class Full(Exception):
        pass

    heard: list[str] = []

    def refuse(text: str, code: SentenceCode) -> None:
        heard.append(text)
        if len(heard) == 3:
            raise Full

    with pytest.raises(Full):
        dialog.query(FOX, on_text=refuse)
    assert len(heard) == 3
    assert dialog.context_occupancy == len(dialog.tokenize(FOX)) + 2
    assert "Paris" in ask(dialog, CAPITAL, SentenceCode.REWIND).text


def test_a_query_needs_no_callback(dialog: Dialog) -> None:
    dialog.set_max_tokens(3)
    assert dialog.query(FOX) == Status.SUCCESS
    assert dialog.context_occupancy == len(dialog.tokenize(FOX)) + 2


def test_progress_reaches_the_whole_prompt(dialog: Dialog) -> None:
    dialog.set_max_tokens(1)
    ear = ask(dialog, turn("one two three " * 60))
    profile = dialog.profile()
    assert profile is not None
    if ear.progress:  # an engine that cannot tell never calls it
        done = [done for done, _ in ear.progress]
        assert done == sorted(done)
        assert ear.progress[-1] == (profile.prompt_tokens, profile.prompt_tokens)
