"""A stream of JSON lines. The status waits for the first line, so that what fails before it has a real status; what
fails later is the last line. Nothing is sent while a request waits: Ollama's clients parse every line, blank ones too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from npurun_tui.errors import NpurunError
from npurun_tui.server.errors import error_document, error_response
from npurun_tui.server.faults import EngineFault, RequestFault, Unready
from npurun_tui.server.notices import headers
from npurun_tui.server.records import RequestRecord
from npurun_tui.server.sse import LAST_WORD

log = logging.getLogger(__name__)

MEDIA = "application/x-ndjson"
JSON = "application/json; charset=utf-8"


def json_response(body: bytes, notes: Collection[str] = ()) -> Response:
    """A whole answer; its header has the warnings `notes`."""
    return Response(body, headers=headers(notes), media_type=JSON)


def struct_response(answer: msgspec.Struct) -> Response:
    """A whole answer of one of the types in `answers`."""
    return json_response(msgspec.json.encode(answer))


class NdjsonStream(Response):
    """Writes lines as they come. One task iterates, from the first to the last; it ends where the client leaves."""

    media_type = MEDIA

    def __init__(
        self,
        lines: AsyncGenerator[bytes, None],
        record: RequestRecord,
        notes: Collection[str] = (),
    ) -> None:
        """`lines` are whole, with their line ends. `notes` are warnings: those in it when the first line comes are in
        the header."""
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._lines = lines
        self._record = record
        self._notes = notes
        self._begun = self._ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write it all; returns early where the client leaves."""
        tell = asyncio.create_task(self._tell(scope, receive, send), name="ndjson")
        leave = asyncio.create_task(_left(receive), name="ndjson disconnect")
        try:
            await asyncio.wait({tell, leave}, return_when=asyncio.FIRST_COMPLETED)
            if not tell.done():
                self._record.outcome = self._record.outcome or "client left"
        except asyncio.CancelledError:
            tell.cancel()
            await asyncio.wait({tell})
            await self._break_off(
                send, Unready("The request was ended here.", code="request_ended")
            )
            raise
        finally:
            tell.cancel()
            leave.cancel()
            await asyncio.wait({tell, leave})
        if tell.cancelled():
            return
        error = tell.exception()
        if error is not None:
            await self._break_off(send, EngineFault("The server failed at this request."))
            raise error

    async def _tell(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._lines) as lines:
                async for line in lines:
                    if not self._begun:
                        await self._begin(send)
                    await send({"type": "http.response.body", "body": line, "more_body": True})
        except NpurunError as error:
            self._record.outcome = error.message
            if not self._begun:
                refusal = error_response(error, "ollama", request_id=self._record.id)
                await refusal(scope, receive, send)
                return
            await self._end(send, _last_line(error))
            return
        await self._end(send)

    async def _break_off(self, send: Send, fault: RequestFault) -> None:
        """The answer ends here and not by itself: the client is told, where it still reads."""
        if not self._begun or self._ended:
            return
        try:
            async with asyncio.timeout(LAST_WORD):
                await self._end(send, _last_line(fault))
        except TimeoutError:
            log.info("the client of %s does not read", self._record.id)

    async def _end(self, send: Send, last: bytes = b"") -> None:
        self._ended = True
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _begin(self, send: Send) -> None:
        self._begun = True
        self.headers.update(headers(self._notes))
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )


def _last_line(error: NpurunError) -> bytes:
    return msgspec.json.encode(error_document(error, "ollama")) + b"\n"


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
