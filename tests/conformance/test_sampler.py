"""Greedy is greedy, seeds repeat, and the random stream runs from reset to reset (items 27 to 29)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from npurun_tui.engine.dialog import Dialog, GenieError, Sampler, SentenceCode, Status
from tests.conformance.hearing import FOX, ask

HOT = Sampler(temperature=1.5, top_k=0, top_p=1.0, seed=7)


def answers(dialog: Dialog, sampler: Sampler, count: int = 1) -> list[str]:
    """The first `count` answers to the same prompt after a reset."""
    dialog.set_max_tokens(8)
    dialog.set_sampler(sampler)
    dialog.reset()
    texts = [ask(dialog, FOX).text]
    while len(texts) < count:
        texts.append(ask(dialog, FOX, SentenceCode.REWIND).text)
    return texts


def test_greedy_by_temperature_and_by_top_k_agree(dialog: Dialog) -> None:
    by_temperature = answers(dialog, Sampler(temperature=0, seed=1))
    assert answers(dialog, Sampler(temperature=1.0, top_k=1, seed=2)) == by_temperature
    assert answers(dialog, Sampler(temperature=1.0, top_p=1e-6, seed=3)) == by_temperature


def test_the_same_seed_gives_the_same_answer_after_a_reset(dialog: Dialog) -> None:
    first = answers(dialog, HOT)
    assert answers(dialog, HOT) == first


def test_greedy_does_not_outlive_a_rebuild(dialog: Dialog) -> None:
    """A Genie sampler that is made greedy stays so for ever, whatever is applied to it."""
    dialog.set_sampler(Sampler(temperature=0))
    dialog.rebuild()
    greedy = answers(dialog, Sampler(temperature=0))
    assert len({answers(dialog, replace(HOT, seed=seed))[0] for seed in (7, 8, 9)} - {*greedy}) == 3


def test_another_seed_gives_another_answer(dialog: Dialog) -> None:
    other = Sampler(temperature=1.5, top_k=0, top_p=1.0, seed=8)
    assert answers(dialog, HOT) != answers(dialog, other)


def test_a_query_does_not_restart_the_stream(dialog: Dialog) -> None:
    first, second = answers(dialog, HOT, 2)
    assert first != second


def test_applying_the_same_seed_does_not_restart_the_stream(dialog: Dialog) -> None:
    first = answers(dialog, HOT)
    dialog.set_sampler(HOT)
    assert [ask(dialog, FOX, SentenceCode.REWIND).text] != first


def test_without_a_seed_answers_differ(dialog: Dialog) -> None:
    free = Sampler(temperature=1.5, top_k=0, top_p=1.0)
    assert len({answers(dialog, free)[0] for _ in range(3)}) > 1


def test_a_repetition_penalty_changes_what_is_said(dialog: Dialog) -> None:
    dialog.set_max_tokens(12)
    prompt = "dog cat dog cat dog cat dog cat dog"
    dialog.set_sampler(Sampler(temperature=0))
    plain = ask(dialog, prompt).text
    dialog.set_sampler(Sampler(temperature=0, repetition_penalty=1.8))
    assert ask(dialog, prompt, SentenceCode.REWIND).text != plain


def test_a_changed_seed_restarts_the_stream(dialog: Dialog) -> None:
    first = answers(dialog, HOT)
    dialog.set_sampler(replace(HOT, seed=8))
    other = ask(dialog, FOX, SentenceCode.REWIND).text
    dialog.set_sampler(HOT)
    assert [ask(dialog, FOX, SentenceCode.REWIND).text] == first
    assert [other] != first


PEAKED = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"


def first_tokens(dialog: Dialog, sampler: Sampler, count: int) -> set[str]:
    """The different first tokens of `count` answers to a text whose next token is hardly in doubt."""
    dialog.set_max_tokens(1)
    dialog.set_sampler(sampler)
    dialog.query(PEAKED, SentenceCode.BEGIN)
    return {ask(dialog, PEAKED, SentenceCode.REWIND).text for _ in range(count)}


def test_without_filters_every_token_can_come(dialog: Dialog) -> None:
    """At this temperature all 49,152 tokens are about as likely; any filter would leave a few."""
    everything = Sampler(temperature=1e4, top_k=0, top_p=1.0, seed=5)
    assert len(first_tokens(dialog, everything, 60)) > 50


def test_top_k_leaves_so_many_tokens(dialog: Dialog) -> None:
    few = Sampler(temperature=1e4, top_k=3, top_p=1.0, seed=5)
    assert 1 < len(first_tokens(dialog, few, 24)) <= 3


def test_next_to_no_temperature_is_greedy(dialog: Dialog) -> None:
    greedy = answers(dialog, Sampler(temperature=0))
    for seed in range(3):
        assert answers(dialog, Sampler(temperature=0.001, top_k=0, top_p=1.0, seed=seed)) == greedy


def test_the_penalty_looks_at_so_many_tokens(dialog: Dialog) -> None:
    dialog.set_max_tokens(16)
    said = []
    for last in (None, 0, 1, 64):
        strong = Sampler(temperature=0, repetition_penalty=1.8, penalize_last_n=last or 0)
        dialog.set_sampler(Sampler(temperature=0) if last is None else strong)
        dialog.reset()
        said.append(ask(dialog, "dog cat dog cat dog cat dog cat dog").text)
    plain, none, one, many = said
    assert none == plain
    assert len({plain, one, many}) == 3


@pytest.mark.parametrize(
    "sampler",
    [
        Sampler(temperature=float("nan")),
        Sampler(temperature=float("inf")),
        Sampler(top_k=-1),
        Sampler(top_p=1.5),
        Sampler(top_p=float("nan")),
        Sampler(repetition_penalty=0.0),
        Sampler(penalize_last_n=-1),
        Sampler(min_p=1.5),
        Sampler(min_p=float("nan")),
        Sampler(presence_penalty=2.5),
        Sampler(presence_penalty=float("nan")),
        Sampler(frequency_penalty=float("-inf")),
    ],
)
def test_settings_out_of_range_are_refused(dialog: Dialog, sampler: Sampler) -> None:
    with pytest.raises(GenieError) as caught:
        dialog.set_sampler(sampler)
    assert caught.value.status == Status.ERROR_JSON_VALUE
