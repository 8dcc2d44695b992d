"""`POST /v1/chat/completions`."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from npurun_tui.server.asking import Ask
from npurun_tui.server.bodies import read_body
from npurun_tui.server.config import Limits
from npurun_tui.server.context import ServerContext, record_of
from npurun_tui.server.faults import BadRequest
from npurun_tui.server.openai.answers import chat_completion
from npurun_tui.server.openai.content import Message, conversation
from npurun_tui.server.openai.fields import (
    Effort,
    FormatKind,
    Number,
    One,
    SamplingFields,
    StreamOptions,
    bounded,
    no_logprobs,
    only_one,
    schema_of,
    stops,
    thinks,
    token_limit,
)
from npurun_tui.server.openai.stream import ChatNarrator
from npurun_tui.server.openai.tools import Tool, choice, offered
from npurun_tui.server.respond import Telling, model_name, respond, shown


class NamedSchema(msgspec.Struct):
    """A JSON Schema with a name."""

    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct):
    """What the answer has to be; `schema` beside `json_object` is llama-server's."""

    type: FormatKind | None = None
    json_schema: NamedSchema | None = None
    schema: dict[str, Any] | None = None


class ChatRequest(SamplingFields):
    """A chat to be continued. Fields that are not listed are ignored."""

    messages: list[Message] = msgspec.field(default_factory=list)
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: Number | None = None
    max_tokens: Number | None = None
    """The older name: the other one wins."""
    stop: str | list[str] | None = None
    n: One | None = None
    logprobs: bool | int | None = None
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Effort | None = None
    think: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    cache_prompt: bool | None = None
    """llama-server's: false has the whole prompt read."""


def ask_of(body: ChatRequest, limits: Limits) -> tuple[Ask, tuple[str, ...]]:
    """What is asked for, and warnings. Raises BadRequest, Unsupported."""
    if not body.messages:
        raise BadRequest("`messages` is missing or empty.", param="messages")
    bounded(len(body.messages), limits.messages, "messages")
    bounded(len(body.tools or ()), limits.tools, "tools")
    only_one(body.n)
    no_logprobs(body.logprobs)
    stop = stops(body.stop)
    bounded(len(stop), limits.stops, "stop")
    functions, notes = offered(body.tools)
    tool_choice, functions = choice(body.tool_choice, functions)
    wanted = token_limit(body.max_completion_tokens, "max_completion_tokens")
    older = token_limit(body.max_tokens, "max_tokens")
    ask = Ask(
        model=body.model or "",
        messages=conversation(body.messages),
        sampling=body.sampling(),
        max_tokens=wanted or older,
        stop=stop,
        tools=functions,
        tool_choice=tool_choice,
        parallel_tool_calls=body.parallel_tool_calls is not False,
        schema=schema_in(body.response_format),
        think=thinks(body.reasoning_effort, body.think, body.chat_template_kwargs),
        cache=body.cache_prompt is not False,
    )
    return ask, notes


def schema_in(wanted: ResponseFormat | None) -> Any:
    if wanted is None:
        return None
    named = wanted.json_schema
    schema = named.schema if named is not None and wanted.type == "json_schema" else wanted.schema
    return schema_of(wanted.type, schema, "response_format")


class Chat:
    """The route."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        record = record_of(request)
        limits = self._context.config.limits
        body = await read_body(request, ChatRequest, limits, "openai")
        record.stream, record.model = bool(body.stream), shown(body.model)
        ask, notes = ask_of(body, limits)
        model = await model_name(self._context, ask.model)
        record.model = shown(model)
        id_, created = f"chatcmpl-{record.id}", int(time.time())
        usage = body.stream_options is not None and body.stream_options.usage
        telling = Telling(
            stream=lambda: ChatNarrator(id_, created, model, usage=usage),
            whole=lambda answer: chat_completion(id_, created, model, answer),
        )
        return await respond(
            request,
            self._context,
            ask,
            telling,
            stream=record.stream,
            notes=notes,
        )
