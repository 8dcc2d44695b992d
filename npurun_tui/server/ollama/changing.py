"""`/api/pull`, `/api/delete` and `/api/copy`: what changes the models of this machine."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from npurun_tui.errors import NpurunError
from npurun_tui.server.bodies import read_body
from npurun_tui.server.context import ServerContext, record_of
from npurun_tui.server.disconnect import unless_gone
from npurun_tui.server.errors import fault_of
from npurun_tui.server.faults import BadRequest, RequestFault, UnknownModel
from npurun_tui.server.ollama.answers import OllamaSuccess
from npurun_tui.server.ollama.names import ollamas_words, see_that_it_is_a_name
from npurun_tui.server.ollama.ndjson import NdjsonStream, struct_response
from npurun_tui.server.ollama.requests import OllamaCopy, OllamaDelete, OllamaPull
from npurun_tui.text import one_line


class Changing:
    """The routes of one server that change models. All of them need the admin's scope."""

    def __init__(self, context: ServerContext) -> None:
        self._directory = context.directory
        self._limits = context.config.limits

    async def pull(self, request: Request) -> Response:
        """`POST /api/pull`. What the client's leaving stops is kept, and the next pull goes on from there."""
        body = await read_body(request, OllamaPull, self._limits, "ollama")
        name = _named(request, body.model, body.name)
        record = record_of(request)
        record.stream = body.stream is not False
        lines = _lines(cast("AsyncGenerator[dict[str, Any], None]", self._directory.pull(name)))
        if record.stream:
            return NdjsonStream(lines, record)
        await unless_gone(request, _to_its_end(lines))
        return struct_response(OllamaSuccess("success"))

    async def delete(self, request: Request) -> Response:
        """`DELETE /api/delete`: nothing is in the answer's body."""
        await self._delete(request)
        return Response()

    async def delete_by_post(self, request: Request) -> Response:
        """`POST /api/delete`: the Rust program's form, which says so in the body."""
        await self._delete(request)
        return struct_response(OllamaSuccess("deleted"))

    async def _delete(self, request: Request) -> None:
        body = await read_body(request, OllamaDelete, self._limits, "ollama")
        name = _named(request, body.model, body.name)
        with ollamas_words(name):
            await unless_gone(request, self._directory.delete(name))

    async def copy(self, request: Request) -> Response:
        """`POST /api/copy`."""
        body = await read_body(request, OllamaCopy, self._limits, "ollama")
        if not body.source or not body.destination:
            raise BadRequest("source and destination are required")
        source = _named(request, body.source)
        try:
            await unless_gone(request, self._directory.copy(source, body.destination))
        except UnknownModel:
            raise UnknownModel(
                f'model "{one_line(source, 256)}" not found', param="source"
            ) from None
        return Response()


def _named(request: Request, *names: str | None) -> str:
    """The model that is meant, noted in the request's record. Raises BadRequest where there is none, or no name."""
    name = next((name for name in names if name), "")
    record = record_of(request)
    record.dialect, record.model = "ollama", name[:256]
    if not name:
        raise BadRequest("model is required", param="model")
    see_that_it_is_a_name(name)
    return name


async def _lines(events: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[bytes, None]:
    """A pull's lines. Its errors begin as Ollama's do, since some clients look for that."""
    try:
        async with aclosing(events):
            async for event in events:
                yield msgspec.json.encode(event) + b"\n"
    except NpurunError as error:
        raise _of_a_pull(error) from error


def _of_a_pull(error: NpurunError) -> RequestFault:
    fault = fault_of(error)
    if isinstance(fault, BadRequest):
        return fault
    named = type(fault)(f"pull model manifest: {fault.message}", mend=fault.mend, code=fault.code)
    named.param = fault.param
    return named


async def _to_its_end(lines: AsyncGenerator[bytes, None]) -> None:
    async with aclosing(lines):
        async for _ in lines:
            pass
