"""The SQLite file: opened late, checked when opened, and never able to stop the program.

A damaged file is moved aside, whole and with its journal, and a fresh one takes its place; `notice` then says so in
one sentence. A file of a newer version of the program is refused and left exactly as it is. No `sqlite3` error leaves
this module: callers see `StorageLocked`, `DiskFull` or `StorageError`. One connection is shared under a lock, so calls
may come from any worker thread, one at a time.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from npurun_tui.errors import DiskFull, NpurunError, StorageError, StorageLocked
from npurun_tui.files import is_disk_full, keep_private, make_private
from npurun_tui.storage.schema import APPLICATION_ID, MIGRATIONS

_DAMAGED: Final = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
_LOCKED: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNWRITABLE: Final = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}

BUSY_TIMEOUT: Final = 3.0
"""Seconds to wait for another process's lock: a write of ours takes milliseconds."""


class _Damaged(Exception):
    """The file cannot be used; its text is the reason, as part of a sentence."""


class Database:
    """One SQLite file of ours, in WAL mode, with foreign keys on."""

    def __init__(self, path: Path, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        """Nothing is opened yet. `busy_timeout` is how many seconds to wait for another process's lock."""
        self.path = path
        self.notice = ""
        """A sentence for the user about what opening the file brought to light; mostly empty."""
        self._busy_timeout = busy_timeout
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    def connection(self) -> sqlite3.Connection:
        """The open connection; the first call opens, checks and, where needed, replaces the file.

        Raises:
            StorageLocked: another process keeps the file locked.
            DiskFull: there is no room for the file.
            StorageError: the file or its folder cannot be used, or is of a newer version of this program.
        """
        with self._lock:
            if self._connection is None:
                with self._sentences():
                    self._connection = self._open()
            return self._connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block's statements or none of them; raises what `connection` raises."""
        with self._lock, self._sentences():
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself; a second ROLLBACK would be an error.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection for queries, with errors put into words; writers elsewhere do not block it."""
        with self._lock, self._sentences():
            yield self.connection()

    def close(self) -> None:
        """Close the file (the journal is folded in). A later call opens it again."""
        with self._lock:
            if self._connection is not None:
                with self._sentences():
                    self._connection.close()
                self._connection = None

    # --- opening -------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        make_private(self.path)
        # New ones get the file's mode; these are a killed process's.
        for journal in self._journals():
            keep_private(journal)
        try:
            return self._connect()
        except _Damaged:
            with self._mending():
                return self._connect_or_replace()

    def _connect_or_replace(self) -> sqlite3.Connection:
        """Called under the lock: the damage may be mended already, and then a good file stands here."""
        try:
            return self._connect()
        except _Damaged as damage:
            kept = self._move_aside()
            self.notice = (
                f"The database was unusable ({damage}); it was kept as {kept.name} "
                f"in {kept.parent} and a new one was begun."
            )
        make_private(self.path)
        try:
            return self._connect()
        except _Damaged as again:
            message = f"The database {self.path} is unusable, even newly made ({again})."
            raise StorageError(message, mend="Check the disk it is on.") from None

    @contextmanager
    def _mending(self) -> Iterator[None]:
        """One process at a time replaces the file. Needed only for a damaged one: a sound start pays nothing."""
        from filelock import FileLock, Timeout

        lock = FileLock(self._beside(".lock"), timeout=self._busy_timeout, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            raise StorageLocked(
                f"Another program is replacing the damaged database {self.path}.",
                mend="Try again in a moment.",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            self._check(connection)
            self._migrate(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
        except sqlite3.DatabaseError as error:
            connection.close()
            if _code(error) in _DAMAGED:
                raise _Damaged(str(error)) from error
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Ours, of a version we know, and sound; nothing is written here.

        One snapshot for all the questions: another process may be making the file at this moment.
        """
        connection.execute("BEGIN")
        identity = _number(connection, "PRAGMA application_id")
        tables = _number(connection, "SELECT count(*) FROM sqlite_master")
        if identity != APPLICATION_ID and (identity or tables):
            raise _Damaged("it belongs to another program")
        version = _number(connection, "PRAGMA user_version")
        if version > len(MIGRATIONS):
            raise StorageError(
                f"The database {self.path} was written by a newer version of npurun-tui.",
                mend="Install that version, or set NPURUN_TUI_HOME to keep a second database.",
            )
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise _Damaged("its pages contradict each other")
        connection.execute("COMMIT")

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if _number(connection, "PRAGMA user_version") == len(MIGRATIONS):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Read again under the lock: another process may have done it since.
            for statements in MIGRATIONS[_number(connection, "PRAGMA user_version") :]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _move_aside(self) -> Path:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        kept = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        number = 1
        while kept.exists():
            number += 1
            kept = self.path.with_name(f"{self.path.name}.damaged-{stamp}-{number}")
        for journal in self._journals():
            journal.rename(kept.with_name(kept.name + journal.name.removeprefix(self.path.name)))
        self.path.rename(kept)
        return kept

    def _journals(self) -> list[Path]:
        """Those of SQLite's journal files that exist."""
        return [path for path in map(self._beside, ("-wal", "-shm")) if path.exists()]

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    # --- errors --------------------------------------------------------------------------------

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._in_words(error) from error
        except OSError as error:
            if is_disk_full(error):
                raise self._full() from error
            raise self._unusable(error.strerror or type(error).__name__) from error

    def _in_words(self, error: sqlite3.Error) -> NpurunError:
        code = _code(error)
        if code in _LOCKED:
            return StorageLocked(
                f"Another program keeps the database {self.path} locked.",
                mend="Close it, or try again in a moment.",
            )
        if code == sqlite3.SQLITE_FULL:
            return self._full()
        if code in _DAMAGED:
            return StorageError(
                f"The database {self.path} is damaged.",
                mend="Start the program again: it will be kept under another name.",
            )
        return self._unusable(str(error), permissions=code in _UNWRITABLE)

    def _full(self) -> DiskFull:
        return DiskFull(
            f"There is no room left for the database {self.path}.",
            mend="Free some space on that disk; what was saved before is still there.",
        )

    def _unusable(self, reason: str, *, permissions: bool = True) -> StorageError:
        mend = f"Check that {self.path.parent} can be written to." if permissions else ""
        return StorageError(f"The database {self.path} cannot be used: {reason}.", mend=mend)


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for errors of the Python module itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
