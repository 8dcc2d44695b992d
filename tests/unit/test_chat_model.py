"""A chat as data: what the model is sent, and what the database is given."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from npurun_tui.chat.fields import FIELDS, as_texts, parse_all
from npurun_tui.chat.model import (
    CUT,
    NEW_TITLE,
    NO_TEXT,
    STOPPED,
    Chat,
    ChatSettings,
    Message,
    outcome_of,
    stats_from_json,
    stats_to_json,
)
from npurun_tui.engine.transcript import FinishReason, TurnStats

STATS = TurnStats(12, 8, 4, 20, 210.5, 100.0, 55.2, 900.0, 31, 8192)


def roles(chat: Chat) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in chat.conversation()]


def test_turns_alternate_whatever_happened() -> None:
    chat = Chat("m", ChatSettings(system="be brief"))
    chat.messages = [
        Message("user", "one"),
        Message("user", "two"),
        Message("assistant", ""),
        Message("user", "three"),
        Message("assistant", "answer", outcome=STOPPED),
        Message("user", "four"),
    ]
    assert roles(chat) == [
        ("system", "be brief"),
        ("user", "one\n\ntwo\n\nthree"),
        ("assistant", "answer"),
        ("user", "four"),
    ]


def test_a_blank_system_prompt_is_none() -> None:
    chat = Chat("m", ChatSettings(system="  \n"), messages=[Message("user", "x")])
    assert roles(chat) == [("user", "x")]


def test_the_title_is_the_first_message_made_harmless() -> None:
    chat = Chat("m")
    chat.title_from("  hello\n\x1b[31mworld  ")
    assert chat.title == "hello ␛[31mworld"
    chat.title_from("another")
    assert chat.title.startswith("hello")
    blank = Chat("m")
    blank.title_from(" \n ")
    assert blank.title == NEW_TITLE


def test_settings_survive_the_database() -> None:
    settings = ChatSettings("sys", 0.1, 1, 0.5, 42, 100, ("a", "b"))
    assert ChatSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"stop": 3}',
        '{"later": "version"}',
        '{"system": 5, "top_k": true, "seed": "x", "temperature": []}',
        '{"stop": ["a", 5]}',
        '{"temperature": NaN, "top_p": Infinity, "top_k": 1.5, "seed": 1e400, "max_tokens": false}',
        '{"top_p": ' + "9" * 400 + ', "temperature": null, "system": null, "stop": "abc"}',
        "[" * 100_000,
        '{"system": ' * 100_000,
    ],
)
def test_unreadable_settings_are_the_defaults(text: str) -> None:
    assert ChatSettings.from_json(text) == ChatSettings()


def test_one_wrong_setting_leaves_the_others() -> None:
    text = '{"system": 5, "temperature": 1, "seed": null, "stop": ["a"]}'
    assert ChatSettings.from_json(text) == ChatSettings(temperature=1, stop=("a",))


def test_stats_survive_the_database() -> None:
    assert stats_from_json(stats_to_json(STATS)) == STATS
    assert stats_from_json(stats_to_json(None)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        '{"prompt_tokens": 1}',
        "[" * 100_000,
        *(
            json.dumps({**asdict(STATS), name: value})
            for name, value in [
                ("prompt_tokens", "12"),
                ("prompt_tokens", 1.5),
                ("cached_tokens", True),
                ("ttft_ms", None),
                ("decode_tps", float("nan")),
                ("total_ms", 10**400),
                ("occupancy", [1]),
                ("note", 5),
                ("model", {}),
            ]
        ),
    ],
)
def test_unreadable_stats_are_none(text: str) -> None:
    assert stats_from_json(text) is None


def test_how_an_answer_ended_in_words() -> None:
    assert outcome_of(FinishReason.STOP, STATS, "text") == ""
    assert outcome_of(FinishReason.STOP, STATS, " ") == NO_TEXT
    assert outcome_of(FinishReason.LENGTH, STATS, "text") == CUT
    assert outcome_of(FinishReason.ABORTED, STATS, "") == STOPPED


def test_every_field_is_read_back_as_it_is_shown() -> None:
    settings = ChatSettings("", 1.5, 7, 0.25, None, 99)
    values, faults = parse_all(as_texts(settings))
    assert faults == {}
    assert values == {f.key: getattr(settings, f.key) for f in FIELDS}


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("temperature", "hot", "Temperature must be a number from 0 to 5."),
        ("temperature", "nan", "Temperature must be a number"),
        ("temperature", "-1", "Temperature must be a number"),
        ("temperature", "", "Temperature must be a number"),
        ("top_p", "1.1", "Top-p must be a number from 0.01 to 1."),
        ("top_p", "0", "Top-p must be a number from 0.01 to 1."),
        ("seed", "9" * 5000, "Seed must be a whole number"),
        ("top_k", "1.5", "Top-k must be a whole number from 0 up."),
        ("top_k", "٣", "Top-k must be a whole number"),
        ("seed", "-4", "Seed must be a whole number"),
        ("seed", "4294967296", "Seed must be a whole number"),
        ("max_tokens", "0", "Max tokens must be a whole number from 1 up."),
    ],
)
def test_a_wrong_value_is_named(key: str, text: str, words: str) -> None:
    _, faults = parse_all({**as_texts(ChatSettings()), key: text})
    assert list(faults) == [key]
    assert faults[key].startswith(words)
