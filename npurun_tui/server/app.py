"""The ASGI application: a record for each request, the guard, the route, and errors in the route's dialect."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from npurun_tui import __version__
from npurun_tui.errors import NpurunError
from npurun_tui.server.address import is_loopback
from npurun_tui.server.bodies import BodyGate, Budget
from npurun_tui.server.context import ServerContext
from npurun_tui.server.disconnect import ClientGone
from npurun_tui.server.errors import error_response, fault_of
from npurun_tui.server.faults import Aborted, EngineFault, Unready
from npurun_tui.server.flights import Flight, Flights, Observer
from npurun_tui.server.guard import Admitted, Guard
from npurun_tui.server.heads import Head
from npurun_tui.server.origins import cors_headers
from npurun_tui.server.outcomes import CLIENT_LEFT, STOPPED
from npurun_tui.server.records import RequestRecord
from npurun_tui.server.routing import Dialect, Route
from npurun_tui.server.sending import Sender, common_headers
from npurun_tui.server.table import RouteTable, dialect_of

log = logging.getLogger(__name__)

LEFT = 499
"""nginx's number for a client that left before there was an answer; only ever seen in the log."""

LONGEST = 500
"""Characters that the log keeps of a User-Agent and of a path."""
_MEND = "Its log file says more."


class ServerApp:
    """An ASGI application. All routes are behind the guard, also those that a dialect forgets to protect."""

    def __init__(
        self,
        context: ServerContext,
        routes: Sequence[Route],
        observers: Iterable[Observer] = (),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        config = context.config
        self.flights = Flights(observers, changed)
        self._config = config
        self._budget = Budget(config.limits.bodies)
        self._guard = Guard(config, RouteTable(routes))
        self._headers = common_headers(__version__ if is_loopback(config.host) else "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"ASGI's {scope['type']} is not served")
        head = Head(scope)
        record = RequestRecord(
            peer=head.peer,
            client=head.shown(b"user-agent")[:LONGEST],
            method=head.method,
            path=head.path[:LONGEST],
        )
        scope.setdefault("state", {})["record"] = record
        exchange = _Exchange(scope, head, record, Sender(send, self._headers, record.id))
        flight = self.flights.open(record)
        try:
            await self._answer(exchange, receive, flight)
        finally:
            exchange.finish()
            self.flights.close(flight)

    async def _answer(self, exchange: _Exchange, receive: Receive, flight: Flight) -> None:
        try:
            await self._guarded(exchange, receive)
        except NpurunError as error:
            await exchange.refuse(error)
        except ClientGone:
            exchange.left()
        except asyncio.CancelledError:
            if not flight.was_aborted():
                exchange.left()
                raise
            stopped = flight.reason == STOPPED
            await exchange.refuse((Unready if stopped else Aborted)(f"Ended: {flight.reason}."))
            exchange.record.outcome = flight.reason
        except Exception:
            record = exchange.record
            log.exception("a request failed unforeseen: %s %s", record.id, record.route)
            await exchange.refuse(EngineFault("The server failed at this request.", mend=_MEND))

    async def _guarded(self, exchange: _Exchange, receive: Receive) -> None:
        head, scope = exchange.head, exchange.scope
        origin = self._guard.origin(head)
        exchange.sender.headers = (*exchange.sender.headers, *cors_headers(origin))
        admitted = self._guard.admit(head)
        if isinstance(admitted, Response):
            await admitted(scope, receive, exchange.sender)
            return
        exchange.enter(admitted)
        limits, keep = self._config.limits, self._config.log_prompts
        gate = BodyGate(receive, limits, admitted.size, self._budget, keep=keep)
        try:
            try:
                response = await admitted.match.route.endpoint(Request(scope, gate))
            finally:
                exchange.note_body(gate)
            await response(scope, gate, exchange.sender)
        finally:
            gate.close()


class _Exchange:
    """One request and what has been answered to it."""

    def __init__(self, scope: Scope, head: Head, record: RequestRecord, sender: Sender) -> None:
        self.scope = scope
        self.head = head
        self.record = record
        self.sender = sender
        self._speak(dialect_of(head.path))

    def _speak(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.record.dialect = "" if dialect == "plain" else dialect

    def enter(self, admitted: Admitted) -> None:
        """The request has passed the guard."""
        match = admitted.match
        self.scope["state"]["admin"] = admitted.admin
        self.scope["path_params"] = match.params
        self.record.route = match.route.path
        self._speak(match.route.dialect)

    def note_body(self, gate: BodyGate) -> None:
        """What the log keeps of the body."""
        record = self.record
        record.request_bytes, record.body_sha256 = gate.received, gate.sha256
        record.body = gate.kept

    async def refuse(self, error: NpurunError) -> None:
        """Answer with `error`; where an answer has begun already, it ends unfinished and the connection with it."""
        fault, record = fault_of(error), self.record
        record.outcome = str(fault)
        if self.sender.status:
            return
        response = error_response(fault, self._dialect, request_id=record.id)
        await response(self.scope, _nothing, self.sender)

    def left(self) -> None:
        """The client has gone."""
        self.record.outcome = CLIENT_LEFT

    def finish(self) -> None:
        """Write the end into the record."""
        record, sender = self.record, self.sender
        record.status = sender.status or LEFT
        record.total_ms = (time.perf_counter() - record.began_at) * 1000
        if not sender.complete and not record.outcome:
            self.left()


async def _nothing() -> dict[str, str]:
    """An error's answer reads nothing more."""
    return {"type": "http.disconnect"}


def build_app(
    context: ServerContext,
    routes: Sequence[Route],
    observers: Iterable[Observer] = (),
    changed: Callable[[], None] = lambda: None,
) -> ServerApp:
    """The application of one server. `observers` hear of each request, `changed` of each change of the counts."""
    return ServerApp(context, routes, observers, changed)
