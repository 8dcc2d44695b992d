"""`POST /v1/messages`."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from npurun_tui.server.anthropic.answers import MessageNarrator, whole_message
from npurun_tui.server.anthropic.request import MessagesRequest, ask_of
from npurun_tui.server.asking import Ask
from npurun_tui.server.bodies import read_body
from npurun_tui.server.context import ServerContext, record_of
from npurun_tui.server.faults import NotHere
from npurun_tui.server.respond import Telling, respond, shown


class Messages:
    """The routes."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        record = record_of(request)
        limits = self._context.config.limits
        body = await read_body(request, MessagesRequest, limits, "anthropic")
        record.stream, record.model = bool(body.stream), shown(body.model)
        ask, notes = ask_of(body, limits)
        ask = await self._relaxed(ask)
        id_ = f"msg_{record.id}"
        telling = Telling(
            stream=lambda: MessageNarrator(id_, ask.model),
            whole=lambda answer: whole_message(id_, ask.model, answer),
        )
        response = await respond(
            request, self._context, ask, telling, stream=record.stream, notes=notes
        )
        response.headers["request-id"] = record.id  # where Anthropic's SDKs look for it
        return response

    async def _relaxed(self, ask: Ask) -> Ask:
        """Agents ask every model to think; one that cannot answers without. Raises UnknownModel."""
        if not ask.think:
            return ask
        card = await self._context.directory.card(ask.model)
        return ask if "thinking" in card.capabilities else replace(ask, think=None)

    async def count(self, request: Request) -> Response:
        """Not here: tokens are counted by the engine, for which a request would have to wait in the line."""
        del request
        raise NotHere("This server does not count tokens without an answer.")
