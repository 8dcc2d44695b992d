"""Warnings in headers: fixed words, whatever the sentence quotes."""

from __future__ import annotations

import pytest

from npurun_tui.server.budget import TOOLS_IGNORED
from npurun_tui.server.generation import TIME_UP
from npurun_tui.server.notices import TOOLS_SKIPPED, headers, words
from npurun_tui.server.pieces import NO_CALL_MADE


@pytest.mark.parametrize(
    ("warning", "word"),
    [
        (TOOLS_SKIPPED, "tools-dropped"),
        (TOOLS_IGNORED, "tools-ignored"),
        (NO_CALL_MADE, "no-tool-call"),
        (TIME_UP, "time-limit"),
        (
            "The 28 tools did not fit the context window (5,200 tokens of 4,096) and were left out.",
            "tools-dropped",
        ),
        (
            "The conversation did not fit the context window: 3 old messages left out.",
            "messages-dropped",
        ),
        ("Something else, \x1b[2J é\r\nSet-Cookie: x", "see-log"),
    ],
)
def test_each_warning_has_a_word(warning: str, word: str) -> None:
    assert words([warning]) == word


def test_words_are_said_once() -> None:
    said = headers([TOOLS_SKIPPED, TIME_UP, TOOLS_SKIPPED])
    assert said == {"x-npurun-warning": "tools-dropped, time-limit"}
    assert headers([]) == {}
