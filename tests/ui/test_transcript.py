"""The transcript in an app: following, scrolling, selecting, the cursor, copying, streaming."""

from __future__ import annotations

import pytest
from textual.events import MouseEvent, MouseScrollDown, MouseScrollUp
from textual.geometry import Offset
from textual.message import Message
from textual.pilot import Pilot

from npurun_tui.widgets.transcript.blocks import Splitter
from npurun_tui.widgets.transcript.message import Entry
from npurun_tui.widgets.transcript.message import Message as ShownMessage
from npurun_tui.widgets.transcript.strips import Painter
from npurun_tui.widgets.transcript.view import Transcript
from npurun_tui.widgets.transcript.window import HINT
from tests.support.transcripts import (
    ANSWER,
    CONVERSATION,
    NUMBERS,
    TranscriptApp,
    short_answers,
)
from tests.support.work import counted, steps
from tests.support.workbench import until

SIZE = (80, 24)
WORDS = " ".join(f"word{number}" for number in range(3000))


async def drag(pilot: Pilot[None], start: tuple[int, int], end: tuple[int, int]) -> None:
    await pilot.mouse_down(Transcript, offset=start)
    await pilot.hover(Transcript, offset=end)
    await pilot.mouse_up(Transcript, offset=end)
    await pilot.pause()


def follows(app: TranscriptApp) -> bool:
    return app.transcript.following


def wheel(app: TranscriptApp, kind: type[MouseEvent]) -> MouseEvent:
    return kind(app.transcript, 1, 1, 0, 0, 0, False, False, False)


def waits(app: TranscriptApp) -> bool:
    return app.transcript._frame is not None


def copied(app: TranscriptApp) -> str:
    return app.screen.get_selected_text() or ""


async def test_it_stays_at_the_end_until_the_user_scrolls_up() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        transcript = app.transcript
        transcript.load(CONVERSATION)
        handle = transcript.add(Entry("assistant", label="model"), live=True)
        transcript.append_text(handle, "line\n\n" * 30)
        await pilot.pause(0.2)
        assert follows(app)
        transcript.focus()
        await pilot.press("up")
        await pilot.pause()
        assert not follows(app)
        top = app.seen()[0:5]
        transcript.append_text(handle, "more\n\n" * 30)
        await pilot.pause(0.2)
        assert app.seen()[0:5] == top
        assert HINT in app.seen()[-1]
        await pilot.press("end")
        await pilot.pause()
        assert follows(app)
        assert HINT not in app.seen()[-1]
        transcript.append_text(handle, "the very last line")
        await pilot.pause(0.2)
        assert "the very last line" in "".join(app.seen())


async def test_the_wheel_stops_following_and_scrolling_down_resumes_it() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        app.transcript.load(short_answers(40))
        await pilot.pause()
        before = app.seen()
        app.transcript.post_message(wheel(app, MouseScrollUp))
        await pilot.pause()
        assert not follows(app)
        assert app.seen()[2:] == before[:-2]
        app.transcript.post_message(wheel(app, MouseScrollDown))
        await pilot.pause()
        assert follows(app)
        assert app.seen() == before


async def test_going_up_page_by_page_shows_every_row_once() -> None:
    """Estimates above become exact on the way; no row may be skipped or shown twice."""
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        app.transcript.load(short_answers(60))
        app.transcript.focus()
        await pilot.pause()
        rows = app.seen()
        for _ in range(60):
            await pilot.press("pageup")
            await pilot.pause()
            page = app.seen()
            overlap = next(n for n in range(1, len(page) + 1) if page[-n:] == rows[:n] and n < 30)
            if page[0].strip() == "You" and "question 0" in page[1]:
                break
            rows = page[:-overlap] + rows
        questions = [row.strip() for row in rows if "question" in row]
        assert questions == [f"question {n}" for n in range(0, 60, 2)][-len(questions) :]
        assert len(questions) > 25


