"""The request log: what is on its way, and what has been answered, also before the last restart.

Records are handed in on the server's loop and must cost it next to nothing: ended ones are put in a line, and a thread
of the log's own writes them in batches. Listeners live on another loop (the screen's) and are told there, a few times a
second at most, that something has changed; they then ask for what they show.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

from npurun_tui.errors import NpurunError
from npurun_tui.server.records import RequestRecord
from npurun_tui.storage.database import BUSY_TIMEOUT, Database
from npurun_tui.storage.requests import KEPT, RequestRow, RequestTable

log = logging.getLogger(__name__)

PAUSE: Final = 0.1
"""Seconds between two calls of a listener, and for which ended requests are gathered before they are written."""
UNWRITTEN: Final = 20_000
"""Ended requests that are held while the database cannot be written; the oldest of them are lost beyond that."""
UNWRITTEN_BODIES: Final = 32 * 1024 * 1024
"""Bytes of their bodies; who comes later then is logged without one."""

PROBES: Final = ("/healthz", "/health", "/metrics", "/npurun/status", "/npurun/requests")
"""Paths that watchers ask every few seconds."""
WATCHER: Final = "npurun-tui/"
"""How the User-Agent of an attached workbench begins."""
WATCHED: Final = (*PROBES, "/api/tags", "/api/ps")
"""What one asks for as long as its tabs are shown."""

_COPIED: Final = tuple(
    f.name for f in fields(RequestRow) if f.name not in ("request_id", "warnings", "process")
)


class RequestLog:
    """Owns the table of requests and the thread that writes it. All but `close` may be called from any thread."""

    def __init__(
        self,
        database: Path,
        *,
        kept: int = KEPT,
        busy_timeout: float = BUSY_TIMEOUT,
        heard: Callable[[RequestRow], None] = lambda _row: None,
    ) -> None:
        """Nothing is opened before the first request has ended or is asked for. `heard` is called once for each ended
        request, in the log's own thread, when it is written or could not be: it must not block."""
        self._heard = heard
        self._told = True
        self._database = Database(database, busy_timeout=busy_timeout)
        self._table = RequestTable(self._database, kept=kept)
        self._live: dict[str, RequestRecord] = {}
        self._ended: deque[RequestRow] = deque(maxlen=UNWRITTEN)
        self._writing: tuple[RequestRow, ...] = ()
        self._changed = threading.Condition()
        self._closing = False
        self._handed = self._written = 0
        self._bytes = 0
        """Of the bodies that are not written yet."""
        self._listeners: list[_Listener] = []
        self._thread: threading.Thread | None = None
        self.fault = ""
        """Why the last batch could not be written, in words; empty once one was."""

    # --- told by the guard ---------------------------------------------------------------------

    def opened(self, record: RequestRecord) -> None:
        """A request has arrived."""
        self._live[record.id] = record
        self._tell()

    def closed(self, record: RequestRecord) -> None:
        """It has ended; `record` changes no more."""
        self._live.pop(record.id, None)
        if is_look(record):
            self._tell()
            return
        row = row_of(record)
        with self._changed:
            self._put(row)
            self._handed += 1
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._write, name="request log", daemon=True)
                self._thread.start()
            self._changed.notify()
        self._tell()

    def _put(self, row: RequestRow) -> None:
        """In the line with it, without its body where the line has too much of them."""
        if self._bytes + _size(row) > UNWRITTEN_BODIES:
            row = replace(row, body=None)
        if len(self._ended) == UNWRITTEN:
            self._bytes -= _size(self._ended[0])  # it falls off the other end
        self._ended.append(row)
        self._bytes += _size(row)

    # --- asked by people -----------------------------------------------------------------------

    def live(self) -> list[RequestRecord]:
        """Copies of the requests on their way, the newest first."""
        records = sorted(self._live.values(), key=lambda record: -record.began_at)
        return [replace(record) for record in records]

    def recent(
        self, limit: int = 500, words: str = "", *, without: Sequence[str] = (), bodies: bool = True
    ) -> list[RequestRow]:
        """What has ended, newest first, each of `words` in model, client, path, status... Blocks.

        `without` leaves out paths; without `bodies` those are None, which is for lists: each may be megabytes.

        Raises:
            StorageError: the database cannot be read.
        """
        self.flush()
        return self._table.newest(limit, words, without=without, bodies=bodies)

    def body_of(self, request_id: str) -> bytes | None:
        """The body of a request that has ended; None where it was not kept. Blocks; raises StorageError."""
        return self._table.body_of(request_id)

    def subscribe(
        self, listener: Callable[[], None], loop: asyncio.AbstractEventLoop
    ) -> Callable[[], None]:
        """Call `listener` on `loop` soon after each change; returns the way to unsubscribe."""
        entry = _Listener(listener, loop)
        self._listeners.append(entry)

        def unsubscribe() -> None:
            entry.gone = True
            if entry in self._listeners:
                self._listeners.remove(entry)

        return unsubscribe

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener.tell()

    # --- the thread ----------------------------------------------------------------------------

    def flush(self, timeout: float = 10.0) -> None:
        """Wait until everything that has ended by now is written, or cannot be."""
        with self._changed:
            handed = self._handed
            self._changed.wait_for(lambda: self._written >= handed or bool(self.fault), timeout)

    def clear(self) -> None:
        """Forget what has ended. Blocks; raises StorageError."""
        self.flush()
        self._table.clear()
        self._tell()

    def close(self) -> None:
        """Write what is left, end the thread, close the file. Blocks; nothing may be handed in afterwards."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._database.close()

    def _write(self) -> None:
        while True:
            with self._changed:
                if not self._writing:
                    self._changed.wait_for(lambda: self._ended or self._closing)
                    if not self._closing:
                        self._changed.wait_for(lambda: self._closing, PAUSE)
                    self._writing = tuple(self._ended)
                    self._ended.clear()
                    fresh = self._writing
                else:
                    fresh = ()
            if not self._writing:
                return
            self._try(last=self._closing)
            for row in fresh:
                self._hear(row)

    def _hear(self, row: RequestRow) -> None:
        """Tell the listener of the command line, whose faults are never the log's."""
        if not self._told:
            return
        try:
            self._heard(row)
        except OSError as error:
            self._told = False
            log.warning("ended requests are told no more: %s", error)
        except Exception:
            log.exception("an ended request could not be told")

    def _try(self, *, last: bool) -> None:
        """One attempt; what fails is tried again, unless the log is being closed."""
        written = self._write_batch(self._writing)
        with self._changed:
            if written or last:
                self._bytes -= sum(map(_size, self._writing))
                self._writing = ()
                self._written = self._handed - len(self._ended)
            self._changed.notify_all()
            if not written and not last:
                self._changed.wait_for(lambda: self._closing, PAUSE * 20)

    def _write_batch(self, rows: tuple[RequestRow, ...]) -> bool:
        try:
            self._table.add(rows)
        except Exception as error:
            foreseen = isinstance(error, NpurunError)
            if not self.fault:
                log.error(
                    "requests are not written to the log: %s",
                    error,
                    exc_info=None if foreseen else error,
                )
            self.fault = str(error) if foreseen else f"The log failed: {type(error).__name__}."
            return False
        self.fault = ""
        return True


