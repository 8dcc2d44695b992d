"""The request log in the database: one row for each answered request, the newest kept, the oldest dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlite3 import Connection

    from npurun_tui.storage.database import Database

KEPT: Final = 50_000
"""Rows; about 15 MB without bodies."""
BODIES: Final = 256 * 1024 * 1024
"""Bytes of bodies that one writer keeps; the oldest go first, their rows stay."""


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request that has ended. Fields are those of the server's record; the order is the table's."""

    request_id: str
    began: float
    """Unix seconds."""
    peer: str
    client: str
    dialect: str
    method: str
    path: str
    model: str
    stream: bool
    status: int
    outcome: str
    queue_ms: float | None
    load_ms: float | None
    ttft_ms: float | None
    total_ms: float | None
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    decode_tps: float | None
    request_bytes: int
    body: bytes | None
    body_sha256: str
    warnings: str
    """One on each line."""
    process: int = 0
    """The id of the server's process: several servers share one log. 0 in rows that are older than this column."""


_COLUMNS: Final = ", ".join(field.name for field in fields(RequestRow))
_STREAM: Final = [field.name for field in fields(RequestRow)].index("stream")
_INSERT: Final = (
    f"INSERT INTO request ({_COLUMNS}) VALUES ({', '.join('?' * len(fields(RequestRow)))})"  # noqa: S608 - names of ours
)
_NEWEST: Final = f"SELECT {_COLUMNS} FROM request"  # noqa: S608 - names of ours
_LISTED: Final = _NEWEST.replace(" body,", " NULL,")
_BYTES: Final = "SELECT coalesce(sum(length(body)), 0) FROM request"
_DROP_BODIES: Final = """
    UPDATE request SET body = NULL WHERE body IS NOT NULL AND id <= (
        SELECT max(id) FROM (
            SELECT id, sum(length(body)) OVER (ORDER BY id DESC) AS bytes FROM request WHERE body IS NOT NULL
        ) WHERE bytes > ?
    )
"""
_SEARCHED: Final = ("model", "client", "path", "peer", "dialect", "outcome", "CAST(status AS TEXT)")


class RequestTable:
    """Reading and writing. Every method blocks, and raises what `Database.connection` raises."""

    def __init__(self, database: Database, *, kept: int = KEPT, bodies: int = BODIES) -> None:
        """At most `kept` rows stay, and `bodies` bytes of bodies."""
        self._database = database
        self._kept = kept
        self._bodies = bodies
        self._bytes: int | None = None
        """Of bodies: never less than there are, so that they are not counted with each batch; None: not counted."""

    def add(self, rows: Sequence[RequestRow]) -> None:
        """Write all of `rows`, oldest first, in one transaction; the oldest beyond the limit go."""
        with self._database.transaction() as connection:
            connection.executemany(_INSERT, map(astuple, rows))
            connection.execute(
                "DELETE FROM request WHERE id <= (SELECT max(id) FROM request) - ?", (self._kept,)
            )
            if added := sum(len(row.body) for row in rows if row.body):
                self._bound(connection, added)

    def _bound(self, connection: Connection, added: int) -> None:
        """Drop the oldest bodies where there are too many, and an eighth more: the search for them is a long one."""
        self._bytes = _bytes(connection) if self._bytes is None else self._bytes + added
        if self._bytes > self._bodies:
            self._bytes = _bytes(connection)
        if self._bytes > self._bodies:
            connection.execute(_DROP_BODIES, (self._bodies - self._bodies // 8,))
            self._bytes = _bytes(connection)

    def newest(
        self, limit: int, words: str = "", *, without: Sequence[str] = (), bodies: bool = True
    ) -> list[RequestRow]:
        """The last `limit` requests, newest first; each of `words` must stand in one of the searched columns.

        Requests for the paths `without` are left out, and without `bodies` so are those, which may be megabytes.
        """
        wanted = words.split()
        clauses, values = [], list[str]()
        if without:
            clauses.append(f"path NOT IN ({', '.join('?' * len(without))})")
            values += without
        for word in wanted:
            clauses.append("(" + " OR ".join(f"{c} LIKE ? ESCAPE '!'" for c in _SEARCHED) + ")")
            escaped = word.replace("!", "!!").replace("%", "!%").replace("_", "!_")
            values += [f"%{escaped}%"] * len(_SEARCHED)
        where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
        with self._database.reading() as connection:
            found = connection.execute(
                f"{_NEWEST if bodies else _LISTED}{where} ORDER BY id DESC LIMIT ?",
                (*values, limit),
            )
            return [_row(row) for row in found]

    def body_of(self, request_id: str) -> bytes | None:
        """The kept body of a request; None where there is none."""
        with self._database.reading() as connection:
            found: tuple[bytes | None] | None = connection.execute(
                "SELECT body FROM request WHERE request_id = ? ORDER BY id DESC LIMIT 1",
                (request_id,),
            ).fetchone()
            return found[0] if found else None

    def count(self) -> int:
        """How many are kept."""
        with self._database.reading() as connection:
            found: tuple[int] = connection.execute("SELECT count(*) FROM request").fetchone()
            return found[0]

    def clear(self) -> None:
        """Forget all of them."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM request")
        self._bytes = None


def _bytes(connection: Connection) -> int:
    found: tuple[int] = connection.execute(_BYTES).fetchone()
    return found[0]


def _row(values: tuple[object, ...]) -> RequestRow:
    before, stream, after = values[:_STREAM], bool(values[_STREAM]), values[_STREAM + 1 :]
    return RequestRow(*before, stream, *after)  # type: ignore[arg-type,call-arg]  # as `add` wrote it
