"""What a terminal must never receive is made visible instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.text import one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ümläut 🦙\n\tand tabs", "plain ümläut 🦙\n\tand tabs"),
        ("\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇"),
        ("\x00", "␀"),
        ("\x7f", "␡"),
        ("\x9b31m", "\ufffd31m"),
        ("dos\r\nline", "dos\nline"),
        ("over\rwritten", "over␍written"),
        ("user\u202etxt.exe", "user\ufffdtxt.exe"),
        ("\u2066isolated\u2069", "\ufffdisolated\ufffd"),
    ],
)
def test_control_characters_become_visible(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    shown = printable(text)
    assert not [
        sign for sign in shown if (ord(sign) < 32 and sign not in "\n\t") or 127 <= ord(sign) < 160
    ]
    assert printable(shown) == shown


@given(st.text(), st.integers(min_value=1, max_value=300))
def test_one_line_is_one_line_of_the_asked_length(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1


def test_a_cut_is_marked() -> None:
    assert one_line("a  b\nc") == "a b c"
    assert one_line("abcdef", 4) == "abc…"
    assert one_line("abcd", 4) == "abcd"
