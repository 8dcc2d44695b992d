"""The chats that are kept, for callers on an event loop.

SQLite blocks, so one worker thread does all of it, in order. Saving is repeatable: whatever failed to be written (a
locked file, a full disk) stays marked in the chat and is written by the next save, so that nothing is lost while
the program runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from npurun_tui.chat.model import (
    Chat,
    ChatSettings,
    ChatSummary,
    Message,
    stats_from_json,
    stats_to_json,
)
from npurun_tui.errors import StorageError
from npurun_tui.storage.chats import ChatRow, ChatTable, MessageRow
from npurun_tui.storage.database import Database

P = ParamSpec("P")
T = TypeVar("T")


class ChatLibrary:
    """Owns the database and the thread that uses it. Every coroutine may raise a StorageError or DiskFull."""

    def __init__(self, database: Path) -> None:
        self._database = Database(database)
        self._table = ChatTable(self._database)
        self._thread = ThreadPoolExecutor(1, "storage")
        self._closed = False

    @property
    def notice(self) -> str:
        """A sentence for the user where the database had to be replaced; else empty."""
        return self._database.notice

    async def summaries(self) -> list[ChatSummary]:
        """The chats, the last used first."""
        rows = await self._do(self._table.summaries)
        return [ChatSummary(r.id, r.title, r.model, r.updated, r.message_count) for r in rows]

    async def load(self, chat_id: int) -> Chat:
        """One chat with its messages."""
        row, messages = await self._do(self._table.load, chat_id)
        return _chat(row, messages)

    async def delete(self, chat_id: int) -> None:
        """Remove a chat and its messages."""
        await self._do(self._table.delete, chat_id)

    async def save(self, chat: Chat) -> None:
        """Write what is new or changed in `chat`; an empty new chat is not written."""
        if chat.messages or chat.id is not None:
            await self._do(self._save, chat)

    async def aclose(self) -> None:
        """Finish what is being written, then close the file."""
        closing = self._do(self._database.close)
        self._closed = True
        await closing
        self._thread.shutdown(wait=False)

    def _do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        if self._closed:
            raise StorageError("The chats are closed already.")
        # Shielded: a cancelled caller must not leave a half-known write; the thread finishes it either way.
        loop = asyncio.get_running_loop()
        return asyncio.shield(loop.run_in_executor(self._thread, lambda: work(*args, **kwargs)))

    # -- on the worker thread --------------------------------------------------------------

    def _save(self, chat: Chat) -> None:
        settings = chat.settings.to_json()
        if chat.id is not None and not self._table.update(
            chat.id, title=chat.title, model=chat.model, settings_json=settings
        ):
            # Another window has deleted the chat; here it is still open, so it is written anew.
            chat.id = None
            for message in chat.messages:
                message.id = None
        if chat.id is None:
            chat.id = self._table.create(chat.title, chat.model, settings)
        removed = tuple(chat.removed)
        self._table.remove(chat.id, removed)
        del chat.removed[: len(removed)]
        for message in tuple(chat.messages):
            self._save_message(chat.id, message)

    def _save_message(self, chat_id: int, message: Message) -> None:
        content, outcome = message.content, message.outcome
        stats = stats_to_json(message.stats)
        if message.id is not None and message.stored == (content, stats, outcome):
            return
        # A message that another window has deleted is written again: what is on this screen is not lost.
        if message.id is None or not self._table.replace(message.id, content, stats, outcome):
            message.id = self._table.append(chat_id, message.role, content, stats, outcome)
        message.stored = (content, stats, outcome)


def _chat(row: ChatRow, messages: list[MessageRow]) -> Chat:
    return Chat(
        model=row.model,
        settings=ChatSettings.from_json(row.settings_json),
        title=row.title,
        messages=[_message(message) for message in messages],
        id=row.id,
        created=row.created,
        updated=row.updated,
    )


def _message(row: MessageRow) -> Message:
    stored = (row.content, row.stats_json, row.outcome)
    return Message(
        row.role, row.content, stats_from_json(row.stats_json), row.outcome, row.id, stored
    )
