"""The benches that were kept: the newest two thousand, in the program's database.

Every method blocks for the length of a small read or write and may be called from any thread. What comes out of a file
is not believed: a session that is damaged, or was written by a newer version, is one sentence when it is asked for, and
the list works all the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from npurun_tui.bench.records import Sample, Session
from npurun_tui.errors import StorageError
from npurun_tui.storage.benches import KEPT, BenchRow, BenchTable
from npurun_tui.storage.database import Database
from npurun_tui.text import one_line

FORMAT: Final = 1
"""Of a document: counted up where an older version could not read what this one writes. New fields do not count."""
LARGEST: Final = 64 << 20
"""Bytes of a document that is read at all."""
SAMPLES: Final = 2000
"""That are kept of one session, spread evenly: a night of stress would be 60,000."""
NUMBER_DIGITS: Final = 4
"""What has more is the beginning of an id, not a place in the list."""
_LAST_SECOND: Final = 253402214400
"""Of the year 9999, less a day: the last that can be told in any time zone."""

_HOW: Final = ("repeats", "warmups", "energy", "idle_s", "loads", "duration_s")
"""What of a plan says how long or how often, not what is asked."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A line of the list."""

    id: str
    began: float
    """Unix seconds."""
    model: str
    device: str
    baseline: str
    """The other side, in words; empty where there was none."""
    complete: bool
    decode_tps: float | None
    """Median, on the host's clock, as is the next."""
    ttft_ms: float | None
    runs: int
    """All of the model's own, warm-ups left out."""
    name: str
    """What a person has called it; mostly empty."""


Lines = list[Kept]
"""Inside `History` the word `list` is the method."""


class History:
    """Owns the connection for benches. All but `close` raise StorageError, or DiskFull where there is no room."""

    def __init__(self, database: Path, *, kept: int = KEPT) -> None:
        """Nothing is opened yet."""
        self._database = Database(database)
        self._table = BenchTable(self._database, kept=kept)

    @property
    def notice(self) -> str:
        """A sentence for the user where the database had to be replaced; else empty."""
        return self._database.notice

    def add(self, session: Session, name: str = "") -> None:
        """Keep a session; one that is there already is replaced."""
        self._table.add(_row_of(session, one_line(name, 80)), document_of(session))

    def list(self, limit: int = 50, model: str = "") -> Lines:
        """The newest first; only those of `model`, where one is given."""
        return [_kept(row) for row in self._table.newest(limit, model=model)]

    def get(self, which: str) -> Session:
        """The session with that id, the only one whose id begins so, or by its place in the list: `1` is the newest.

        Raises:
            StorageError: none, or more than one; or it cannot be read.
        """
        return self._read(self.id_of(which))

    def id_of(self, which: str) -> str:
        """The id that `get` would read.

        Raises:
            StorageError: none, or more than one.
        """
        which = which.strip().lower()
        if which.isascii() and which.isdigit() and len(which) <= NUMBER_DIGITS:
            return self._numbered(int(which))
        found = self._table.named(which) if which else []
        if len(found) == 1 or which in found:
            return which if which in found else found[0]
        if found:
            raise StorageError(
                f"More than one kept bench begins with {one_line(which, 40)}.",
                mend="Give more of its id.",
            )
        raise StorageError(
            f"No kept bench is called {one_line(which, 40)!r}.",
            mend="`npurun-tui bench history` lists them.",
        )

    def remove(self, which: str) -> str:
        """Forget the session that `get` would read; its id."""
        found = self.id_of(which)
        self._table.remove([found])
        return found

    def like(self, session: Session) -> Session | None:
        """The last other one that asked the same model the same and has figures; None where there is none that can be
        read."""
        side = session.sides[0]
        rows = self._table.newest(20, model=side.model, settings=_settings(session))
        others = [r for r in rows if r.session != session.id and r.backend == side.backend]
        return self._first(filter(_has_figures, others))

    def before(self, session: Session) -> Session | None:
        """The last one of the same model that was kept before this one: if possible one that asked the same. Those that
        were stopped before their first answer are passed over."""
        rows = filter(_has_figures, self._table.before(session.id, session.sides[0].model))
        same = _settings(session)
        return self._first(sorted(rows, key=lambda row: row.settings != same))

    def close(self) -> None:
        """Close the file. A later call opens it again."""
        self._database.close()

    async def aclose(self) -> None:
        """As `close`, without holding up the event loop."""
        import asyncio

        await asyncio.to_thread(self.close)

    def _numbered(self, number: int) -> str:
        rows = self._table.newest(1, offset=number - 1) if number else []
        if not rows:
            raise StorageError(
                f"There is no bench number {number} in the history.",
                mend="`npurun-tui bench history` lists them.",
            )
        return rows[0].session

    def _first(self, rows: Iterable[BenchRow]) -> Session | None:
        for row in rows:
            try:
                return self._read(row.session)
            except Unreadable:
                continue
        return None

    def _read(self, session: str) -> Session:
        return session_from(self._table.document(session), session)


