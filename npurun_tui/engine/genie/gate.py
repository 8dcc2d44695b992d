"""One query at a time, and aborts that reach the library only while one runs.

An idle abort may stop the query after it (X8), and a dialog that is freed under a running query crashes the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from npurun_tui.engine import checks
from npurun_tui.engine.dialog import GenieError, Status


class QueryGate:
    """Guards one native dialog. `abort` is for any thread."""

    def __init__(self) -> None:
        self._one = threading.Lock()
        self._changing = threading.Lock()
        self._running = False
        self.aborted = False
        """The query that runs, or ran last, was aborted by us."""

    @contextmanager
    def query(self) -> Iterator[None]:
        """The whole of a query, preparations included. Raises GenieError -1 where another one runs."""
        if not self._one.acquire(blocking=False):
            raise GenieError(Status.ERROR_GENERAL, checks.QUERY, "another query is running.")
        try:
            yield
        finally:
            self._one.release()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The native call itself."""
        with self._changing:
            self._running, self.aborted = True, False
        try:
            yield
        finally:
            with self._changing:
                self._running = False

    def abort(self, signal: Callable[[], object]) -> None:
        """Call `signal` where a native call runs."""
        with self._changing:
            if self._running:
                self.aborted = True
                signal()

    def wait(self) -> None:
        """Come back when no query runs."""
        with self._one:
            return
