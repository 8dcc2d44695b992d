"""The list of kept chats, the last used first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from textual import on
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from npurun_tui.chat.model import ChatSummary
from npurun_tui.screens.chat_words import chat_line
from npurun_tui.text import one_line


class ChatList(OptionList):
    """Shows summaries; which chat is opened or deleted is for the pane to do."""

    HELP = "Your chats, the last used first. **Enter** opens one, **Delete** removes it."

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("delete,d", "delete", "Delete chat"),
    ]

    @dataclass
    class Opened(Message):
        """A chat was chosen."""

        chat_id: int

    @dataclass
    class DeleteRequested(Message):
        """A chat is to be removed."""

        chat: ChatSummary

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, markup=False)
        self._chats: dict[str, ChatSummary] = {}

    def show(self, chats: Sequence[ChatSummary], current: int | None) -> None:
        """Show `chats` and put the cursor on the one with id `current`."""
        now = time.time()
        self._chats = {str(chat.id): chat for chat in chats}
        self.set_options(self._option(chat, chat.id == current, now) for chat in chats)
        if current is not None and str(current) in self._chats:
            self.highlighted = self.get_option_index(str(current))
        elif chats:
            self.highlighted = 0

    def _option(self, chat: ChatSummary, current: bool, now: float) -> Option:
        sign = "▸ " if current else "  "
        title = Content(sign + one_line(chat.title, 60))
        details = Content("  " + chat_line(chat, now)).stylize("$text-muted")
        return Option(Content("\n").join([title, details]), id=str(chat.id))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id is not None:
            self.post_message(self.Opened(int(event.option_id)))

    def action_delete(self) -> None:
        """Ask the pane to remove the chat under the cursor."""
        option = self.highlighted_option
        if option is not None and option.id is not None:
            self.post_message(self.DeleteRequested(self._chats[option.id]))