class _Listener:
    """Calls somebody on their own loop, at once and then once for each pause that has news in it."""

    def __init__(self, call: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        self._call = call
        self._loop = loop
        self._due = False
        self._last = 0.0
        self.gone = False

    def tell(self) -> None:
        """From any thread."""
        if self._due or self.gone:
            return
        self._due = True
        try:
            self._loop.call_soon_threadsafe(self._schedule)
        except RuntimeError:  # the loop is closed: its owner is gone
            self.gone = True

    def _schedule(self) -> None:
        wait = self._last + PAUSE - time.monotonic()
        if wait > 0:
            self._loop.call_later(wait, self._now)
        else:
            self._now()

    def _now(self) -> None:
        self._due = False
        self._last = time.monotonic()
        if not self.gone:
            self._call()


def is_look(record: RequestRecord) -> bool:
    """Whether it is a look of an attached workbench, answered or on its way: some a second, which would push all else
    out of the log, and of which a count of requests would be a count."""
    looks = record.path in WATCHED and record.status in (0, 200)
    return looks and record.client.startswith(WATCHER)


def _size(row: RequestRow) -> int:
    return len(row.body or b"")


def row_of(record: RequestRecord) -> RequestRow:
    """`record` as it stands now, in the log's form."""
    values = {name: getattr(record, name) for name in _COPIED}
    warnings = "\n".join(record.warnings)
    return RequestRow(request_id=record.id, warnings=warnings, process=os.getpid(), **values)
