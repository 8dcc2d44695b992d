"""The context window is a hard limit, and status 4 says that it was reached (items 42 and 53)."""

from __future__ import annotations

import pytest

from npurun_tui.engine.dialog import Dialog, Ending, SentenceCode, Status
from tests.conformance.hearing import CAPITAL, Ear, ask, turn


def filling(dialog: Dialog, tokens: int) -> str:
    """A prompt of exactly `tokens` tokens, which the model goes on with for ever."""
    text = " dog" * tokens
    assert len(dialog.tokenize(text)) == tokens
    return text


def test_a_prompt_longer_than_the_window_generates_nothing(dialog: Dialog) -> None:
    dialog.set_max_tokens(1)
    ask(dialog, CAPITAL)
    dialog.reset()
    text = filling(dialog, dialog.context_size + 1)
    ear = ask(dialog, text, status=Status.WARNING_CONTEXT_EXCEEDED)
    assert ear.calls == [("", SentenceCode.END)]
    assert dialog.context_occupancy == 0
    assert dialog.profile() is None  # the figures of the query before are not this one's
    assert dialog.ending in (Ending.WINDOW, None)
    assert ask(dialog, CAPITAL).tokens == 1


@pytest.mark.parametrize("room", [0, 1, 3])
def test_decoding_stops_where_the_window_is_full(dialog: Dialog, room: int) -> None:
    text = filling(dialog, dialog.context_size - room)
    ear = ask(dialog, text, status=Status.WARNING_CONTEXT_EXCEEDED)
    assert ear.tokens == room + 1  # the last one is sampled but has no place any more
    assert dialog.context_occupancy == dialog.context_size
    assert dialog.ending in (Ending.WINDOW, None)
    profile = dialog.profile()
    if profile is not None:  # Genie has none here
        assert profile.cached_tokens + profile.prompt_tokens == dialog.context_size - room
        assert profile.generated_tokens == room + 1


def test_figures_of_a_full_window_tell_cached_from_prefilled(dialog: Dialog) -> None:
    dialog.set_max_tokens(2)
    text = filling(dialog, dialog.context_size - 4)
    ask(dialog, text)
    dialog.set_max_tokens(None)
    ask(dialog, text, SentenceCode.REWIND, status=Status.WARNING_CONTEXT_EXCEEDED)
    profile = dialog.profile()
    if profile is not None:
        assert profile.prompt_tokens <= 1
        assert profile.cached_tokens >= dialog.context_size - 5


def test_max_tokens_comes_before_the_window(dialog: Dialog) -> None:
    dialog.set_max_tokens(3)
    ask(dialog, filling(dialog, dialog.context_size - 2))
    assert dialog.context_occupancy == dialog.context_size


def test_what_complete_appends_must_fit_too(dialog: Dialog) -> None:
    dialog.set_max_tokens(2)
    ask(dialog, filling(dialog, dialog.context_size - 20))
    held = dialog.context_occupancy
    ear = ask(dialog, " dog" * 30, status=Status.WARNING_CONTEXT_EXCEEDED)
    assert ear.calls == [("", SentenceCode.END)]
    assert dialog.context_occupancy == held


def test_a_prefill_that_does_not_fit_says_so(dialog: Dialog) -> None:
    ear = Ear()
    text = filling(dialog, dialog.context_size + 1)
    assert dialog.query(text, SentenceCode.BEGIN, ear) == Status.WARNING_CONTEXT_EXCEEDED
    assert ear.calls == []
    assert dialog.context_occupancy == 0


def test_an_overflow_leaves_a_long_chat_as_it_was(dialog: Dialog) -> None:
    dialog.set_max_tokens(4)
    first = ask(dialog, CAPITAL).text
    too_long = turn("dog " * dialog.context_size)
    ask(dialog, too_long, SentenceCode.REWIND, status=Status.WARNING_CONTEXT_EXCEEDED)
    assert ask(dialog, CAPITAL, SentenceCode.REWIND).text == first
