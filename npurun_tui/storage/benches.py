"""The benches in the database: what a list shows and a search needs as columns, the session itself as JSON that is kept
and given back unread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Final

from npurun_tui.errors import StorageError

if TYPE_CHECKING:
    from sqlite3 import Connection

    from npurun_tui.storage.database import Database

KEPT: Final = 2000
"""Sessions; some 60 MB, as most of them are."""


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One kept session without its document. The order of the fields is the table's."""

    session: str
    """Its id."""
    name: str
    """What a person has called it; mostly empty."""
    began: float
    """Unix seconds."""
    model: str
    backend: str
    device: str
    baseline: str
    """The other side, in words; empty where there was none."""
    model_hash: str
    soc: str
    settings: str
    """The same text for sessions that asked the same questions."""
    complete: bool
    decode_tps: float | None
    """Median, as is the next."""
    ttft_ms: float | None
    runs: int


_NAMES: Final = [field.name for field in fields(BenchRow)]
_COLUMNS: Final = ", ".join(_NAMES)
_COMPLETE: Final = _NAMES.index("complete")
_UPSERT: Final = (
    f"INSERT INTO bench ({_COLUMNS}, document) VALUES ({', '.join('?' * len(_NAMES))}, ?)"  # noqa: S608 - names of ours
    " ON CONFLICT (session) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_NAMES[1:], "document"))
)
_LISTED: Final = f"SELECT {_COLUMNS} FROM bench"  # noqa: S608 - names of ours
_BEFORE: Final = (
    f"{_LISTED} WHERE model = ? AND id < (SELECT id FROM bench WHERE session = ?)"  # noqa: S608 - names of ours
    " ORDER BY id DESC LIMIT 100"
)


class BenchTable:
    """Reading and writing. Every method blocks, and raises what `Database.connection` raises."""

    def __init__(self, database: Database, *, kept: int = KEPT) -> None:
        """At most `kept` sessions stay; the ones that were written first go."""
        self._database = database
        self._kept = kept

    def add(self, row: BenchRow, document: bytes) -> None:
        """Keep a session; one that is there already is replaced, and keeps its place."""
        with self._database.transaction() as connection:
            connection.execute(_UPSERT, (*astuple(row), document))
            connection.execute(
                "DELETE FROM bench WHERE id <= (SELECT id FROM bench ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (self._kept,),
            )

    def newest(
        self, limit: int, *, offset: int = 0, model: str = "", settings: str = ""
    ) -> list[BenchRow]:
        """The last written first; only those of `model` and `settings`, where these are given."""
        wanted = {"model": model, "settings": settings}
        given = {column: value for column, value in wanted.items() if value}
        where = " WHERE " + " AND ".join(f"{column} = ?" for column in given) if given else ""
        with self._database.reading() as connection:
            found = connection.execute(
                f"{_LISTED}{where} ORDER BY id DESC LIMIT ? OFFSET ?",
                (*given.values(), limit, offset),
            )
            return [_row(row) for row in found]

    def before(self, session: str, model: str) -> list[BenchRow]:
        """The sessions of `model` that were written before `session`, the last one first."""
        with self._database.reading() as connection:
            found = connection.execute(_BEFORE, (model, session))
            return [_row(row) for row in found]

    def named(self, prefix: str) -> list[str]:
        """The ids that begin with `prefix`, at most three of them."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT session FROM bench WHERE substr(session, 1, ?) = ? ORDER BY id DESC LIMIT 3",
                (len(prefix), prefix),
            )
            return [str(row[0]) for row in found]

    def document(self, session: str) -> bytes:
        """The session as it was kept.

        Raises:
            StorageError: also where there is no such session.
        """
        with self._database.reading() as connection:
            found = _one(connection, "SELECT document FROM bench WHERE session = ?", session)
            if found is None:
                raise StorageError("That bench is no longer in the database.")
            return found if isinstance(found, bytes) else str(found).encode("utf-8", "replace")

    def remove(self, sessions: Sequence[str]) -> int:
        """Forget these; how many there were of them."""
        with self._database.transaction() as connection:
            cursor = connection.executemany(
                "DELETE FROM bench WHERE session = ?", [(session,) for session in sessions]
            )
            return cursor.rowcount


def _one(connection: Connection, query: str, value: str) -> object:
    found: tuple[object] | None = connection.execute(query, (value,)).fetchone()
    return found[0] if found else None


def _row(values: tuple[object, ...]) -> BenchRow:
    before, complete, after = values[:_COMPLETE], bool(values[_COMPLETE]), values[_COMPLETE + 1 :]
    return BenchRow(*before, complete, *after)  # type: ignore[arg-type,call-arg]  # as `add` wrote it
