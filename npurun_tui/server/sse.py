"""Server-sent events: one answer's events, written in a dialect's words as they come.

The status line waits for the first event that shows that the answer is on its way, so that a full queue, an unknown
model or a conversation that is too long are real statuses. While a request waits or is read, comments say so, and
nothing is ever silent for longer than `HEARTBEAT`; clients skip comments (HTML standard, 9.2.6).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, Final, Protocol, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from npurun_tui.errors import NpurunError
from npurun_tui.server.asking import (
    Call,
    Done,
    Event,
    Loading,
    Queued,
    Reading,
    Text,
    Thought,
    Warned,
)
from npurun_tui.server.disconnect import ClientGone
from npurun_tui.server.faults import EngineFault, RequestFault, Unready
from npurun_tui.server.notices import headers, words
from npurun_tui.server.records import RequestRecord

log = logging.getLogger(__name__)

HEARTBEAT: Final = 10.0
"""Seconds: proxies and SDKs give up on a silent connection, some after 15."""
GRACE: Final = 5.0
"""Seconds that the status line waits while a model is loaded: most failures to load show by then."""

LAST_WORD: Final = 1.0
"""Seconds that a client has to take the end of a stream that is broken off here."""

Piece = Text | Thought | Call


class Narrator(Protocol):
    """How one answer is told in a dialect. Each method gives whole events, or nothing."""

    heartbeat: bytes

    def opening(self) -> bytes:
        """What can be said before anything is known."""

    def piece(self, event: Piece) -> bytes:
        """Some of the answer."""

    def end(self, done: Done) -> bytes:
        """The answer's end and the stream's."""

    def fault(self, error: NpurunError) -> bytes:
        """The end where the answer fails half way."""


def comment(text: str) -> bytes:
    """A line that clients skip; `text` is ours, ASCII, without line ends."""
    return b": " + text.encode("ascii") + b"\n\n"


def _state(event: Queued | Loading | Reading) -> str:
    if isinstance(event, Queued):
        return f"queued {event.ahead}"
    return "loading" if isinstance(event, Loading) else "reading"


class EventStream(Response):
    """The answer to one request. It owns the iteration: the client's leaving, or a cancellation, ends that too."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncIterator[Event],
        narrator: Narrator,
        record: RequestRecord,
        *,
        notes: tuple[str, ...] = (),
    ) -> None:
        """`notes` are warnings that the dialect has already. The header has them, and those that come before the head
        is sent; a comment before the end has all."""
        super().__init__(
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )
        del self.headers["content-length"]
        self._events = events
        self._narrator = narrator
        self._record = record
        self._notes = notes
        self._lock = asyncio.Lock()
        self._begun = self._ended = False
        self._waits_as = ""
        self._said_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write it all.

        Raises:
            ClientGone: the client has left.
            NpurunError: the answer failed before any of it was sent.
        """
        del scope
        self._send = send
        tell = _task(self._tell(), "sse")
        beat = _task(self._beat(), "sse heartbeat")
        leave = _task(_gone(receive), "sse disconnect")
        try:
            await asyncio.wait({tell, leave}, return_when=asyncio.FIRST_COMPLETED)
            if not tell.done():
                raise ClientGone
        except asyncio.CancelledError:
            await _end(tell, beat)
            await self._break_off(Unready("The request was ended here.", code="request_ended"))
            raise
        finally:
            await _end(tell, beat, leave)
        error = tell.exception()
        if error is not None:
            await self._break_off(EngineFault("The server failed at this request."))
            raise error

    async def _tell(self) -> None:
        """Tell the events. The end is told when they are exhausted: the permit is free then, and a client that asks
        again at once gets it."""
        done: Done | None = None
        try:
            async with aclosing(cast("AsyncGenerator[Event, None]", self._events)) as events:
                async for event in events:
                    if isinstance(event, Text | Thought | Call):
                        await self._begin()
                        await self._write(self._narrator.piece(event))
                    elif isinstance(event, Done):
                        done = event
                    elif isinstance(event, Warned):
                        self._notes += event.warnings
                    else:
                        await self._wait_as(event)
            if done is None:
                raise EngineFault("The answer broke off without an end.")
            await self._finish(done)
        except NpurunError as error:
            await self._fail(error)

    async def _finish(self, done: Done) -> None:
        await self._begin()
        notes = words((*self._notes, *done.warnings))  # each once: what was known before is in both
        last = comment(f"warning {notes}") if notes else b""
        await self._write(last + self._narrator.end(done), last=True)

    async def _wait_as(self, event: Queued | Loading | Reading) -> None:
        """Say what is waited for, once for each change."""
        state = _state(event)
        if state == self._waits_as:
            return
        self._waits_as = state
        early = isinstance(event, Loading) or (isinstance(event, Queued) and not event.ahead)
        if self._begun or not early:
            await self._begin()
            await self._write(comment(state))

    async def _fail(self, error: NpurunError) -> None:
        """End with `error`: as a status where nothing was sent, else as the stream's last event."""
        async with self._lock:
            self._ended = not self._begun
        if not self._begun:
            raise error
        self._record.outcome = error.message
        await self._write(self._narrator.fault(error), last=True)

    async def _break_off(self, fault: RequestFault) -> None:
        """The answer ends here and not by itself: the client is told, where it still reads."""
        if not self._begun:
            return
        try:
            async with asyncio.timeout(LAST_WORD):
                await self._write(self._narrator.fault(fault), last=True)
        except TimeoutError:
            log.info("the client of %s does not read", self._record.id)

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(GRACE)
        if not self._begun:
            await self._begin()
            await self._write(comment(self._waits_as or "waiting"))
        while True:
            await asyncio.sleep(max(self._said_at + HEARTBEAT - loop.time(), 0.0))
            if loop.time() >= self._said_at + HEARTBEAT:
                await self._write(self._narrator.heartbeat)

    async def _begin(self) -> None:
        """Write the head, and what can be said before anything is known; once, and before the first piece is told:
        events are numbered in the order in which they are made."""
        if self._begun:
            return
        async with self._lock:
            if self._begun or self._ended:
                return
            await self._send(
                {"type": "http.response.start", "status": 200, "headers": self._head()}
            )
            self._begun = True
            opening = self._narrator.opening()
            if opening:
                await self._chunk(opening)

    def _head(self) -> list[tuple[bytes, bytes]]:
        """The headers, with the warnings that are known by now."""
        self.headers.update(headers(self._notes))
        return self.raw_headers

    async def _write(self, body: bytes, *, last: bool = False) -> None:
        """One chunk of a stream that has begun."""
        async with self._lock:
            if self._begun and not self._ended and (body or last):
                await self._chunk(body, last=last)

    async def _chunk(self, body: bytes, *, last: bool = False) -> None:
        self._ended = last
        self._said_at = asyncio.get_running_loop().time()
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})


def _task(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    return asyncio.create_task(work, name=name)


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancel what still runs, and wait until it has ended: the permit is free then."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody reports it as lost


async def _gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
