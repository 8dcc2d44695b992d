"""Every key path of the Chat tab, with the real model in the real engine process."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input, Select, Static, TextArea

from npurun_tui.app import WorkbenchApp
from npurun_tui.chat.library import ChatLibrary
from npurun_tui.chat.model import STOPPED, Chat, ChatSettings
from npurun_tui.screens.chat import ChatPane
from npurun_tui.screens.chat_list import ChatList
from npurun_tui.screens.chat_settings import ChatSettingsScreen
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.screens.conversation import NO_MODEL, STILL_WRITING
from npurun_tui.screens.main import MainScreen
from npurun_tui.storage.database import BUSY_TIMEOUT
from npurun_tui.widgets.prompt import Prompt
from npurun_tui.widgets.sides import Sides
from npurun_tui.widgets.status_bar import StatusBar
from npurun_tui.widgets.transcript.view import Transcript
from tests.support.workbench import NARROW, WIDE, home_paths, make_app, until

NAME = "smollm2-135m-instruct"
GREEDY = ChatSettings(temperature=0, top_k=1, max_tokens=12)
LONG = ChatSettings(temperature=0, top_k=1, max_tokens=2000)
ASK = "Please repeat this word: banana"
STORY = "Tell me a very long story about the sea."


class ChatTab:
    """The Chat tab as a person has it before them."""

    def __init__(self, app: WorkbenchApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def pane(self) -> ChatPane:
        return self.app.main.query_one(ChatPane)

    @property
    def chat(self) -> Chat:
        return self.pane.session.chat

    @property
    def prompt(self) -> Prompt:
        return self.pane.query_one(Prompt)

    @property
    def chats(self) -> ChatList:
        return self.pane.query_one(ChatList)

    @property
    def screen_text(self) -> str:
        """Every character on the screen."""
        return "\n".join(
            "".join(segment.text for segment in strip)
            for strip in self.app.screen._compositor.render_strips()
        )

    @property
    def notices(self) -> str:
        """Everything that was said in a corner of the screen."""
        return "\n".join(notice.message for notice in self.app._notifications)

    async def ask(self, text: str) -> None:
        """Type and send."""
        self.prompt.insert(text)
        await self.pilot.press("enter")

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(self.pilot, condition, 40)

    async def answered(self) -> None:
        """Wait until nothing is being written and the list knows of it."""
        await self.until(lambda: not self.pane.conversation.writing)
        await self.pilot.pause()

    async def until_writing(self) -> None:
        """Wait until some text of the answer is there."""
        await self.until(lambda: len(self.pane.session.partial) > 10)

    def sides(self) -> tuple[bool, bool]:
        """Whether the list and whether the conversation is shown."""
        return bool(self.chats.display), bool(self.pane.conversation.display)

    def contents(self) -> list[tuple[str, str]]:
        return [(m.role, m.outcome) for m in self.chat.messages]


@asynccontextmanager
async def chat_tab(
    home: Path,
    models: Path | None,
    size: tuple[int, int] = WIDE,
    settings: ChatSettings = GREEDY,
    *,
    busy_timeout: float = BUSY_TIMEOUT,
) -> AsyncIterator[ChatTab]:
    """The workbench with its Chat tab open. The models are linked into `home`; a lock is waited for `busy_timeout`."""
    folder = home / "models" / NAME
    if models is not None and not folder.exists():
        shutil.copytree(models / NAME, folder, copy_function=os.link)
    app = make_app(home)
    app.services.chats = ChatLibrary(home_paths(home).database, busy_timeout=busy_timeout)
    async with app.run_test(size=size) as pilot:
        await pilot.press("2")
        tab = ChatTab(app, pilot)
        await tab.until(lambda: bool(app.main.query(ChatPane)))
        await tab.until(lambda: tab.chat.model == (NAME if models else "") and tab.prompt.has_focus)
        tab.chat.settings = settings
        yield tab


pytestmark = pytest.mark.model


async def test_ask_and_read_the_answer(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask(ASK)
        assert tab.prompt.text == ""
        await tab.answered()
        assert tab.contents() == [("user", ""), ("assistant", "")]
        screen = tab.screen_text
        assert "You" in screen
        assert NAME in screen
        assert "banana" in screen.lower()
        assert "reused /" in screen
        assert "prefilled" in screen
        assert "TTFT" in screen
        assert "tok/s" in screen
        assert "/ 8,192" in screen, "the context gauge"
        assert "CPU (llama.cpp)" in tab.app.main.query_one(StatusBar).render_line(0).text


async def test_several_turns_prefill_only_what_is_new(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        for word in ("banana", "apple", "cherry"):
            await tab.ask(f"Please repeat this word: {word}")
            await tab.answered()
        shown = tab.pane.query_one(Transcript)._document.messages
        assert [m.source for m in shown] == [m.content for m in tab.chat.messages]
        stats = [m.stats for m in tab.chat.messages if m.role == "assistant"]
        assert [s is not None for s in stats] == [True] * 3
        assert stats[0] is not None
        assert stats[2] is not None
        assert stats[2].cached_tokens > stats[0].prompt_tokens
        assert stats[2].prefilled_tokens < 40


async def test_escape_stops_and_keeps_the_text(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models, settings=LONG) as tab:
        await tab.ask(STORY)
        await tab.until_writing()
        await tab.pilot.press("escape")
        await tab.answered()
        assert tab.contents() == [("user", ""), ("assistant", STOPPED)]
        assert len(tab.chat.messages[-1].content) > 10
        assert STOPPED in tab.screen_text


async def test_regenerate(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.pilot.press("ctrl+r")  # nothing to answer yet: nothing happens
        await tab.ask(ASK)
        await tab.answered()
        first = tab.chat.messages[-1]
        await tab.pilot.press("ctrl+r")
        await tab.answered()
        assert tab.contents() == [("user", ""), ("assistant", "")]
        assert tab.chat.messages[-1] is not first
        assert tab.chat.messages[-1].content == first.content


async def test_edit_the_last_message(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask(ASK)
        await tab.answered()
        await tab.pilot.press("ctrl+t")
        assert tab.prompt.text == ASK
        assert "editing" in tab.screen_text
        await tab.pilot.press("escape")
        assert tab.prompt.text == ""
        assert "editing" not in tab.screen_text
        await tab.pilot.press("ctrl+t")
        tab.prompt.text = "Please repeat this word: apple"
        await tab.pilot.press("enter")
        await tab.answered()
        assert [m.content for m in tab.chat.messages if m.role == "user"] == [
            "Please repeat this word: apple"
        ]
        assert "apple" in tab.chat.messages[-1].content.lower()


async def test_what_is_typed_while_an_answer_comes_is_kept(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models, settings=LONG) as tab:
        await tab.ask(STORY)
        await tab.until_writing()
        await tab.ask("the next question")
        assert tab.prompt.text == "the next question"
        assert STILL_WRITING in tab.notices
        await tab.pilot.press("escape")
        await tab.answered()


async def test_an_empty_prompt_sends_nothing(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.pilot.press("enter")
        await tab.ask("  ")
        assert tab.chat.messages == []
        assert "Type a message first." in tab.notices


async def test_new_chat_and_back_through_the_list(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask(ASK)
        await tab.answered()
        first = tab.chat
        await tab.pilot.press("ctrl+n")
        assert tab.chat is not first
        assert (tab.chat.model, tab.chat.settings) == (NAME, GREEDY)
        assert tab.prompt.has_focus
        await tab.until(lambda: len(tab.chats.chats) == 1)
        await tab.pilot.press("ctrl+o")
        assert tab.chats.has_focus
        await tab.pilot.press("enter")
        await tab.until(lambda: tab.chat.id == first.id)
        await tab.pilot.pause()
        assert "banana" in tab.screen_text.lower()
        assert tab.prompt.has_focus


async def test_an_answer_goes_on_behind_another_chat(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models, settings=LONG) as tab:
        await tab.ask(STORY)
        await tab.until_writing()
        first = tab.pane.session
        await tab.pilot.press("ctrl+n")
        behind = len(first.partial)
        await tab.until(lambda: len(first.partial) > behind)
        await tab.until(lambda: len(tab.chats.chats) == 1)
        await tab.pilot.press("ctrl+o", "enter")
        await tab.until(lambda: tab.pane.session is first)
        shown = len(first.partial)
        await tab.until(lambda: len(first.partial) > shown)
        await tab.pilot.press("escape")
        await tab.answered()
        transcript = tab.pane.query_one(Transcript)
        assert transcript.current_message is None
        assert first.chat.messages[-1].outcome == STOPPED
        assert STOPPED in tab.screen_text


async def test_delete_a_chat(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask(ASK)
        await tab.answered()
        await tab.until(lambda: len(tab.chats.chats) == 1)
        await tab.pilot.press("ctrl+o", "delete")
        await tab.until(lambda: isinstance(tab.app.screen, ConfirmScreen))
        assert "2 messages" in tab.screen_text
        await tab.pilot.press("n")
        await tab.until(lambda: not isinstance(tab.app.screen, ConfirmScreen))
        assert len(tab.chats.chats) == 1
        await tab.pilot.press("delete")
        await tab.until(lambda: isinstance(tab.app.screen, ConfirmScreen))
        await tab.pilot.press("y")
        await tab.until(lambda: len(tab.chats.chats) == 0)
        assert tab.chat.messages == []


async def test_settings(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.pilot.press("ctrl+s")
        await tab.until(lambda: isinstance(tab.app.screen, ChatSettingsScreen))
        box = tab.app.screen
        assert box.query_one("#model", Select).value == NAME
        box.query_one("#system", TextArea).text = "You are terse."
        box.query_one("#temperature", Input).value = "hot"
        await tab.pilot.press("ctrl+s")
        assert "Temperature must be a number from 0 to 5." in tab.screen_text
        assert isinstance(tab.app.screen, ChatSettingsScreen)
        box.query_one("#temperature", Input).value = "0.5"
        box.query_one("#seed", Input).value = "7"
        box.query_one("#stop", Input).value = "END"
        await tab.pilot.press("ctrl+s")
        await tab.until(lambda: not isinstance(tab.app.screen, ChatSettingsScreen))
        settings = tab.chat.settings
        assert (settings.system, settings.temperature, settings.seed) == ("You are terse.", 0.5, 7)
        assert (settings.stop, settings.max_tokens) == (("END",), GREEDY.max_tokens)
        await tab.pilot.pause()
        assert "temp 0.5" in tab.screen_text
        await tab.pilot.press("ctrl+s")
        await tab.until(lambda: isinstance(tab.app.screen, ChatSettingsScreen))
        tab.app.screen.query_one("#seed", Input).value = "9"
        await tab.pilot.press("escape")
        await tab.until(lambda: not isinstance(tab.app.screen, ChatSettingsScreen))
        assert tab.chat.settings is settings


async def test_copy_the_answer(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask(ASK)
        await tab.answered()
        await tab.pilot.press("ctrl+g")
        await tab.until(lambda: tab.app.clipboard == tab.chat.messages[-1].content)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
async def test_a_crash_keeps_the_text_says_why_and_the_chat_goes_on(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models, settings=LONG) as tab:
        await tab.ask(STORY)
        await tab.until_writing()
        pid = tab.app.services.engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await tab.answered()
        assert "SIGKILL" in tab.chat.messages[-1].outcome
        assert "SIGKILL" in tab.screen_text
        tab.chat.settings = GREEDY
        await tab.ask(ASK)
        await tab.answered()
        assert tab.contents()[-1] == ("assistant", "")


async def test_a_prompt_longer_than_the_window_is_not_lost(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask("word " * 20000)
        await tab.answered()
        assert "context window holds 8,192" in tab.notices
        await tab.pilot.press("ctrl+t")
        assert len(tab.prompt.text) > 90000


async def test_hostile_text_is_shown_not_obeyed(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask("[red]not markup[/] \x1b[31mescape\x1b]0;title\x07 [link=x]")
        await tab.answered()
        screen = tab.screen_text
        assert "[red]not markup[/]" in screen
        assert "␛[31mescape" in screen
        assert "\x1b" not in screen


async def test_without_a_model(tmp_path: Path) -> None:
    async with chat_tab(tmp_path, None) as tab:
        assert NO_MODEL in tab.notices
        await tab.ask("hello")
        assert tab.prompt.text == "hello"
        assert tab.chat.messages == []


async def test_a_model_that_was_removed_meanwhile(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        shutil.rmtree(tmp_path / "models" / NAME)
        await tab.ask("hello")
        await tab.answered()
        assert tab.contents() == [("user", "")]
        assert f"There is no model called {NAME}" in tab.notices


async def test_a_locked_database_is_told_and_nothing_is_lost(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models, busy_timeout=0.2) as tab:
        await tab.ask(ASK)
        await tab.answered()
        holder = sqlite3.connect(tmp_path / "data" / "npurun-tui.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        await tab.ask("Please repeat this word: apple")
        await tab.answered()
        assert "kept in memory" in tab.notices
        holder.execute("ROLLBACK")
        holder.close()
        await tab.ask("Please repeat this word: cherry")
        await tab.answered()
        chat_id = tab.chat.id
        assert chat_id is not None
        kept = await tab.app.services.chats.load(chat_id)
        assert [m.content for m in kept.messages] == [m.content for m in tab.chat.messages]


async def test_a_damaged_database_is_moved_aside_and_said(
    tmp_path: Path, real_models: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "npurun-tui.db").write_bytes(b"not a database" * 1000)
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.until(lambda: "unusable" in tab.notices)
        await tab.ask(ASK)
        await tab.answered()
        assert tab.chat.id is not None
    assert list((tmp_path / "data").glob("npurun-tui.db.damaged-*"))


async def test_quitting_in_the_middle_keeps_what_came(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models, settings=LONG) as tab:
        await tab.ask(STORY)
        await tab.until_writing()
        await tab.pilot.press("ctrl+q")
        await tab.until(lambda: not tab.app.is_running)
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.until(lambda: len(tab.chats.chats) == 1)
        await tab.pilot.press("ctrl+o", "enter")
        await tab.until(lambda: len(tab.chat.messages) == 2)
        assert len(tab.chat.messages[-1].content) > 10


async def test_the_narrow_layout_shows_the_list_in_the_conversations_place(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models, size=NARROW) as tab:
        assert tab.sides() == (False, True)
        await tab.pilot.press("ctrl+o")
        assert tab.sides() == (True, False)
        await tab.pilot.press("escape")
        assert tab.sides() == (False, True)
        assert tab.prompt.has_focus


async def test_the_list_can_be_hidden_when_wide(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.pilot.press("ctrl+o")
        assert tab.chats.has_focus
        await tab.pilot.press("ctrl+o")
        assert tab.sides() == (False, True)
        await tab.pilot.press("ctrl+o")
        assert tab.sides() == (True, True)


async def test_the_gauge_and_the_title_are_there(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        assert "temp 0" in str(tab.pane.query_one(Sides).render())
        assert "context" not in str(tab.pane.query_one(Sides).render())
        assert NAME in str(tab.pane.query_one("#chat-title", Static).render())
        await tab.ask(ASK)
        await tab.answered()
        stats = tab.chat.messages[-1].stats
        assert stats is not None
        assert stats.occupancy > 0
        gauge = f"{stats.occupancy:,} / 8,192 (0 %)"
        assert gauge in str(tab.pane.query_one(Sides).render())
        assert gauge in tab.screen_text
        assert ASK in str(tab.pane.query_one("#chat-title", Static).render())


async def test_two_enters_in_one_read_ask_once(tmp_path: Path, real_models: Path) -> None:
    """A held key, or a paste without bracketed paste: nothing runs between the two."""
    async with chat_tab(tmp_path, real_models) as tab:
        tab.prompt.insert(ASK)
        for _ in range(2):
            tab.prompt.post_message(Key("enter", "\r"))
        await tab.until(lambda: bool(tab.chat.messages))
        await tab.answered()
        assert tab.contents() == [("user", ""), ("assistant", "")]
        for _ in range(2):
            tab.prompt.post_message(Key("ctrl+r", None))
        await tab.pilot.pause()
        await tab.answered()
        assert tab.contents() == [("user", ""), ("assistant", "")]


async def test_an_edit_gives_the_draft_back(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask(ASK)
        await tab.answered()
        tab.prompt.insert("half a thought")
        await tab.pilot.press("ctrl+t")
        assert tab.prompt.text == ASK
        await tab.pilot.press("escape")
        assert tab.prompt.text == "half a thought"
        await tab.pilot.press("ctrl+t", "ctrl+n")
        assert tab.prompt.text == ""
        assert tab.chat.messages == []
        assert "editing" not in tab.screen_text


async def test_each_chat_keeps_its_draft(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask(ASK)
        await tab.answered()
        first = tab.chat.id
        tab.prompt.insert("half a thought")
        await tab.pilot.press("ctrl+t", "ctrl+n")
        tab.prompt.insert("another one")
        await tab.pilot.press("ctrl+o", "enter")
        await tab.until(lambda: tab.chat.id == first)
        assert tab.prompt.text == "half a thought"
        await tab.pilot.press("ctrl+n")
        assert tab.prompt.text == "another one"
        await tab.pilot.press("enter")
        await tab.answered()
        await tab.pilot.press("ctrl+n")
        assert tab.prompt.text == ""


async def test_regenerating_in_vain_keeps_the_old_answer(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask(ASK)
        await tab.answered()
        old = tab.contents()
        shutil.rmtree(tmp_path / "models" / NAME)
        await tab.pilot.press("ctrl+r")
        await tab.answered()
        assert "no model called" in tab.notices
        assert tab.contents() == old
        await tab.until(lambda: "TTFT" in tab.screen_text)
        await tab.until(lambda: tab.chat.messages[-1].content in tab.screen_text)
        assert tab.chat.id is not None
        kept = await tab.app.services.chats.load(tab.chat.id)
        assert [(m.role, m.outcome) for m in kept.messages] == old


async def test_a_model_that_came_since_the_last_visit(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, None) as tab:
        shutil.copytree(real_models / NAME, tmp_path / "models" / NAME, copy_function=os.link)
        tab.app.main.set_focus(None)
        await tab.pilot.press("ctrl+pageup", "ctrl+pagedown")
        await tab.until(lambda: tab.chat.model == NAME)
        await tab.ask(ASK)
        await tab.answered()
        assert tab.contents() == [("user", ""), ("assistant", "")]


async def test_escape_in_the_list_leaves_the_list(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models, size=NARROW, settings=LONG) as tab:
        await tab.ask(STORY)
        await tab.until_writing()
        await tab.pilot.press("ctrl+o", "escape")
        assert tab.pane.session.busy
        assert tab.sides() == (False, True)
        await tab.pilot.press("escape")
        await tab.answered()
        assert tab.contents()[-1] == ("assistant", STOPPED)


async def test_a_model_that_came_while_the_chat_is_open(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, None) as tab:
        await tab.until(lambda: NO_MODEL in tab.notices)
        shutil.copytree(real_models / NAME, tmp_path / "models" / NAME, copy_function=os.link)
        await tab.ask(ASK)
        await tab.until(lambda: bool(tab.chat.messages))
        await tab.answered()
        assert tab.contents() == [("user", ""), ("assistant", "")]
        assert f"answers with {NAME}" in tab.notices


async def test_a_model_that_is_not_installed_is_not_chosen(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.app.main.use_model("bogus")
        await tab.until(lambda: "There is no model called bogus" in tab.notices)
        assert tab.chat.model == NAME
        assert tab.app.services.remembered.get("model") != "bogus"


async def test_a_chat_that_could_not_be_saved_is_saved_with_the_next(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models, busy_timeout=0.2) as tab:
        await tab.app.services.chats.summaries()  # the file is there
        holder = sqlite3.connect(tmp_path / "data" / "npurun-tui.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        await tab.ask(ASK)
        await tab.answered()
        lost = [message.content for message in tab.chat.messages]
        assert tab.chat.id is None
        await tab.pilot.press("ctrl+n")
        holder.execute("ROLLBACK")
        holder.close()
        await tab.ask("Please repeat this word: apple")
        await tab.answered()
        await tab.until(lambda: len(tab.chats.chats) == 2)
        first = next(chat for chat in tab.chats.chats if chat.title == ASK)
        kept = await tab.app.services.chats.load(first.id)
        assert [message.content for message in kept.messages] == lost


async def test_a_chat_that_could_not_be_saved_is_saved_at_the_end(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models, busy_timeout=0.2) as tab:
        await tab.app.services.chats.summaries()
        holder = sqlite3.connect(tmp_path / "data" / "npurun-tui.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        await tab.ask(ASK)
        await tab.answered()
        await tab.pilot.press("ctrl+n")
        holder.close()
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.until(lambda: [chat.title for chat in tab.chats.chats] == [ASK])


async def test_an_old_answer_keeps_its_models_name(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask(ASK)
        await tab.answered()
        tab.chat.model = "another-model"
        await tab.pilot.press("ctrl+t", "escape")
        tab.pane.conversation.show(tab.pane.session)
        await tab.pilot.pause()
        assert NAME in tab.screen_text


async def test_a_chat_that_failed_says_why_when_it_is_opened_again(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.ask("word " * 20000)
        await tab.answered()
        first = tab.pane.session
        await tab.pilot.press("ctrl+n")
        assert "holds 8,192" not in tab.pane.conversation.open.of(tab.pane.session).failure
        await tab.pilot.press("ctrl+o", "enter")
        await tab.until(lambda: tab.pane.session is first)
        await tab.pilot.pause()
        tab.app.clear_notifications()
        await tab.until(lambda: "context window holds 8,192" in tab.screen_text)


async def test_a_chat_that_waits_says_so_when_it_is_opened_again(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        async with tab.app.services.engine.permit("somebody"):
            await tab.ask(ASK)
            await tab.until(lambda: "somebody holds the permit" in tab.screen_text)
            first = tab.pane.session
            await tab.pilot.press("ctrl+n")
            assert "somebody holds the permit" not in tab.screen_text
            await tab.until(lambda: len(tab.chats.chats) == 1)
            await tab.pilot.press("ctrl+o", "enter")
            await tab.until(lambda: tab.pane.session is first)
            await tab.until(lambda: "somebody holds the permit" in tab.screen_text)
        await tab.answered()
        assert tab.contents() == [("user", ""), ("assistant", "")]


async def test_the_lists_cursor_stays_on_its_chat(tmp_path: Path, real_models: Path) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        for number in (1, 2, 3):
            await tab.pilot.press("ctrl+n")
            await tab.ask(f"Please repeat this number: {number}")
            await tab.answered()
        await tab.until(lambda: len(tab.chats.chats) == 3)
        tab.chat.settings = LONG
        await tab.ask(STORY)
        await tab.until_writing()
        await tab.pilot.press("ctrl+o", "j")
        under = tab.chats.highlighted_option
        assert under is not None
        assert under.id != str(tab.chat.id)
        tab.pane.session.stop()
        await tab.answered()
        tab.chats.show(tab.chats.chats[::-1], tab.chat.id)
        now_under = tab.chats.highlighted_option
        assert now_under is not None
        assert now_under.id == under.id


async def test_an_empty_list_says_so_and_has_nothing_to_delete(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models) as tab:
        await tab.until(lambda: "No chats yet" in tab.screen_text)
        await tab.pilot.press("ctrl+o")
        assert "Delete chat" not in tab.screen_text
        await tab.pilot.press("delete", "enter")
        assert isinstance(tab.app.screen, MainScreen)


async def test_a_long_prompt_leaves_room_in_a_low_terminal(
    tmp_path: Path, real_models: Path
) -> None:
    async with chat_tab(tmp_path, real_models, size=(60, 16)) as tab:
        tab.prompt.insert("line\n" * 20)
        await tab.pilot.pause()
        assert tab.prompt.size.height >= 3
        assert tab.pane.query_one(Transcript).size.height >= 4
