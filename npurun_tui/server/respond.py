"""From an ask to an HTTP response, streamed or whole: what OpenAI's and Anthropic's routes have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from npurun_tui.server.asking import Ask
from npurun_tui.server.clients import short_client
from npurun_tui.server.collected import Collected, collect
from npurun_tui.server.context import ServerContext, record_of
from npurun_tui.server.disconnect import unless_gone
from npurun_tui.server.jsontext import encoded
from npurun_tui.server.notices import headers
from npurun_tui.server.records import RequestRecord, observe
from npurun_tui.server.sse import EventStream, Narrator


@dataclass(frozen=True, slots=True)
class Telling:
    """How one answer is told: one of the two is used."""

    stream: Callable[[], Narrator]
    whole: Callable[[Collected], Any]
    """The body of a whole answer."""


def shown(name: str | None) -> str:
    """A model's name as a record has it: a client may send a long one."""
    return (name or "")[:256]


async def model_name(context: ServerContext, wanted: str | None) -> str:
    """The name that an answer carries: the client's, else that of the model that will answer; may be empty."""
    if wanted:
        return wanted
    running = await context.directory.running()
    if running:
        return running[0].card.name
    if context.config.model:
        return context.config.model
    cards = await context.directory.cards()
    return cards[0].name if len(cards) == 1 else ""


async def respond(
    request: Request,
    context: ServerContext,
    ask: Ask,
    telling: Telling,
    *,
    stream: bool,
    notes: tuple[str, ...] = (),
) -> Response:
    """The response to `ask`. `notes` are warnings that the dialect has already.

    Raises what the inference raises before the answer begins.
    """
    record = record_of(request)
    record.stream = stream
    events = observe(record, context.answerer.answer(signed(ask, record), record.id), ask.tally)
    if stream:
        return EventStream(events, telling.stream(), record, notes=notes)
    answer = await unless_gone(request, collect(events))
    return json_response(telling.whole(answer), notes=(*notes, *answer.done.warnings))


def signed(ask: Ask, record: RequestRecord) -> Ask:
    """`ask` with the name of the program that asks: whoever waits for the permit sees who holds it."""
    return replace(ask, client=short_client(record.client))


def json_response(body: Any, *, notes: tuple[str, ...] = ()) -> Response:
    """`body` as JSON, with the warnings in a header."""
    return Response(encoded(body), headers=headers(notes), media_type="application/json")
