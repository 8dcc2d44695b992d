"""The text boxes: no control character comes in, and what is copied takes every road."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.events import Paste

from npurun_tui.widgets.safe_input import SafeInput, SafeTextArea

HOSTILE = "a\x9b31m\u202eb\x1bc\x7f"
SAFE = "a\ufffd31m\ufffdb\u241bc\u2421"


class Boxes(App[None]):
    def compose(self) -> ComposeResult:
        yield SafeTextArea(HOSTILE)
        yield SafeInput(HOSTILE)

    def write_to_terminal(self, data: str) -> None:
        """Only inside tmux is there anything."""


@pytest.fixture(autouse=True)
def over_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tool of the desktop on which the tests run may be used."""
    monkeypatch.setenv("SSH_TTY", "/dev/pts/1")
    monkeypatch.delenv("TMUX", raising=False)


async def test_a_text_that_is_there_from_the_start_is_made_printable() -> None:
    app = Boxes()
    async with app.run_test():
        assert app.query_one(SafeTextArea).text == SAFE
        assert app.query_one(SafeInput).value == SAFE


async def test_a_pasted_text_is_made_printable() -> None:
    app = Boxes()
    async with app.run_test() as pilot:
        area, line = app.query_one(SafeTextArea), app.query_one(SafeInput)
        area.text = line.value = ""
        for box in (area, line):
            box.focus()
            await pilot.pause()
            app.post_message(Paste(HOSTILE))
            await pilot.pause()
            await pilot.press("x")
        assert area.text == SAFE + "x"
        assert line.value == SAFE + "x"


@pytest.mark.parametrize("box", [SafeTextArea, SafeInput])
async def test_copy_and_cut_say_what_became_of_it(box: type[SafeTextArea | SafeInput]) -> None:
    app = Boxes()
    async with app.run_test() as pilot:
        chosen = app.query_one(box)
        chosen.focus()
        await pilot.press("home", "shift+right", "ctrl+c")
        await app.workers.wait_for_complete()
        assert app.clipboard == "a"
        await pilot.press("ctrl+x")
        await app.workers.wait_for_complete()
        said = [notice.message for notice in app._notifications]
        assert len(said) == 2
        assert all("Sent 1 character" in sentence for sentence in said)
        kept = chosen.text if isinstance(chosen, SafeTextArea) else chosen.value
        assert kept == SAFE[1:]
