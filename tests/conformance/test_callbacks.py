"""Which callbacks a query makes, and what ends it (items 35 to 38, 55 and 57 of the Genie list)."""

from __future__ import annotations

import time

import pytest

from npurun_tui.engine.dialog import Dialog, Ending, GenieError, SentenceCode, Status
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
    ask(dialog, CAPITAL)
    ear = ask(dialog, turn("one two three " * 60), SentenceCode.REWIND)
    profile = dialog.profile()
    assert profile is not None
    if not ear.progress:
        pytest.skip("this engine tells no progress")
    done = [done for done, _ in ear.progress]
    assert done == sorted(done)
    assert all(0 <= done <= total for done, total in ear.progress)
    assert {total for _, total in ear.progress} == {profile.prompt_tokens}
    assert done[-1] == profile.prompt_tokens


def test_what_a_progress_callback_raises_is_raised(dialog: Dialog) -> None:
    class Full(Exception):
        pass

    heard: list[int] = []

    def refuse(done: int, _total: int) -> None:
        heard.append(done)
        raise Full

    dialog.set_max_tokens(4)  # an engine that tells no progress would fill the window
    ear = Ear()
    try:
        dialog.query(FOX, SentenceCode.COMPLETE, ear, refuse)
    except Full:
        assert ear.calls == []
        assert dialog.profile() is None
    assert len(heard) <= 1
    if not heard:
        pytest.skip("this engine tells no progress")
    assert ear.calls == [], "the exception was lost"
    dialog.set_max_tokens(None)
    dialog.reset()
    assert "Paris" in ask(dialog, CAPITAL).text


def test_the_times_are_those_of_the_call(dialog: Dialog) -> None:
    """Loosely, because a callback comes a moment after its token; a wrong unit or point of reference is caught."""
    at: list[float] = []
    dialog.set_max_tokens(24)
    began = time.perf_counter()
    dialog.query(
        turn("one two three " * 40), on_text=lambda _text, _code: at.append(time.perf_counter())
    )
    profile = dialog.profile()
    assert profile is not None
    first, last = (at[0] - began) * 1e6, (at[-2] - at[0]) * 1e6
    assert first / 2 < profile.ttft_us < first * 1.5
    assert last / 2 < profile.generation_us < last * 1.5


# --- what ended it -------------------------------------------------------------------------------


def ended(dialog: Dialog, limit: int | None, stop: list[str]) -> Ending | None:
    dialog.reset()
    dialog.set_max_tokens(limit)
    dialog.set_stop_sequences(stop)
    ask(dialog, CAPITAL)
    return dialog.ending


def test_the_ending_is_told_truly(dialog: Dialog) -> None:
    ear = ask(dialog, CAPITAL)
    count = ear.tokens
    if dialog.ending is None:
        pytest.skip("this engine cannot tell")
    assert dialog.ending == Ending.EOS
    assert ended(dialog, count + 1, []) == Ending.EOS
    assert ended(dialog, count + 1, [ear.text[-1] + "!"]) == Ending.EOS
    assert ended(dialog, count, []) == Ending.LENGTH
    assert ended(dialog, count - 1, []) == Ending.LENGTH
    assert ended(dialog, count, [ear.text[-2:]]) == Ending.STOP
    assert ended(dialog, count, [ear.text[-1] + "!"]) == Ending.LENGTH


def test_a_refused_query_has_no_ending_and_no_figures(dialog: Dialog) -> None:
    dialog.set_max_tokens(1)
    ask(dialog, CAPITAL)
    with pytest.raises(GenieError):
        dialog.query("")
    assert dialog.ending is None
    assert dialog.profile() is None
