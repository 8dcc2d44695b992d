"""The Chat tab: the list of chats beside the conversation, and the way from one to the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from textual import on, work
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widget import Widget

from npurun_tui.chat.library import ChatLibrary
from npurun_tui.chat.model import Chat, ChatSummary
from npurun_tui.chat.session import BeforeLoad, ChatSession
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.surface import AnyEngine
from npurun_tui.errors import NpurunError
from npurun_tui.screens.chat_list import ChatList
from npurun_tui.screens.chat_settings import ChatSettingsScreen
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.screens.conversation import NO_MODEL, STILL_WRITING, Conversation
from npurun_tui.settings import Remembered
from npurun_tui.text import one_line
from npurun_tui.units import count
from npurun_tui.widgets.notices import complain, say
from npurun_tui.widgets.prompt import Prompt

log = logging.getLogger(__name__)

NARROW = 100
"""Columns below which the list of chats takes the conversation's place instead of standing beside it."""

LOW = 24
"""Rows below which a long prompt leaves more of its own to the transcript."""


class ChatPane(Widget):
    """Chats are kept as they are written; opening another one never stops an answer."""

    HELP = """\
    ## Chat

    Type below and press **Enter**; **Shift+Enter** or **Ctrl+J** makes a new line. **Escape** stops the answer and
    keeps what has come. Chats are kept on this machine; **Ctrl+O** goes to their list.
    """
    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("escape", "stop", "Stop"),
        Binding("ctrl+n", "new_chat", "New"),
        Binding("ctrl+o", "chats", "Chats"),
        Binding("ctrl+r", "regenerate", "Again"),
        Binding("ctrl+t", "edit_last", "Edit last"),
        Binding("ctrl+s", "settings", "Settings"),
        Binding("ctrl+g", "copy_answer", "Copy"),
        # Typed with the transcript in focus a text's first q would otherwise quit the program.
        Binding("q", "focus_prompt", "Prompt", show=False),
    ]

    def __init__(
        self,
        engine: AnyEngine,
        library: ChatLibrary,
        remembered: Remembered,
        *,
        spec_of: Callable[[str], ModelSpec],
        installed: Callable[[], list[str]],
        where: str = "",
        before_load: BeforeLoad | None = None,
    ) -> None:
        """`spec_of` and `installed` (the models' names) may wait and raise NpurunError; they are called in a thread.

        `where` names the machine that answers, where it is not this one; `before_load` is `ChatSession`'s.
        """
        super().__init__()
        self._engine = engine
        self._library = library
        self._remembered = remembered
        self._spec_of = spec_of
        self._installed = installed
        self._where = where
        self._before_load = before_load
        self._arrived = False

    def compose(self) -> ComposeResult:
        """An empty chat at once; what must be read from the disk comes when it comes."""
        session = self._session_of(Chat(self._remembered.get("model")))
        with Horizontal():
            yield ChatList(id="chat-list")
            yield Conversation(self._engine, session, where=self._where, id="conversation")

    @property
    def conversation(self) -> Conversation:
        """What is beside the list."""
        return self.query_one(Conversation)

    @property
    def session(self) -> ChatSession:
        """The chat that is shown."""
        return self.conversation.session

    def on_mount(self) -> None:
        """Read the list of chats and see that there is a model."""
        self._arrive()

    @work(group="chat list")
    async def _arrive(self) -> None:
        remembered = self.session.chat.model
        if not await self._choose_installed(tell=bool(remembered)):
            say(self, self._no_model, severity="warning")
        self._arrived = True
        await self._refresh_list()
        if self._library.notice:
            say(self, self._library.notice, severity="warning")

    @property
    def _no_model(self) -> str:
        return f"{self._where} has no model yet: pull one in Models." if self._where else NO_MODEL

    @work(group="choose model", exclusive=True)
    async def _choose_model(self) -> None:
        await self._choose_installed()

    async def _choose_installed(self, *, tell: bool = True) -> bool:
        """Give an empty chat without a usable model the first one; False where none is installed."""
        try:
            models = await asyncio.to_thread(self._installed)
        except NpurunError as error:
            complain(self, error)
            return True  # what there is, is not known
        chat = self.session.chat
        if chat.model not in models and not (chat.messages and chat.model):
            chat.model = models[0] if models else ""
            self.conversation.show_title()
            if tell and chat.model:
                say(self, f"This chat answers with {chat.model}; ctrl+s chooses another model.")
        return bool(models)

    @on(Conversation.ModelWanted)
    @work(group="model wanted", exclusive=True)
    async def _model_wanted(self, event: Conversation.ModelWanted) -> None:
        if await self._choose_installed():
            event.again()
        else:
            say(self, self._no_model, severity="warning")

    def on_resize(self) -> None:
        """The list stands beside the conversation, or in its place."""
        self.set_class(self.app.size.width < NARROW, "-narrow")
        self.set_class(self.app.size.height < LOW, "-low")

    # --- what the main screen knows ------------------------------------------------------------

    def focus_main(self) -> None:
        """The keyboard belongs to the prompt. A model may have come since the last visit."""
        self.query_one(Prompt).focus()
        if self._arrived:
            self._choose_model()

    def use_model(self, name: str) -> None:
        """Answer with the installed model `name` from now on; where it is not, say so and change nothing."""
        self._use_model(self.session.chat, name)

    @work(group="use model", exclusive=True)
    async def _use_model(self, chat: Chat, name: str) -> None:
        try:
            spec = await asyncio.to_thread(self._spec_of, name)
        except NpurunError as error:
            complain(self, error)
            return
        chat.model = spec.name
        self._remember_model(spec.name)
        self.conversation.show_title()

    def palette_commands(self) -> Iterable[SystemCommand]:
        """The tab's commands by name."""
        yield SystemCommand("New chat", "Begin an empty chat", self.action_new_chat)
        yield SystemCommand("Chats", "Go to the list of chats, or hide it", self.action_chats)
        yield SystemCommand("Chat settings", "Model, system prompt, sampling", self.action_settings)
        if self.session.busy:
            yield SystemCommand("Stop", "Stop the answer, keep its text", self.action_stop)
        elif self.session.chat.messages:
            yield SystemCommand(
                "Regenerate", "Answer the last message again", self.action_regenerate
            )
            yield SystemCommand(
                "Edit last message", "Change it and send it again", self.action_edit_last
            )
            yield SystemCommand("Copy answer", "Copy the last answer", self.action_copy_answer)

    # --- keys ----------------------------------------------------------------------------------

    def action_stop(self) -> None:
        """Stop the answer, leave the edit or the list: whatever Escape can mean now."""
        if self.query_one(ChatList).has_focus or not self.conversation.stop():
            self.remove_class("-list")
            self.focus_main()

    def action_focus_prompt(self) -> None:
        """Go to the prompt."""
        self.focus_main()

    def action_regenerate(self) -> None:
        """Answer the last user message again."""
        self.conversation.regenerate()

    def action_edit_last(self) -> None:
        """Change the last user message and send it again."""
        self.conversation.edit_last()

    def action_copy_answer(self) -> None:
        """Copy the last answer."""
        self.conversation.copy_answer()

    def action_new_chat(self) -> None:
        """Begin an empty chat with the same model and settings; the old one stays in the list.

        An empty chat that was left with a draft comes back with it: no list would lead there.
        """
        chat = self.session.chat
        session = self.conversation.open.blank() or self._session_of(Chat(chat.model))
        session.chat.model, session.chat.settings = chat.model, chat.settings
        self._show(session)

    def action_chats(self) -> None:
        """Go to the list of chats; hide it where it has the keyboard."""
        chats = self.query_one(ChatList)
        hide = chats.has_focus
        self.set_class(not hide, "-list")
        self.set_class(hide, "-no-list")
        (self.query_one(Prompt) if hide else chats).focus()

    # --- chats ---------------------------------------------------------------------------------

    def _session_of(self, chat: Chat) -> ChatSession:
        return ChatSession(
            chat, self._engine, self._library, self._spec_of, before_load=self._before_load
        )

    def _show(self, session: ChatSession) -> None:
        self.conversation.show(session)
        self.remove_class("-list")
        self.focus_main()
        self._read_list()

    @on(ChatList.Opened)
    @work(group="open chat", exclusive=True)
    async def _opened(self, event: ChatList.Opened) -> None:
        if session := self.conversation.open.find(event.chat_id):
            self._show(session)
            return
        try:
            chat = await self._library.load(event.chat_id)
        except NpurunError as error:
            complain(self, error)
            return
        self._show(self._session_of(chat))

    @on(ChatList.DeleteRequested)
    def _delete_requested(self, event: ChatList.DeleteRequested) -> None:
        chat = event.chat
        if any(session.chat.id == chat.id for session in self.conversation.writing):
            say(self, STILL_WRITING)
            return
        question = f"“{one_line(chat.title, 40)}” and its {count(chat.message_count, 'message')} will be gone."
        box = ConfirmScreen("Delete this chat?", question, yes="Delete", no="Keep")
        self._delete(chat, box)

    @work(group="delete chat")
    async def _delete(self, chat: ChatSummary, box: ConfirmScreen) -> None:
        if not await self.app.push_screen_wait(box):
            return
        try:
            await self._library.delete(chat.id)
        except NpurunError as error:
            complain(self, error)
            return
        if self.session.chat.id == chat.id:
            self.action_new_chat()
        self.conversation.open.drop(chat.id)
        await self._refresh_list()

    @on(Conversation.Progressed)
    @work(group="chat list")
    async def _read_list(self) -> None:
        await self._refresh_list()

    async def _refresh_list(self) -> None:
        await self._fill_list()
        if await self.conversation.save_kept():
            await self._fill_list()

    async def _fill_list(self) -> None:
        try:
            chats = await self._library.summaries()
        except NpurunError as error:
            complain(self, error)
            return
        self.query_one(ChatList).show(chats, self.session.chat.id)
        self.conversation.show_title()

    # --- settings ------------------------------------------------------------------------------

    @work(group="settings", exclusive=True)
    async def action_settings(self) -> None:
        """Change this chat's model, system prompt and sampling; it counts from the next answer on."""
        session = self.session
        chat = session.chat
        try:
            models = await asyncio.to_thread(self._installed)
        except NpurunError as error:  # the rest can be set all the same
            complain(self, error)
            models = []
        chosen = await self.app.push_screen_wait(
            ChatSettingsScreen(models, chat.model, chat.settings)
        )
        if chosen is None:
            return
        chat.model, chat.settings = chosen.model, chosen.settings
        self._remember_model(chosen.model)
        self.conversation.show_title()
        await self.conversation.save(session)

    @work(group="remember", thread=True)
    def _remember_model(self, name: str) -> None:
        # Two fsyncs: not on the event loop.
        try:
            self._remembered.set("model", name)
        except OSError as error:
            log.warning("the model's name was not remembered: %s", error)
