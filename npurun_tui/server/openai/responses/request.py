"""What clients of the responses interface send, made into an ask."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from npurun_tui.server.asking import Ask, Sampling
from npurun_tui.server.config import Limits
from npurun_tui.server.faults import BadRequest, Unsupported
from npurun_tui.server.notices import TOOLS_SKIPPED
from npurun_tui.server.openai.fields import (
    Effort,
    FormatKind,
    Number,
    bounded,
    no_logprobs,
    one_of,
    schema_of,
    thinks,
    token_limit,
    whole,
)
from npurun_tui.server.openai.responses.items import InputItem, conversation
from npurun_tui.server.openai.tools import Function, Tools, choice, function_tool

STATELESS: Final = "This server keeps no responses: send the whole conversation as `input`."


class ResponseTool(msgspec.Struct, kw_only=True):
    """A tool. Only functions are offered to a model; other types are left out, with a warning."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Reasoning(msgspec.Struct):
    """Whether to think first. What was thought comes as a summary, whatever was asked for."""

    effort: Effort | None = None
    summary: str | None = None


class TextFormat(msgspec.Struct, omit_defaults=True):
    """What the answer has to be."""

    type: FormatKind | None = None
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class TextConfig(msgspec.Struct):
    """Settings of the answer's text."""

    format: TextFormat | None = None


class ResponseRequest(msgspec.Struct):
    """A conversation to be continued. Fields that are not listed are ignored."""

    input: str | list[InputItem] | None = None
    model: str | None = None
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: Number | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Number | None = None
    reasoning: Reasoning | None = None
    text: TextConfig | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    truncation: Annotated[str, one_of("auto", "disabled")] | None = None
    top_logprobs: int | None = None
    metadata: dict[str, Any] | None = None
    user: str | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    background: bool | None = None
    prompt: dict[str, Any] | None = None


def ask_of(body: ResponseRequest, limits: Limits) -> tuple[Ask, tuple[str, ...]]:
    """What is asked for, and warnings. Raises BadRequest, Unsupported."""
    _stateless(body)
    no_logprobs(body.top_logprobs)
    if not body.input:
        raise BadRequest("`input` is missing or empty.", param="input")
    if not isinstance(body.input, str):
        bounded(len(body.input), limits.messages, "input")
    bounded(len(body.tools or ()), limits.tools, "tools")
    if body.truncation not in (None, "auto", "disabled"):
        raise BadRequest("`truncation` must be auto or disabled.", param="truncation")
    tools, notes = _tools(body)
    tool_choice, tools = choice(body.tool_choice, tools)
    ask = Ask(
        model=body.model or "",
        messages=conversation(body.instructions or "", body.input),
        sampling=Sampling(
            temperature=body.temperature, top_p=body.top_p, top_k=whole(body.top_k, "top_k")
        ),
        max_tokens=token_limit(body.max_output_tokens, "max_output_tokens"),
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=body.parallel_tool_calls is not False,
        schema=_schema(body),
        think=thinks(body.reasoning.effort) if body.reasoning is not None else None,
        truncate=body.truncation == "auto",
    )
    return ask, notes


def _stateless(body: ResponseRequest) -> None:
    """Refuse what stands on something that was stored: to answer without it would be to answer wrongly."""
    for param in ("previous_response_id", "conversation", "prompt"):
        if getattr(body, param):
            raise Unsupported(STATELESS, param=param)
    if body.background:
        raise Unsupported("Responses are not made in the background here.", param="background")


def _schema(body: ResponseRequest) -> Any:
    wanted = body.text.format if body.text is not None else None
    return None if wanted is None else schema_of(wanted.type, wanted.schema, "text.format")


def _tools(body: ResponseRequest) -> tuple[Tools, tuple[str, ...]]:
    functions = [
        function_tool(
            Function(tool.name or "", tool.description, tool.parameters), f"tools[{index}]"
        )
        for index, tool in enumerate(body.tools or ())
        if tool.type == "function"
    ]
    skipped = len(functions) < len(body.tools or ())
    return tuple(functions), (TOOLS_SKIPPED,) if skipped else ()
