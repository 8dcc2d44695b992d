"""`POST /v1/responses`."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from npurun_tui.server.bodies import read_body
from npurun_tui.server.context import ServerContext, record_of
from npurun_tui.server.openai.responses.answer import Frame, whole_response
from npurun_tui.server.openai.responses.request import ResponseRequest, ask_of
from npurun_tui.server.openai.responses.stream import ResponseNarrator
from npurun_tui.server.respond import Telling, model_name, respond, shown


class Responses:
    """The route."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        record = record_of(request)
        limits = self._context.config.limits
        body = await read_body(request, ResponseRequest, limits, "openai")
        record.stream, record.model = bool(body.stream), shown(body.model)
        ask, notes = ask_of(body, limits)
        model = await model_name(self._context, ask.model)
        record.model = shown(model)
        frame = Frame(record.id, int(time.time()), model, body)
        telling = Telling(
            stream=lambda: ResponseNarrator(frame),
            whole=lambda answer: whole_response(frame, answer),
        )
        return await respond(
            request, self._context, ask, telling, stream=record.stream, notes=notes
        )
