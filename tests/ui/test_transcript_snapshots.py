"""How a conversation looks at the two sizes that count, dark, light, and in the terminal's own colours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.support.transcripts import CONVERSATION, TranscriptApp

NARROW, WIDE = (80, 24), (120, 40)


def shows(theme: str, *keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Load the conversation, set the theme, press keys in the transcript."""

    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, TranscriptApp)
        app.prompt.cursor_blink = False
        app.theme = theme
        app.transcript.load(CONVERSATION)
        app.transcript.focus()
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()

    return before


@pytest.mark.parametrize(
    ("size", "theme", "keys"),
    [
        pytest.param(NARROW, "textual-dark", (), id="narrow"),
        pytest.param(NARROW, "textual-light", ("home",), id="narrow-top"),
        pytest.param(WIDE, "textual-light", (), id="wide"),
        pytest.param(WIDE, "textual-dark", ("alt+up", "alt+up", "alt+up"), id="wide-cursor"),
        pytest.param(WIDE, "ansi-dark", ("home",), id="ansi"),
    ],
)
def test_transcript(
    snap_compare: Callable[..., bool],
    size: tuple[int, int],
    theme: str,
    keys: tuple[str, ...],
) -> None:
    assert snap_compare(TranscriptApp(), terminal_size=size, run_before=shows(theme, *keys))