async def work_of(count: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What it takes to open a chat of `count` messages, change the theme, and resize: calls by name."""
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        with monkeypatch.context() as patch:
            calls = {
                "split": counted(patch, Splitter, "feed"),
                "measured": counted(patch, ShownMessage, "measure"),
                "rendered": counted(patch, ShownMessage, "section"),
                "painted": counted(patch, Painter, "strip"),
            }
            app.transcript.load(short_answers(count))
            await pilot.pause()
            app.theme = "textual-light"
            await pilot.pause()
            await pilot.resize_terminal(120, 40)
            await pilot.pause()
        assert len(app.transcript.children) == 0
        assert any("x = 1" in row for row in app.seen()[-6:])
    return {name: len(made) for name, made in calls.items()}


async def test_500_messages_cost_only_the_visible_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = await work_of(50, monkeypatch), await work_of(500, monkeypatch)
    assert (many["split"], many["measured"]) == (few["split"], few["measured"])
    assert 0 < few["split"] < 30
    # How often the screen is painted in between is the timer's choice; ten times the messages would be ten times these.
    assert all(many[kind] <= 2 * few[kind] for kind in ("rendered", "painted"))


async def test_a_resize_keeps_what_is_at_the_top() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        app.transcript.load([Entry("assistant", WORDS), *short_answers(10)])
        app.transcript.focus()
        await pilot.press("home", "pagedown", "pagedown")
        await pilot.pause()
        first = app.seen()[0].split()[0]
        for width in (47, 120, 80):
            await pilot.resize_terminal(width, 24)
            await pilot.pause()
            assert first in app.seen()[0]


async def test_a_resize_while_following_stays_at_the_end() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        app.transcript.load([Entry("assistant", WORDS, footer=NUMBERS)])
        for width in (50, 100):
            await pilot.resize_terminal(width, 24)
            await pilot.pause()
            assert follows(app)
            assert "tok/s" in app.seen()[-2]


async def test_dragging_selects_over_messages_and_wraps_are_undone() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        long = "a paragraph " * 12 + "end"
        app.transcript.load([Entry("user", "question"), Entry("assistant", long, label="model")])
        await pilot.pause()
        rows = app.seen()
        assert rows[1] == "  question"
        await drag(pilot, (2, 1), (40, 6))
        assert copied(app) == f"question\n\nmodel\n{long}"


async def test_selecting_reaches_rows_that_are_not_on_the_screen() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        app.transcript.load([Entry("assistant", "\n".join(f"line {n}" for n in range(200)))])
        app.transcript.focus()
        await pilot.press("home")
        await pilot.pause()
        await pilot.mouse_down(Transcript, offset=(2, 1))
        await pilot.press("end")
        await pilot.pause()
        last = next(y for y, row in enumerate(app.seen()) if "line 199" in row)
        await pilot.hover(Transcript, offset=(12, last))
        await pilot.mouse_up(Transcript, offset=(12, last))
        await pilot.pause()
        assert copied(app) == "\n".join(f"line {n}" for n in range(200))


async def test_the_gutter_counts_as_the_start_of_its_row() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        app.transcript.load([Entry("assistant", "- first item\n- second item\n\n```\ncode\n```")])
        await pilot.pause()
        await drag(pilot, (0, 1), (70, 2))
        assert copied(app) == "- first item\n- second item"
        await drag(pilot, (0, 4), (70, 4))
        assert copied(app) == "code"


async def test_a_selection_survives_another_width() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        app.transcript.load([Entry("assistant", WORDS[:600])])
        await pilot.pause()
        await drag(pilot, (2, 1), (30, 3))
        before = copied(app)
        assert before
        await pilot.resize_terminal(60, 24)
        await pilot.pause()
        assert copied(app) == before


async def test_a_double_click_selects_the_block() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        app.transcript.load([Entry("assistant", "one paragraph\n\n" + "another one " * 20)])
        await pilot.pause()
        await pilot.click(Transcript, offset=(5, 4), times=2)
        await pilot.pause()
        assert copied(app) == ("another one " * 20).strip()


async def test_alt_up_and_down_walk_the_messages_and_c_copies_the_source() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        ids = app.transcript.load(CONVERSATION)
        app.transcript.focus()
        await pilot.press("alt+up", "alt+up", "k")
        await pilot.pause()
        assert app.transcript.current_message == ids[1]
        assert any(row.startswith("▌") and "smollm2" in row for row in app.seen())
        await pilot.press("c", "j")
        await pilot.pause()
        (request,) = [m for m in app.posted if isinstance(m, Transcript.CopyRequested)]
        assert (request.text, request.what) == (ANSWER, "message")
        assert app.transcript.current_message == ids[2]


async def test_y_copies_code_blocks_from_the_last_to_the_first() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        ids = app.transcript.load(CONVERSATION)
        app.transcript.focus()
        await pilot.press("y")
        app.transcript.current_message = ids[1]
        await pilot.press("y", "y", "y")
        await pilot.pause()
        copies = [m for m in app.posted if isinstance(m, Transcript.CopyRequested)]
        assert [m.what for m in copies] == [
            "code block 2 of 2",
            "code block 1 of 2",
            "code block 2 of 2",
        ]
        assert copies[0].text.startswith('def greet(name: str) -> str:\n\t"""Greet."""\n')
        assert copies[1].text == "pip install foo  # a comment"
        assert _kinds(app.posted).count("NothingToCopy") == 1


def _kinds(messages: list[Message]) -> list[str]:
    return [type(message).__name__ for message in messages]


async def test_activity_outcome_and_numbers_in_the_last_rows() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        handle = app.transcript.add(Entry("assistant", label="model"), live=True)
        app.transcript.set_activity(handle, "prefill 512/2,048")
        await pilot.pause(0.2)
        assert app.seen()[:3] == ["  model", "  prefill 512/2,048", ""]
        app.transcript.append_text(handle, "Once upon")
        await pilot.pause(0.2)
        assert app.seen()[:3] == ["  model", "  Once upon", ""]
        app.transcript.finish(handle, footer=NUMBERS, outcome="stopped")
        await pilot.pause()
        assert app.seen()[:5] == ["  model", "  Once upon", "  ■ stopped", f"  {NUMBERS}", ""]


async def test_removing_messages_while_one_streams() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        ids = app.transcript.load(CONVERSATION)
        handle = app.transcript.add(Entry("assistant"), live=True)
        app.transcript.append_text(handle, "text")
        app.transcript.truncate_from(ids[1])
        app.transcript.append_text(handle, "late")
        app.transcript.finish(handle)
        await pilot.pause(0.2)
        assert [row for row in app.seen() if row] == [
            "  You",
            "  How do I sort a list?",
            "  Show [red]me[/red] code.",
        ]
        app.transcript.clear()
        await pilot.pause()
        assert not any(app.seen())


async def test_nothing_runs_when_nothing_streams() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        handle = app.transcript.add(Entry("assistant"), live=True)
        app.transcript.append_text(handle, "text")
        assert waits(app)
        await pilot.pause(0.2)
        assert not waits(app)
        assert not app.transcript._timers


async def test_appending_only_puts_text_in_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        transcript = app.transcript
        handle = transcript.add(Entry("assistant"), live=True)
        await pilot.pause()

        def append() -> None:
            for _ in range(1000):
                transcript.append_text(handle, "abcd")

        frames = counted(monkeypatch, Transcript, "_take_in")
        joined = counted(monkeypatch, Splitter, "feed")
        append()
        first, later = steps(append), steps(append)
        assert later == first < 1000 * 200
        assert len(frames) == len(joined) == 0
        await until(pilot, lambda: len(joined) > 0)
        assert joined[0][1] == "abcd" * 3000
        assert len(frames) == 1
        assert "abcdabcd" in app.seen()[1]


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark", "ansi-light"])
async def test_every_theme_paints_every_row(theme: str) -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 60)) as pilot:
        app.transcript.load(CONVERSATION)
        app.theme = theme
        await pilot.pause()
        assert "  │ A quote" in app.seen()
        width = app.transcript.size.width
        for strip in app.transcript.render_lines(app.transcript.size.region):
            assert strip.cell_length == width


async def test_hostile_text_neither_runs_nor_disappears() -> None:
    app = TranscriptApp()
    async with app.run_test(size=SIZE) as pilot:
        text = "\x1b]0;title\x07 \x1b[2J [@click=app.quit]x[/] \u202e &#x202e; `\x9b` \0 end"
        app.transcript.load([Entry("user", text), Entry("assistant", text, label="\x1b[31mname")])
        await pilot.pause()
        shown = "".join(app.seen())
        assert not set(shown) & set("\x1b\x07\x9b\0\u202e")
        assert "[@click=app.quit]x[/]" in shown
        assert shown.count("end") == 2


async def test_a_terminal_that_is_much_too_small_is_no_error() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(4, 3)) as pilot:
        app.transcript.load(CONVERSATION)
        await pilot.pause()
        await pilot.resize_terminal(12, 8)
        await pilot.pause()
        assert app.transcript.size.width > 0
        assert app.transcript.scroll_offset >= Offset(0, 0)
