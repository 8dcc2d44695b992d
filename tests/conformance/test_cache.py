"""What the cache holds: COMPLETE appends, REWIND keeps the common token prefix, reset empties (items 43 to 46)."""

from __future__ import annotations

import pytest

from npurun_tui.engine.dialog import Dialog, GenieError, QueryProfile, SentenceCode, Status
from tests.conformance.hearing import CAPITAL, FOX, after, ask, turn


def figures(dialog: Dialog) -> QueryProfile:
    profile = dialog.profile()
    assert profile is not None
    return profile


def test_the_last_sampled_token_is_not_in_the_cache(dialog: Dialog) -> None:
    dialog.set_max_tokens(5)
    ask(dialog, FOX)
    assert dialog.context_occupancy == len(dialog.tokenize(FOX)) + 4


def test_after_an_end_of_sequence_the_whole_answer_is_in_the_cache(dialog: Dialog) -> None:
    ear = ask(dialog, CAPITAL)
    assert dialog.context_occupancy == len(dialog.tokenize(CAPITAL)) + ear.tokens


def test_complete_appends(dialog: Dialog) -> None:
    dialog.set_max_tokens(5)
    ask(dialog, FOX)
    before = dialog.context_occupancy
    ask(dialog, CAPITAL)
    # the last sampled token, EOS, the text, and the new answer but for its last token
    assert dialog.context_occupancy == before + 2 + len(dialog.tokenize(CAPITAL)) + 4
    assert figures(dialog).prompt_tokens <= 2 + len(dialog.tokenize(CAPITAL))


def test_complete_feeds_no_sampled_token_after_an_end_of_sequence(dialog: Dialog) -> None:
    ask(dialog, CAPITAL)
    before = dialog.context_occupancy
    dialog.set_max_tokens(1)
    ask(dialog, CAPITAL)
    assert dialog.context_occupancy == before + 1 + len(dialog.tokenize(CAPITAL))


def test_begin_after_a_query_feeds_the_sampled_token_and_the_end_of_sequence(
    dialog: Dialog,
) -> None:
    dialog.set_max_tokens(3)
    ask(dialog, FOX)
    before = dialog.context_occupancy
    dialog.query("<|im_start|>user\n", SentenceCode.BEGIN)
    assert dialog.context_occupancy == before + 2 + len(dialog.tokenize("<|im_start|>user\n"))


def test_end_feeds_the_text_only(dialog: Dialog) -> None:
    dialog.set_max_tokens(3)
    ask(dialog, FOX)
    before = dialog.context_occupancy
    ask(dialog, " and then", SentenceCode.END)
    assert dialog.context_occupancy == before + len(dialog.tokenize(" and then")) + 2


def test_reset_empties_the_cache(dialog: Dialog) -> None:
    dialog.set_max_tokens(3)
    first = ask(dialog, FOX).text
    dialog.reset()
    assert dialog.context_occupancy == 0
    assert ask(dialog, FOX).text == first
    assert figures(dialog).cached_tokens == 0
    assert figures(dialog).prompt_tokens == len(dialog.tokenize(FOX))


def test_reset_keeps_stop_sequences_and_max_tokens(dialog: Dialog) -> None:
    dialog.set_max_tokens(6)
    text = ask(dialog, FOX).text
    stop = text[3:5]
    dialog.set_stop_sequences([stop])
    dialog.reset()
    assert ask(dialog, FOX).text == text[: text.index(stop)]
    dialog.set_stop_sequences([])
    dialog.reset()
    assert ask(dialog, FOX).tokens == 6


def test_rewind_of_an_empty_cache_fails(dialog: Dialog) -> None:
    with pytest.raises(GenieError) as caught:
        dialog.query(CAPITAL, SentenceCode.REWIND)
    assert caught.value.status == Status.ERROR_QUERY_FAILED


def test_rewind_prefills_the_new_part_only(dialog: Dialog) -> None:
    answer = ask(dialog, CAPITAL).text
    held = dialog.context_occupancy
    prompt = after(CAPITAL, answer, "And of Italy?")
    new = len(dialog.tokenize(prompt)) - held
    dialog.set_max_tokens(8)
    rewound = ask(dialog, prompt, SentenceCode.REWIND)
    assert figures(dialog).prompt_tokens == new
    assert figures(dialog).cached_tokens == held
    assert dialog.context_occupancy == held + new + 7
    dialog.reset()
    assert ask(dialog, prompt).text == rewound.text


def test_rewind_cuts_what_is_not_shared(dialog: Dialog) -> None:
    dialog.set_max_tokens(4)
    ask(dialog, FOX)
    other = turn("Tell me a long story about a dog.")
    tokens, others = dialog.tokenize(FOX), dialog.tokenize(other)
    shared = next(i for i, (a, b) in enumerate(zip(tokens, others, strict=True)) if a != b)
    ask(dialog, other, SentenceCode.REWIND)
    assert figures(dialog).prompt_tokens == len(others) - shared
    assert dialog.context_occupancy == len(others) + 3


def test_rewind_to_the_same_prompt_gives_the_same_answer(dialog: Dialog) -> None:
    dialog.set_max_tokens(6)
    first = ask(dialog, FOX).text
    assert ask(dialog, FOX, SentenceCode.REWIND).text == first
    assert figures(dialog).prompt_tokens <= 1


def test_rewind_without_anything_shared_still_answers(dialog: Dialog) -> None:
    dialog.set_max_tokens(4)
    ask(dialog, FOX)
    ask(dialog, "Once upon a time", SentenceCode.REWIND)
    assert dialog.context_occupancy == len(dialog.tokenize("Once upon a time")) + 3


def test_turn_after_turn_only_the_new_turn_is_prefilled(dialog: Dialog) -> None:
    dialog.set_max_tokens(10)  # most answers are cut, so their last token is not in the cache
    prompt = turn("Name a colour. 🎨")
    ask_code, before = SentenceCode.COMPLETE, 0
    for word in ("red", "green 👍", "blue", "日本"):
        answer = ask(dialog, prompt, ask_code).text
        held = dialog.context_occupancy
        longer = after(prompt, answer, f"And {word}?")
        assert figures(dialog).cached_tokens == before
        prompt, before, ask_code = longer, held, SentenceCode.REWIND


def test_the_profile_counts_tokens_and_times(dialog: Dialog) -> None:
    dialog.set_max_tokens(5)
    ask(dialog, FOX)
    profile = figures(dialog)
    assert profile.prompt_tokens == len(dialog.tokenize(FOX))
    assert profile.generated_tokens == 5
    assert profile.ttft_us > 0
    assert profile.generation_us > 0
    assert profile.prefill_tps > 0
    assert profile.decode_tps > 0
