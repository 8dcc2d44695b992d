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
        self._current: int | None = None

    @staticmethod
    def now() -> float:
        """What a chat's age is counted to, in Unix seconds."""
        return time.time()

    @property
    def chats(self) -> Sequence[ChatSummary]:
        """What is listed."""
        return tuple(self._chats.values())

    def show(self, chats: Sequence[ChatSummary], current: int | None) -> None:
        """Show `chats`, of which the one with id `current` is open.

        The cursor stays on its chat, unless another one was opened while the keyboard was elsewhere: a list that
        moves under somebody's hand deletes the wrong chat.
        """
        at, row, now = self.highlighted_option, self.highlighted or 0, self.now()
        wanted = at.id if at is not None and (self.has_focus or current == self._current) else None
        self._chats, self._current = {str(chat.id): chat for chat in chats}, current
        if not chats:
            self.set_options([Option(Content("  No chats yet"), disabled=True)])
        else:
            self.set_options(self._option(chat, chat.id == current, now) for chat in chats)
            self._put_cursor(wanted or str(current), row)
        self.refresh_bindings()

    def _put_cursor(self, chat: str, otherwise: int) -> None:
        known = chat in self._chats
        row = self.get_option_index(chat) if known else min(otherwise, len(self._chats) - 1)
        self.highlighted = row

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to delete in an empty list."""
        if action == "delete":
            return bool(self._chats)
        return super().check_action(action, parameters)

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