class Unreadable(StorageError):
    """A kept session is damaged, or of a version that this one does not know."""


# --- documents ---------------------------------------------------------------------------------


def document_of(session: Session) -> bytes:
    """The session as it is kept, its samples thinned."""
    kept = replace(session, samples=thinned(session.samples))
    document = {"format": FORMAT, "session": kept}
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:  # a lone surrogate, from a command line or another program's words
        return msgspec.json.encode(_encodable(msgspec.to_builtins(document)))


def session_from(document: bytes, name: str) -> Session:
    """The session in a document; `name` is its id, for the sentence.

    Raises:
        Unreadable: it is no session that this version can read.
    """
    name = one_line(name, 40)
    try:
        if len(document) > LARGEST:
            raise msgspec.ValidationError("it is larger than one can be")
        found = msgspec.json.decode(document, type=_Document)
        if found.format > FORMAT:
            raise Unreadable(
                f"The kept bench {name} was written by a newer version of npurun-tui.",
                mend="Update this one to read it.",
            )
        session = msgspec.convert(found.session, Session)
        _check(session)
    except (ValueError, RecursionError) as error:  # those of msgspec and of UTF-8 among them
        raise Unreadable(
            f"The kept bench {name} is damaged: {one_line(str(error), 120)}.",
            mend=f"`npurun-tui bench rm {name}` removes it.",
        ) from error
    return session


class _Document(msgspec.Struct):
    format: int
    session: dict[str, Any]


def _check(session: Session) -> None:
    """What types do not say and who shows it relies on. Raises ValueError."""
    keys = {side.key for side in session.sides}
    if not session.sides or len(keys) != len(session.sides):
        raise ValueError("it has no sides, or two of one key")
    if not 0 <= session.began <= _LAST_SECOND:
        raise ValueError("it began at no time")
    named = {run.side for run in session.runs} | {load.side for load in session.loads}
    for key in named | {energy.side for energy in session.energy}:
        if key not in keys:
            raise ValueError(f"it names a side {key!r} that it has not")


def thinned(samples: Sequence[Sample], most: int = SAMPLES) -> tuple[Sample, ...]:
    """At most `most` of `samples`, spread evenly, the first and the last among them."""
    if len(samples) <= most:
        return tuple(samples)
    last = len(samples) - 1
    return tuple(samples[round(i * last / (most - 1))] for i in range(most))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list | tuple) else value


def _text(text: str) -> str:
    """`text` without lone surrogates, which neither JSON nor SQLite can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


# --- rows --------------------------------------------------------------------------------------


def _row_of(session: Session, name: str) -> BenchRow:
    from npurun_tui.bench.statistics import summaries

    side, others = session.sides[0], session.sides[1:]
    figures = summaries(session, side.key)
    decode, ttft = figures.get("decode_tps"), figures.get("ttft_ms")
    return BenchRow(
        session=session.id,
        name=_text(name),
        began=session.began,
        model=_text(side.model),
        backend=_text(side.backend),
        device=_text(side.device),
        baseline=_text(others[0].label) if others else "",
        model_hash=_text(side.model_hash),
        soc=_text(session.machine.soc),
        settings=_settings(session),
        complete=session.complete,
        decode_tps=decode.p50 if decode else None,
        ttft_ms=ttft.p50 if ttft else None,
        runs=sum(run.side == side.key and not run.warmup for run in session.runs),
    )


def _has_figures(row: BenchRow) -> bool:
    return row.decode_tps is not None or row.ttft_ms is not None


def _settings(session: Session) -> str:
    """The same for sessions that asked the same questions, also with another baseline or more often."""
    asked = {key: value for key, value in session.plan.items() if key not in _HOW}
    asked["stress"] = bool(session.plan.get("duration_s"))
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _kept(row: BenchRow) -> Kept:
    """What a list shows. It may be shown as it is: the texts are one printable line each."""
    return Kept(
        id=one_line(row.session, 40),
        began=row.began,
        model=one_line(row.model, 80),
        device=one_line(row.device, 80),
        baseline=one_line(row.baseline, 120),
        complete=row.complete,
        decode_tps=row.decode_tps,
        ttft_ms=row.ttft_ms,
        runs=row.runs,
        name=one_line(row.name, 80),
    )
