"""Alt and a digit from a terminal without the kitty protocol."""

from __future__ import annotations

from textual import events
from textual._xterm_parser import XTermParser

from npurun_tui.widgets.alt_digits import PAIRS, free_alt_digits


def test_escape_and_a_digit_is_alt_and_the_digit() -> None:
    free_alt_digits()
    free_alt_digits()
    for digit, pair in enumerate(PAIRS):
        parser = XTermParser()
        keys = [*parser.feed(pair), *parser.feed("")]
        assert [key.key for key in keys if isinstance(key, events.Key)] == [f"alt+{digit}"]
