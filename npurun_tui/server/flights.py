"""The requests that are on their way: counted, and each of them can be ended from here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from npurun_tui.server.log import is_look
from npurun_tui.server.outcomes import ABORTED_HERE, STOPPED, succeeded
from npurun_tui.server.records import RequestRecord


class Observer(Protocol):
    """Somebody who is told of each request, on the server's loop; must not block."""

    def opened(self, record: RequestRecord) -> None:
        """A request's head has arrived."""

    def closed(self, record: RequestRecord) -> None:
        """It has ended, and `record` changes no more."""


@dataclass(eq=False, slots=True)
class Flight:
    """One request and the task that answers it."""

    record: RequestRecord
    task: asyncio.Task[object]
    reason: str = ""
    """Why it was ended from here; empty where it was not."""

    def abort(self, reason: str) -> None:
        """End it, once."""
        if not self.reason:
            self.reason = reason
            self.task.cancel()

    def was_aborted(self) -> bool:
        """Whether the cancellation that its task has just met is `abort`'s alone; then it is taken back."""
        return bool(self.reason) and self.task.uncancel() == 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What a server has done since it started; looks of attached workbenches do not count."""

    active: int = 0
    total: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Flights:
    """All requests of one server. On the server's loop only, but for `counts`."""

    def __init__(self, observers: Iterable[Observer], changed: Callable[[], None]) -> None:
        """`changed` is called whenever `counts` has changed."""
        self._observers = tuple(observers)
        self._changed = changed
        self._flights: dict[str, Flight] = {}
        self.counts = Counts()

    def open(self, record: RequestRecord) -> Flight:
        """`record`'s request is answered by the current task."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - ASGI runs in a task
        flight = Flight(record, task)
        self._flights[record.id] = flight
        record.cancel = lambda: flight.abort(ABORTED_HERE)
        for observer in self._observers:
            observer.opened(record)
        self._count()
        return flight

    def close(self, flight: Flight) -> None:
        """The request has ended."""
        record = flight.record
        del self._flights[record.id]
        record.cancel = None
        record.phase = "done"
        for observer in self._observers:
            observer.closed(record)
        self._count(record)

    def _count(self, ended: RequestRecord | None = None) -> None:
        active = sum(not is_look(flight.record) for flight in self._flights.values())
        counts = replace(self.counts, active=active)
        if ended is not None and not is_look(ended):
            counts = replace(
                counts,
                total=counts.total + 1,
                failed=counts.failed + int(not succeeded(ended.status, ended.outcome)),
                prompt_tokens=counts.prompt_tokens + (ended.prompt_tokens or 0),
                completion_tokens=counts.completion_tokens + (ended.completion_tokens or 0),
            )
        if counts != self.counts:
            self.counts = counts
            self._changed()

    def abort(self, request_id: str) -> bool:
        """End one request; False where it is not on its way."""
        flight = self._flights.get(request_id)
        if flight is not None:
            flight.abort(ABORTED_HERE)
        return flight is not None

    def abort_waiting(self) -> None:
        """End those that only wait for the permit."""
        for flight in tuple(self._flights.values()):
            if flight.record.phase == "queued":
                flight.abort(STOPPED)

    def abort_all(self) -> None:
        """End every request: the server stops."""
        for flight in tuple(self._flights.values()):
            flight.abort(STOPPED)
