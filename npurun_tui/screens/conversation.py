"""The conversation of one chat: transcript, gauge, prompt, and the answer that is being written."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import cast

from textual import on, work
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message as TextualMessage
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker, WorkerError

from npurun_tui.chat.model import STOPPED, Message
from npurun_tui.chat.session import ChatSession, NotSaved, SessionEvent, Started
from npurun_tui.engine.surface import AnyEngine
from npurun_tui.engine.transcript import Piece
from npurun_tui.errors import NpurunError
from npurun_tui.screens import chat_words
from npurun_tui.screens.open_chats import OpenChats
from npurun_tui.text import one_line
from npurun_tui.widgets.clipboard import CopyingApp, copy
from npurun_tui.widgets.notices import complain, say
from npurun_tui.widgets.prompt import Prompt
from npurun_tui.widgets.sides import Sides
from npurun_tui.widgets.transcript.message import Entry
from npurun_tui.widgets.transcript.view import MessageId, Transcript

NO_MODEL = "No model is installed yet. Open the Models tab (ctrl+pgup) and pull one."
STILL_WRITING = "The answer is still being written; Escape stops it."


class Title(Static):
    """No text of the conversation: selecting that leaves it out."""

    ALLOW_SELECT = False


class Conversation(Widget):
    """Shows one session at a time; an answer goes on when another session is shown."""

    @dataclass
    class Progressed(TextualMessage):
        """The list of chats may say something else: an answer has its first text, or has ended."""

        session: ChatSession

    @dataclass
    class ModelWanted(TextualMessage):
        """Something was to be sent, and the chat has no model; `again` tries once more."""

        again: Callable[[], None]

    def __init__(
        self,
        engine: AnyEngine,
        session: ChatSession,
        *,
        where: str = "",
        id: str | None = None,  # noqa: A002 - Textual's word
    ) -> None:
        """`where` names the machine that answers; empty where it is this one."""
        super().__init__(id=id)
        self._at = f" at {where}" if where else ""
        self._engine = engine
        self.session = session
        self.writing: list[ChatSession] = []
        """The sessions with an answer on its way, whether they are shown or not."""
        self.open = OpenChats()
        self._workers_of_answers: set[Worker[None]] = set()
        self._live: MessageId | None = None
        self._begun: Message | None = None
        """The answer whose text `_live` shows, once there is some."""
        self._draft = ""
        """What was being written when an edit began."""
        self._editing = False
        self._told_unsaved = False

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Title(id="chat-title")
        yield Transcript(id="transcript")
        yield Sides(id="chat-line")
        yield Prompt(placeholder="Ask something", id="prompt")

    def on_mount(self) -> None:
        """The session given at the start."""
        self.show(self.session)

    async def on_unmount(self) -> None:
        """Answers end with the tab; what has come of them is saved before the tab is gone."""
        self._live = None
        for session in self.writing:
            session.stop()
        for worker in tuple(self._workers_of_answers):
            with suppress(WorkerError):  # cancelled or failed: the session has saved what there was
                await worker.wait()
        await self.save_kept()

    # --- showing -------------------------------------------------------------------------------

    def show(self, session: ChatSession) -> None:
        """Show another session, the answer that is being written in it included."""
        if self._editing:
            self._leave_edit()
        if session is not self.session:
            self._swap_drafts(session)
        self.session = session
        self._show_messages()
        if session.busy:
            self._live, self._begun = self._add_live(session), session.writing
        elif failure := self.open.of(session).failure:
            self.query_one(Transcript).add(
                Entry("assistant", "", label=session.chat.model, outcome=failure)
            )
        self.show_title()
        self._set_history()

    def _swap_drafts(self, session: ChatSession) -> None:
        prompt = self.query_one(Prompt)
        self.open.of(self.session).draft = prompt.text
        prompt.write(self.open.of(session).draft)
        self.open.drop_idle(but=session)

    def _set_history(self) -> None:
        prompts = [m.content for m in self.session.chat.messages if m.role == "user"]
        self.query_one(Prompt).set_history(prompts)

    def show_title(self) -> None:
        """The chat's title and model, after either has changed."""
        chat = self.session.chat
        words = f"{one_line(chat.title, 60)}  ·  {one_line(chat.model, 60) or 'no model'}{self._at}"
        self.query_one("#chat-title", Static).update(Content(words), layout=False)
        self._show_line()

    def _show_messages(self) -> None:
        session, self._live = self.session, None
        self.query_one(Transcript).load(
            [self._entry(m) for m in session.chat.messages if m is not session.writing]
        )
        self._show_line()

    def _entry(self, message: Message) -> Entry:
        if message.role == "user":
            return Entry("user", message.content)
        return Entry(
            "assistant",
            message.content,
            label=(message.stats.model if message.stats else "") or self.session.chat.model,
            footer=chat_words.footer(message.stats),
            outcome=chat_words.note(message.stats, message.outcome),
        )

    def _show_line(self) -> None:
        """Settings at the left, the context window's gauge at the right."""
        chat = self.session.chat
        stats = next((m.stats for m in reversed(chat.messages) if m.stats is not None), None)
        editing = "editing · esc leaves it"
        self.query_one(Sides).show(
            editing if self._editing else chat_words.summary(chat.settings),
            chat_words.gauge(stats.occupancy, stats.context_size) if stats else "",
        )

    # --- asking --------------------------------------------------------------------------------

    @on(Prompt.Submitted)
    def _submitted(self, event: Prompt.Submitted) -> None:
        session = self.session
        if not self._may_ask(event.prompt.action_submit):
            return
        event.prompt.clear()
        if self._editing:
            session.edit_last(event.text)
            self._leave_edit()
            self._show_messages()
        else:
            session.say(event.text)
            self.query_one(Transcript).add(Entry("user", event.text))
        self._set_history()
        self._answer(session)

    @on(Prompt.NothingToSend)
    def _nothing_to_send(self, event: Prompt.NothingToSend) -> None:
        say(self, event.hint)

    def regenerate(self) -> None:
        """Answer the last user message again."""
        if self.session.chat.messages and self._may_ask(self.regenerate):
            self.session.take_back_answer()
            self._show_messages()
            self._answer(self.session)

    def edit_last(self) -> None:
        """Take the last user message back into the prompt; it is replaced when that is sent."""
        mine = [m.content for m in self.session.chat.messages if m.role == "user"]
        if mine and self._may_ask(self.edit_last):
            prompt = self.query_one(Prompt)
            if not self._editing:
                self._draft = prompt.text
            prompt.write(mine[-1])
            prompt.focus()
            self._set_editing(True)

    def stop(self) -> bool:
        """Stop the answer, or leave the edit; False where there was neither."""
        if self.session.busy:
            self.session.stop()
        elif self._editing:
            self._leave_edit()
        else:
            return False
        return True

    def _leave_edit(self) -> None:
        """Put back what was being written before the edit."""
        self._set_editing(False)
        self.query_one(Prompt).write(self._draft)

    def _may_ask(self, again: Callable[[], None]) -> bool:
        if self.session.busy:
            say(self, STILL_WRITING)
        elif not self.session.chat.model:
            self.post_message(self.ModelWanted(again))
        else:
            return True
        return False

    def _set_editing(self, editing: bool) -> None:
        self._editing = editing
        self.set_class(editing, "-editing")
        self._show_line()

    # --- the answer ----------------------------------------------------------------------------

    def _answer(self, session: ChatSession) -> None:
        answer = session.answer(partial(self._on_event, session))
        self.open.of(session).begin()
        self._live, self._begun = self._add_live(session), None
        self.writing.append(session)
        self._workers_of_answers = {w for w in self._workers_of_answers if not w.is_finished}
        self._workers_of_answers.add(self._write(session, answer))

    def _add_live(self, session: ChatSession) -> MessageId:
        transcript = self.query_one(Transcript)
        entry = Entry("assistant", session.partial, label=session.chat.model)
        live = transcript.add(entry, live=True)
        if not session.partial:
            transcript.set_activity(live, self.open.of(session).activity)
        return live

    @work(group="answers")
    async def _write(self, session: ChatSession, answer: Coroutine[object, object, None]) -> None:
        otherwise = STOPPED
        try:
            await answer
        except NpurunError as error:
            complain(self, error)
            otherwise = str(error)
        finally:
            self.writing.remove(session)
        if session.chat.messages[-1].role == "user":
            self.open.of(session).failure = otherwise
        if session is self.session and self._live is not None:
            self._end_live(session, self._live, otherwise)
        self.post_message(self.Progressed(session))

    def _on_event(self, session: ChatSession, event: SessionEvent) -> None:
        if isinstance(event, NotSaved):
            self._not_saved(session, event)
            return
        if isinstance(event, Started):
            self.post_message(self.Progressed(session))
        if words := chat_words.activity(event, self._engine.status.holder):
            self.open.of(session).activity = words
        if session is not self.session or self._live is None:
            return
        if isinstance(event, Piece):
            self.query_one(Transcript).append_text(self._live, event.text)
        elif isinstance(event, Started):
            self._begun = event.message
        elif words:
            self.query_one(Transcript).set_activity(self._live, words)

    def _end_live(self, session: ChatSession, live: MessageId, otherwise: str) -> None:
        """Close the message on the screen as the chat has it; `otherwise` where nothing came of it."""
        last = session.chat.messages[-1]
        answered = last.role == "assistant"
        if answered and last is not self._begun:  # asked again in vain: the old answer stands
            self._show_messages()
            return
        self.query_one(Transcript).finish(
            live,
            footer=chat_words.footer(last.stats) if answered else "",
            outcome=chat_words.note(last.stats, last.outcome) if answered else otherwise,
        )
        self._live = None
        self._show_line()

    # --- saving --------------------------------------------------------------------------------

    async def save(self, session: ChatSession) -> None:
        """Write a chat now; where that fails it is said, and done again at the next occasion."""
        await session.save(partial(self._on_event, session))

    async def save_kept(self) -> bool:
        """Write the chats that could not be written before, as far as that works now; whether any was."""
        saved = False
        for session in self.open.unsaved():
            kept = self.open.of(session)
            kept.unsaved = False
            await self.save(session)
            if kept.unsaved:
                return saved
            saved = True
        if saved:
            self._told_unsaved = False
        return saved

    def _not_saved(self, session: ChatSession, event: NotSaved) -> None:
        self.open.of(session).unsaved = True
        if not self._told_unsaved:  # once is enough: each further save says the same
            self._told_unsaved = True
            say(
                self,
                f"{event.error.message} The chat is kept in memory and saved when that works again.",
                severity="error",
            )

    # --- copying -------------------------------------------------------------------------------

    def copy_answer(self) -> None:
        """Copy the last answer's Markdown."""
        session = self.session
        answers = [m.content for m in session.chat.messages if m.role == "assistant"]
        text = session.partial if session.busy else "".join(answers[-1:])
        if text:
            self._copy(text, "answer")

    @on(Transcript.CopyRequested)
    def _copy_requested(self, event: Transcript.CopyRequested) -> None:
        self._copy(event.text, event.what)

    @on(Transcript.NothingToCopy)
    def _nothing_to_copy(self, event: Transcript.NothingToCopy) -> None:
        say(self, event.why)

    @work(group="copy", exclusive=True)
    async def _copy(self, text: str, what: str) -> None:
        copied = await copy(cast("CopyingApp", self.app), text)
        say(self, f"{what[:1].upper()}{what[1:]}: {copied.sentence}")
