"""`/api/chat` and `/api/generate`: a model loaded, unloaded, or asked, and its answer streamed or collected."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from npurun_tui.server.asking import Ask, Call, Done, Event, Text, Thought, Warned
from npurun_tui.server.bodies import read_body
from npurun_tui.server.clients import short_client
from npurun_tui.server.collected import collect
from npurun_tui.server.context import ModelCard, ServerContext, record_of, require_admin
from npurun_tui.server.disconnect import unless_gone
from npurun_tui.server.faults import BadRequest, EngineFault, Unsupported
from npurun_tui.server.notices import TOOLS_SKIPPED
from npurun_tui.server.ollama.asks import (
    keep_alive_of,
    messages_of,
    refuse_logprobs,
    refuse_pictures,
    schema_of,
    think_of,
    tools_of,
)
from npurun_tui.server.ollama.lines import ChatWords, GenerateWords, Words
from npurun_tui.server.ollama.names import lacks, meant, ollamas_words, require
from npurun_tui.server.ollama.ndjson import NdjsonStream, json_response
from npurun_tui.server.ollama.options import wishes_of
from npurun_tui.server.ollama.requests import OllamaChat, OllamaGenerate, OllamaMessage
from npurun_tui.server.records import observe


class Answering:
    """The two routes of one server."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._limits = context.config.limits

    async def chat(self, request: Request) -> Response:
        """`POST /api/chat`."""
        body = await read_body(request, OllamaChat, self._limits, "ollama")
        name, card = await self._begin(request, body)
        keep_alive = keep_alive_of(body.keep_alive)
        if not body.messages:
            return await self._stay(request, name, keep_alive, ChatWords(name))
        ask = self._ask(body, name, card, body.messages)
        notes = (TOOLS_SKIPPED,) if len(ask.tools) < len(body.tools or ()) else ()
        words = ChatWords(name, notes)
        return await self._answer(request, ask, words, stream=body.stream is not False, notes=notes)

    async def generate(self, request: Request) -> Response:
        """`POST /api/generate`."""
        body = await read_body(request, OllamaGenerate, self._limits, "ollama")
        name, card = await self._begin(request, body)
        keep_alive = keep_alive_of(body.keep_alive)
        if body.suffix:
            raise lacks(name, "insert")
        refuse_pictures(body.images, name)
        words = GenerateWords(name)
        if not body.prompt:
            return await self._stay(request, name, keep_alive, words)
        ask = self._raw(body, name, card) if body.raw else self._single(body, name, card)
        return await self._answer(request, ask, words, stream=body.stream is not False)

    async def _begin(
        self, request: Request, body: OllamaChat | OllamaGenerate
    ) -> tuple[str, ModelCard]:
        """Note what is asked for; the model's name as it is echoed, and its card."""
        record = record_of(request)
        record.dialect = "ollama"
        record.stream = body.stream is not False
        record.model = (body.model or "")[:256]
        name, card = await meant(self._context, body.model)
        record.model = name
        refuse_logprobs(body, name)
        return name, card

    # -- what is asked ---------------------------------------------------------------------

    def _ask(
        self,
        body: OllamaChat | OllamaGenerate,
        name: str,
        card: ModelCard,
        messages: list[OllamaMessage],
    ) -> Ask:
        require(card, name, "completion", "chat" if isinstance(body, OllamaChat) else "generate")
        wishes = wishes_of(body.options)
        return Ask(
            model=card.name,
            messages=messages_of(messages, name, self._limits),
            sampling=wishes.sampling,
            max_tokens=wishes.max_tokens,
            stop=wishes.stop,
            tools=tools_of(body.tools, self._limits) if isinstance(body, OllamaChat) else (),
            schema=schema_of(body.format),
            think=think_of(body.think, card, name),
            keep_alive=keep_alive_of(body.keep_alive),
            truncate=body.truncate is not False,
        )

    def _single(self, body: OllamaGenerate, name: str, card: ModelCard) -> Ask:
        """One prompt through the model's chat template. `context`, the older form of memory, is ignored: clients get
        none here that they could send."""
        if body.template:
            raise Unsupported(
                "this server does not take a template: it uses the model's own",
                mend="Send raw: true with a prompt that is formatted already.",
                param="template",
            )
        messages = [OllamaMessage("system", body.system)] if body.system else []
        return self._ask(body, name, card, [*messages, OllamaMessage("user", body.prompt)])

    def _raw(self, body: OllamaGenerate, name: str, card: ModelCard) -> Ask:
        if body.template or body.system or body.context:
            raise BadRequest("raw mode does not support template, system, or context")
        require(card, name, "completion", "generate")
        wishes = wishes_of(body.options)
        return Ask(
            model=card.name,
            prompt=body.prompt,
            sampling=wishes.sampling,
            max_tokens=wishes.max_tokens,
            stop=wishes.stop,
            schema=schema_of(body.format),
            think=think_of(body.think, card, name),
            keep_alive=keep_alive_of(body.keep_alive),
            truncate=body.truncate is not False,
        )

    # -- what is answered ------------------------------------------------------------------

    async def _stay(
        self, request: Request, name: str, keep_alive: float | None, words: Words
    ) -> Response:
        """Nothing to answer: the model is loaded, or with a keep-alive of 0 unloaded. One object, also for a stream."""
        answerer = self._context.answerer
        # Also a model that others chose, which a question's keep-alive never does.
        if keep_alive == 0:
            require_admin(request, "unload models")
            await unless_gone(request, answerer.unload(name))
            return json_response(words.empty("unload"))
        await unless_gone(request, answerer.load(name, keep_alive))
        return json_response(words.empty("load"))

    async def _answer(
        self,
        request: Request,
        ask: Ask,
        words: Words,
        *,
        stream: bool,
        notes: tuple[str, ...] = (),
    ) -> Response:
        record = record_of(request)
        ask = replace(ask, client=short_client(record.client))
        events = observe(record, self._context.answerer.answer(ask, record.id), ask.tally)
        if stream:
            said = [*notes]
            return NdjsonStream(_lines(events, words, record.model, said), record, said)
        with ollamas_words(record.model):
            whole = await unless_gone(request, collect(events))
        body = words.whole(whole.done, whole.text, whole.thinking, whole.calls)
        return json_response(body, (*notes, *whole.done.warnings))


async def _lines(
    events: AsyncIterator[Event], words: Words, name: str, notes: list[str]
) -> AsyncGenerator[bytes, None]:
    """The answer's lines; nothing for what comes before its first piece, but that warnings go into `notes`."""
    with ollamas_words(name):
        async with aclosing(cast("AsyncGenerator[Event, None]", events)) as each:
            async for event in each:
                if isinstance(event, Text | Thought | Call):
                    yield words.piece(event)
                elif isinstance(event, Warned):
                    notes += event.warnings
                elif isinstance(event, Done):
                    notes += event.warnings
                    yield words.whole(event) + b"\n"
                    return
    raise EngineFault("The answer broke off without an end.")
