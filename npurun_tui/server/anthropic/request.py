"""What Anthropic's clients send, made into an ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from npurun_tui.server.anthropic.content import Block, InputMessage, conversation, text_of
from npurun_tui.server.asking import Ask, Sampling, ToolChoice
from npurun_tui.server.config import Limits
from npurun_tui.server.faults import BadRequest
from npurun_tui.server.notices import TOOLS_SKIPPED
from npurun_tui.server.openai.fields import FormatKind, Number, bounded, one_of, schema_of, whole
from npurun_tui.server.openai.tools import Function, Tools, function_tool

_CHOICES: Final = {"auto": "auto", "any": "required", "tool": "required", "none": "none"}


class AnthropicTool(msgspec.Struct):
    """A tool. Those that Anthropic's own servers run have another `type`; they are left out, with a warning."""

    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None


class AnthropicToolChoice(msgspec.Struct):
    """Whether a tool may, must or must not be called."""

    type: Annotated[str, one_of(*_CHOICES)]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct):
    """Whether to think first. There is no budget here."""

    type: Annotated[str, one_of("enabled", "adaptive", "disabled")] | None = None


class OutputFormat(msgspec.Struct):
    """What the answer has to be."""

    type: FormatKind | None = None
    schema: dict[str, Any] | None = None


class OutputConfig(msgspec.Struct):
    """Newer clients put the format in here."""

    format: OutputFormat | None = None


class MessagesRequest(msgspec.Struct):
    """A conversation to be continued. Fields that are not listed are ignored."""

    messages: list[InputMessage] = msgspec.field(default_factory=list)
    model: str | None = None
    max_tokens: Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 1})] | float | None = None
    system: str | list[Block] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Number | None = None
    tools: list[AnthropicTool] | None = None
    tool_choice: AnthropicToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None


def ask_of(body: MessagesRequest, limits: Limits) -> tuple[Ask, tuple[str, ...]]:
    """What is asked for, and warnings. Raises BadRequest, Unsupported."""
    if not body.model:
        raise BadRequest("model: Field required", param="model")
    if not body.messages:
        raise BadRequest("messages: at least one message is required", param="messages")
    max_tokens = whole(body.max_tokens, "max_tokens")
    if max_tokens is None or max_tokens < 1:
        raise BadRequest("max_tokens: must be 1 or more", param="max_tokens")
    bounded(len(body.messages), limits.messages, "messages")
    bounded(len(body.tools or ()), limits.tools, "tools")
    stop = tuple(text for text in body.stop_sequences or () if text)
    bounded(len(stop), limits.stops, "stop_sequences")
    tools, notes = _tools(body)
    wanted = body.tool_choice
    ask = Ask(
        model=body.model,
        messages=conversation(text_of(body.system, "system"), body.messages),
        sampling=Sampling(
            temperature=body.temperature, top_p=body.top_p, top_k=whole(body.top_k, "top_k")
        ),
        max_tokens=max_tokens,
        stop=stop,
        tools=tools,
        tool_choice=_choice(wanted, tools),
        parallel_tool_calls=not (wanted is not None and wanted.disable_parallel_tool_use),
        schema=_schema(body),
        think=_thinks(body.thinking),
    )
    return ask, notes


def _tools(body: MessagesRequest) -> tuple[Tools, tuple[str, ...]]:
    functions = []
    skipped = False
    for index, tool in enumerate(body.tools or ()):
        if tool.type not in (None, "custom"):
            skipped = True
            continue
        function = Function(tool.name or "", tool.description, tool.input_schema)
        functions.append(function_tool(function, f"tools[{index}]"))
    return tuple(functions), (TOOLS_SKIPPED,) if skipped else ()


def _choice(wanted: AnthropicToolChoice | None, tools: Tools) -> ToolChoice:
    if wanted is None:
        return ToolChoice()
    mode = _CHOICES.get(wanted.type)
    if mode is None:
        raise BadRequest("tool_choice.type: must be auto, any, tool or none", param="tool_choice")
    if mode == "required" and not tools:
        raise BadRequest("tool_choice: there are no tools", param="tool_choice")
    if wanted.type == "tool":
        if wanted.name not in {tool["function"]["name"] for tool in tools}:
            raise BadRequest("tool_choice.name: none of the tools", param="tool_choice")
        return ToolChoice("required", wanted.name or "")
    return ToolChoice("none" if mode == "none" else "required" if mode == "required" else "auto")


def _schema(body: MessagesRequest) -> Mapping[str, Any] | None:
    wanted = body.output_format
    if body.output_config is not None and body.output_config.format is not None:
        wanted = body.output_config.format
    if wanted is None:
        return None
    return schema_of(wanted.type, wanted.schema, "output_config.format")


def _thinks(wanted: Thinking | None) -> bool:
    """Anthropic's models think only where that is asked for."""
    kind = wanted.type if wanted is not None else None
    if kind in (None, "disabled"):
        return False
    if kind not in ("enabled", "adaptive"):
        raise BadRequest("thinking.type: must be enabled, adaptive or disabled", param="thinking")
    return True
