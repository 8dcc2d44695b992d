"""The prompt: what sends, what starts a line, how it grows, what it remembers, what it lets in."""

from __future__ import annotations

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from npurun_tui.widgets.prompt import Prompt
from tests.support.transcripts import TranscriptApp

SIZE = (60, 24)


def sent(app: TranscriptApp) -> list[str]:
    return [m.text for m in app.posted if isinstance(m, Prompt.Submitted)]


async def start(pilot: Pilot[None]) -> Prompt:
    assert isinstance(pilot.app, TranscriptApp)
    pilot.app.prompt.focus()
    await pilot.pause()
    return pilot.app.prompt


async def test_enter_sends_and_the_owner_clears() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        prompt = await start(pilot)
        await pilot.press(*"hello", "enter")
        await pilot.pause()
        assert sent(app) == ["hello"]
        assert prompt.text == "hello"


@pytest.mark.parametrize("text", ["", "  \n\t "])
async def test_a_blank_prompt_is_not_sent(text: str) -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        prompt = await start(pilot)
        prompt.write(text)
        await pilot.press("enter")
        await pilot.pause()
        assert sent(app) == []
        (hint,) = [m for m in app.posted if isinstance(m, Prompt.NothingToSend)]
        assert hint.hint


@pytest.mark.parametrize("key", ["shift+enter", "alt+enter", "ctrl+j"])
async def test_keys_that_start_a_new_line(key: str) -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        prompt = await start(pilot)
        await pilot.press("a", key, "b")
        await pilot.pause()
        assert prompt.text == "a\nb"
        assert sent(app) == []


async def test_it_grows_to_eight_rows_and_shrinks_again() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        prompt = await start(pilot)
        heights = []
        for _ in range(10):
            heights.append(prompt.content_size.height)
            await pilot.press("ctrl+j")
            await pilot.pause()
        assert heights == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]
        prompt.clear()
        await pilot.pause()
        assert prompt.content_size.height == 1


async def test_up_and_down_go_through_earlier_prompts_and_back_to_the_draft() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        prompt = await start(pilot)
        prompt.set_history(["first", "two\nlines"])
        await pilot.press(*"draft", "up")
        assert prompt.text == "two\nlines"
        await pilot.press("up")
        assert prompt.text == "two\nlines"  # the cursor goes to the first line first
        await pilot.press("up")
        assert prompt.text == "first"
        await pilot.press("up")
        assert prompt.text == "first"
        await pilot.press("down")
        assert prompt.text == "two\nlines"
        await pilot.press("down")
        assert prompt.text == "draft"
        await pilot.press("down")
        assert prompt.text == "draft"


async def test_a_long_wrapped_line_is_walked_before_history() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        prompt = await start(pilot)
        prompt.set_history(["earlier"])
        prompt.write("word " * 40)
        await pilot.press("up")
        assert prompt.text == "word " * 40
        await pilot.press("up", "up", "up", "up")
        assert prompt.text == "earlier"


async def test_pasted_text_is_made_printable() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        prompt = await start(pilot)
        app.post_message(Paste("one\r\ntwo\rthree\x1b]0;x\x07\x00\u202e\n" + "line\n" * 500))
        await pilot.pause()
        assert prompt.text.startswith("one\ntwo\nthree␛]0;x␇␀\ufffd\nline\n")
        assert prompt.text.count("\n") == 503
        assert prompt.content_size.height == 8


async def test_escape_and_tab_are_left_to_the_screen() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        await start(pilot)
        escaped: list[bool] = []
        app.screen._bindings.bind("escape", "app.escaped", "Stop")
        app.action_escaped = lambda: escaped.append(True)  # type: ignore[attr-defined]
        await pilot.press("escape")
        await pilot.pause()
        assert escaped == [True]
        await pilot.press("tab")
        assert app.focused is app.transcript


async def test_ctrl_c_copies_what_is_selected() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        await start(pilot)
        await pilot.press(*"abc", "shift+left", "shift+left", "ctrl+c")
        await pilot.pause()
        assert app.clipboard == "bc"


async def test_markup_is_text() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        prompt = await start(pilot)
        await pilot.press(*"[b]x[/", "enter")
        await pilot.pause()
        assert sent(app) == ["[b]x[/"]
        assert "[b]x[/" in "".join(s.text for s in prompt.render_lines(prompt.outer_size.region))


async def test_a_terminal_too_narrow_for_a_character_is_no_error() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(3, 6)) as pilot:
        prompt = await start(pilot)
        await pilot.press("a")
        await pilot.resize_terminal(40, 12)
        await pilot.pause()
        assert prompt.text == "a"
