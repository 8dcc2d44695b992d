"""The tables, as a list of migrations: entry N brings a file of version N to version N + 1.

An entry that has been released is never changed; a new need is a new entry at the end.
"""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x6E707275
"""`npru`: how SQLite's own header says whose file it is."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE chat (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            title TEXT NOT NULL,
            model TEXT NOT NULL,
            settings TEXT NOT NULL,
            created REAL NOT NULL,
            updated REAL NOT NULL
        )
        """,
        "CREATE INDEX chat_by_update ON chat (updated DESC)",
        """
        CREATE TABLE message (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            chat INTEGER NOT NULL REFERENCES chat (id) ON DELETE CASCADE,
            role TEXT NOT NULL,
            content TEXT NOT NULL,
            stats TEXT NOT NULL,
            outcome TEXT NOT NULL,
            created REAL NOT NULL
        )
        """,
        "CREATE INDEX message_by_chat ON message (chat, id)",
    ),
    (
        """
        CREATE TABLE request (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            request_id TEXT NOT NULL,
            began REAL NOT NULL,
            peer TEXT NOT NULL,
            client TEXT NOT NULL,
            dialect TEXT NOT NULL,
            method TEXT NOT NULL,
            path TEXT NOT NULL,
            model TEXT NOT NULL,
            stream INTEGER NOT NULL,
            status INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            queue_ms REAL,
            load_ms REAL,
            ttft_ms REAL,
            total_ms REAL,
            prompt_tokens INTEGER,
            cached_tokens INTEGER,
            completion_tokens INTEGER,
            decode_tps REAL,
            request_bytes INTEGER NOT NULL,
            body BLOB,
            body_sha256 TEXT NOT NULL,
            warnings TEXT NOT NULL
        )
        """,
    ),
    ("ALTER TABLE request ADD COLUMN process INTEGER NOT NULL DEFAULT 0",),
    (
        """
        CREATE TABLE bench (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            session TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            began REAL NOT NULL,
            model TEXT NOT NULL,
            backend TEXT NOT NULL,
            device TEXT NOT NULL,
            baseline TEXT NOT NULL,
            model_hash TEXT NOT NULL,
            soc TEXT NOT NULL,
            settings TEXT NOT NULL,
            complete INTEGER NOT NULL,
            decode_tps REAL,
            ttft_ms REAL,
            runs INTEGER NOT NULL,
            document BLOB NOT NULL
        )
        """,
        "CREATE INDEX bench_by_model ON bench (model, id)",
    ),
)
"""Ids are AUTOINCREMENT so that a deleted chat's or message's id is never given to another one."""
