"""One save of a chat, in three steps, so that the event loop and the storage thread never share a changing list.

The loop takes a snapshot; the thread writes it and looks at nothing else of the chat; the loop enters the new ids.
The chat may change between the steps: what was taken out of it meanwhile is removed again by the next save.
"""

from __future__ import annotations

from dataclasses import dataclass

from npurun_tui.chat.model import Chat, Message, stats_to_json
from npurun_tui.engine.transcript import TurnStats
from npurun_tui.storage.chats import ChatTable


@dataclass(slots=True)
class _Entry:
    """A message as it was when the save began; `id` and `stored` become what the thread made them."""

    message: Message
    content: str
    stats: TurnStats | None
    outcome: str
    id: int | None
    stored: tuple[str, str, str] | None

    def write(self, table: ChatTable, chat_id: int) -> None:
        text = (self.content, stats_to_json(self.stats), self.outcome)
        if self.id is not None and self.stored == text:
            return
        # A message that another window has deleted is written again: what was changed here is not lost.
        if self.id is None or not table.replace(self.id, *text):
            self.id = table.append(chat_id, self.message.role, *text)
        self.stored = text


class Saving:
    """Made and applied on the event loop, written on the storage thread; used once."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._id = chat.id
        self._title, self._model, self._settings = chat.title, chat.model, chat.settings
        self._to_remove = tuple(chat.removed)
        self._removed: set[int] = set()
        self._entries = [
            _Entry(m, m.content, m.stats, m.outcome, m.id, m.stored) for m in chat.messages
        ]

    def write(self, table: ChatTable) -> None:
        """Write what is new or changed, and the chat itself where another window has deleted it.

        Raises:
            StorageError, DiskFull: some of it is not written; `apply` keeps what is.
        """
        settings = self._settings.to_json()
        if self._id is not None and not table.update(
            self._id, title=self._title, model=self._model, settings_json=settings
        ):
            self._id = None
            for entry in self._entries:
                entry.id = None
        if self._id is None:
            self._id = table.create(self._title, self._model, settings)
        table.remove(self._id, self._to_remove)
        self._removed.update(self._to_remove)
        for entry in self._entries:
            entry.write(table, self._id)

    def apply(self) -> None:
        """Enter in the chat what is in the database now; also after a `write` that failed half-way."""
        chat = self._chat
        chat.id = self._id
        chat.removed = [number for number in chat.removed if number not in self._removed]
        present = set(map(id, chat.messages))
        for entry in self._entries:
            message = entry.message
            if id(message) in present:
                message.id, message.stored = entry.id, entry.stored
            elif entry.id is not None and entry.id != message.id:
                # Taken out before its id was known. Should it come back, it is a new one.
                chat.removed.append(entry.id)
                message.id = message.stored = None
