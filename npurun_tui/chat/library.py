"""The chats that are kept, for callers on an event loop.

SQLite blocks, so one worker thread does all of it, in order. Saving is repeatable: whatever failed to be written (a
locked file, a full disk) stays marked in the chat and is written by the next save, so that nothing is lost while
the program runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from npurun_tui.chat.model import Chat, ChatSettings, ChatSummary, Message, stats_from_json
from npurun_tui.chat.saving import Saving
from npurun_tui.errors import StorageError
from npurun_tui.storage.chats import ChatRow, ChatTable, MessageRow
from npurun_tui.storage.database import BUSY_TIMEOUT, Database

P = ParamSpec("P")
T = TypeVar("T")


class ChatLibrary:
    """Owns the database and the thread that uses it. Every coroutine may raise a StorageError or DiskFull.

    What is asked is done in the order of asking, and to its end even where the caller is cancelled: a write that
    nobody knows the result of would be made twice.
    """

    def __init__(self, database: Path, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self._database = Database(database, busy_timeout=busy_timeout)
        self._table = ChatTable(self._database)
        self._thread = ThreadPoolExecutor(1, "storage")
        self._turn = asyncio.Lock()
        self._asked: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def notice(self) -> str:
        """A sentence for the user where the database had to be replaced; else empty."""
        return self._database.notice

    async def summaries(self) -> list[ChatSummary]:
        """The chats, the last used first."""
        rows = await self._in_order(partial(self._on_thread, self._table.summaries))
        return [ChatSummary(r.id, r.title, r.model, r.updated, r.message_count) for r in rows]

    async def load(self, chat_id: int) -> Chat:
        """One chat with its messages."""
        row, messages = await self._in_order(partial(self._on_thread, self._table.load, chat_id))
        return _chat(row, messages)

    async def delete(self, chat_id: int) -> None:
        """Remove a chat and its messages."""
        await self._in_order(partial(self._on_thread, self._table.delete, chat_id))

    async def save(self, chat: Chat) -> None:
        """Write what is new or changed in `chat`; an empty new chat is not written."""
        if chat.messages or chat.id is not None:
            await self._in_order(partial(self._save, chat))

    async def aclose(self) -> None:
        """Finish what is being written, then close the file."""
        closing = self._in_order(partial(self._on_thread, self._database.close))
        self._closed = True
        await closing
        self._thread.shutdown(wait=False)

    async def _save(self, chat: Chat) -> None:
        saving = Saving(chat)
        try:
            await self._on_thread(saving.write, self._table)
        finally:
            saving.apply()

    async def _on_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(work, *args, **kwargs))

    def _in_order(self, work: Callable[[], Awaitable[T]]) -> asyncio.Future[T]:
        if self._closed:
            raise StorageError("The chats are closed already.")

        async def in_turn() -> T:
            async with self._turn:
                return await work()

        task = asyncio.create_task(in_turn(), name="chat storage")
        self._asked.add(task)  # the event loop itself holds a task only weakly
        task.add_done_callback(self._asked.discard)
        return asyncio.shield(task)


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
