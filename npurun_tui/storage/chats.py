"""The chats in the database, as plain rows: what a chat means is the business of `npurun_tui.chat`.

Settings and statistics are JSON texts that are kept and given back unread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from npurun_tui.errors import StorageError

if TYPE_CHECKING:  # sqlite3 is loaded only when a chat is: the rows below are used for type hints
    import sqlite3

    from npurun_tui.storage.database import Database

_SUMMARY = (
    "SELECT id, title, model, settings, created, updated,"
    " (SELECT count(*) FROM message WHERE message.chat = chat.id) FROM chat"
)


@dataclass(frozen=True, slots=True)
class ChatRow:
    """One chat without its messages. Times are Unix seconds."""

    id: int
    title: str
    model: str
    settings_json: str
    created: float
    updated: float
    message_count: int


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message of a chat, in the order of `id`. `created` is in Unix seconds."""

    id: int
    role: str
    content: str
    stats_json: str
    outcome: str
    created: float


class ChatTable:
    """Reading and writing chats. Every method blocks, and raises what `Database.connection` raises."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def summaries(self, limit: int = 500) -> list[ChatRow]:
        """The chats, the one written to last first."""
        with self._database.reading() as connection:
            query = f"{_SUMMARY} ORDER BY updated DESC, id DESC LIMIT ?"
            return [ChatRow(*row) for row in connection.execute(query, (limit,))]

    def load(self, chat_id: int) -> tuple[ChatRow, list[MessageRow]]:
        """A chat with all its messages.

        Raises:
            StorageError: also where there is no such chat.
        """
        with self._database.reading() as connection:
            row = connection.execute(f"{_SUMMARY} WHERE id = ?", (chat_id,)).fetchone()
            if row is None:
                raise _gone()
            messages = connection.execute(
                "SELECT id, role, content, stats, outcome, created FROM message"
                " WHERE chat = ? ORDER BY id",
                (chat_id,),
            )
            return ChatRow(*row), [MessageRow(*message) for message in messages]

    def create(self, title: str, model: str, settings_json: str) -> int:
        """Make an empty chat; its id is returned."""
        now = self._clock()
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO chat (title, model, settings, created, updated)"
                " VALUES (?, ?, ?, ?, ?)",
                (_text(title), _text(model), _text(settings_json), now, now),
            )
            return _new_id(cursor)

    def update(
        self,
        chat_id: int,
        *,
        title: str | None = None,
        model: str | None = None,
        settings_json: str | None = None,
    ) -> bool:
        """Change what is given; the chat keeps its place in `summaries`. False where it is no longer there."""
        values = [None if text is None else _text(text) for text in (title, model, settings_json)]
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "UPDATE chat SET title = coalesce(?, title), model = coalesce(?, model),"
                " settings = coalesce(?, settings) WHERE id = ?",
                (*values, chat_id),
            )
            return cursor.rowcount > 0

    def delete(self, chat_id: int) -> None:
        """Remove a chat and its messages; one that is already gone is no fault."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM chat WHERE id = ?", (chat_id,))

    def append(
        self, chat_id: int, role: str, content: str, stats_json: str = "", outcome: str = ""
    ) -> int:
        """Add a message at the end; its id is returned."""
        now = self._clock()
        with self._database.transaction() as connection:
            self._touch(connection, chat_id, now)
            cursor = connection.execute(
                "INSERT INTO message (chat, role, content, stats, outcome, created)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (chat_id, _text(role), _text(content), _text(stats_json), _text(outcome), now),
            )
            return _new_id(cursor)

    def replace(self, message_id: int, content: str, stats_json: str, outcome: str) -> bool:
        """Put another text in a message's place (an answer that grew). False where it is no longer there."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "UPDATE message SET content = ?, stats = ?, outcome = ? WHERE id = ?"
                " RETURNING chat",
                (_text(content), _text(stats_json), _text(outcome), message_id),
            ).fetchone()
            if row is not None:
                self._touch(connection, row[0], self._clock())
            return row is not None

    def remove(self, chat_id: int, message_ids: Sequence[int]) -> None:
        """Delete these messages of the chat, and no others: another window may have added some since."""
        with self._database.transaction() as connection:
            connection.executemany(
                "DELETE FROM message WHERE chat = ? AND id = ?",
                [(chat_id, message_id) for message_id in message_ids],
            )

    def _touch(self, connection: sqlite3.Connection, chat_id: int, now: float) -> None:
        cursor = connection.execute("UPDATE chat SET updated = ? WHERE id = ?", (now, chat_id))
        if cursor.rowcount == 0:
            raise _gone()


def _text(text: str) -> str:
    """`text` without lone surrogates, which no UTF-8 file can hold; every other character is kept."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _new_id(cursor: sqlite3.Cursor) -> int:
    return int(cursor.lastrowid or 0)


def _gone() -> StorageError:
    return StorageError("That chat is no longer in the database.")
