"""Requests for answers, made into the border's `Ask`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from npurun_tui.engine.messages import ChatMessage, Role, ToolCall
from npurun_tui.server.config import Limits
from npurun_tui.server.context import ModelCard
from npurun_tui.server.faults import BadRequest
from npurun_tui.server.keepalive import parse_keep_alive
from npurun_tui.server.ollama.names import lacks, require
from npurun_tui.server.ollama.requests import (
    OllamaChat,
    OllamaFunctionCall,
    OllamaGenerate,
    OllamaMessage,
    OllamaPart,
    OllamaTool,
)
from npurun_tui.text import one_line

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_LEVELS: Final = frozenset({"low", "medium", "high", "max"})

Tool = Mapping[str, Any]


def keep_alive_of(value: float | str | None) -> float | None:
    """Seconds, negative for ever; None is the server's rule. Raises BadRequest."""
    if value is None:
        return None
    try:
        return parse_keep_alive(value)
    except ValueError as error:
        raise BadRequest(f"keep_alive {error}", param="keep_alive") from None


def think_of(value: bool | str | None, card: ModelCard, name: str) -> bool | None:
    """Whether to think. Raises BadRequest for a level that nobody knows, Unsupported where the model does not think."""
    if isinstance(value, str):
        if value not in _LEVELS:
            raise BadRequest(
                f"invalid think value: {one_line(repr(value), 60)} "
                '(must be "high", "medium", "low", "max", true, or false)',
                param="think",
            )
        value = True
    if value:
        require(card, name, "thinking", "thinking")
    return value


def schema_of(value: str | dict[str, Any] | None) -> Mapping[str, Any] | None:
    """The JSON Schema that `format` asks for; None is free text. Raises BadRequest."""
    if value is None or value == "":
        return None
    if value in ("json", {}):
        return {"type": "object"}
    if isinstance(value, dict):
        return value
    raise BadRequest(
        f'invalid format: {one_line(repr(value), 60)}; expected "json" or a valid JSON Schema object',
        param="format",
    )


def refuse_logprobs(body: OllamaChat | OllamaGenerate, name: str) -> None:
    """No engine here gives log probabilities. Raises BadRequest, Unsupported."""
    if body.top_logprobs is not None and not 0 <= body.top_logprobs <= 20:
        raise BadRequest("top_logprobs must be between 0 and 20", param="top_logprobs")
    if body.logprobs or body.top_logprobs:
        raise lacks(name, "logprobs")


def messages_of(
    messages: Sequence[OllamaMessage], name: str, limits: Limits
) -> tuple[ChatMessage, ...]:
    """The conversation.

    Raises:
        BadRequest: a role, a call or the number of messages cannot be; there is nothing to answer.
        Unsupported: there are pictures in it.
    """
    if len(messages) > limits.messages:
        raise BadRequest(f"there may be at most {limits.messages} messages", param="messages")
    made = tuple(_message(message, name) for message in messages)
    if not any(message.role in ("user", "tool") for message in made):
        raise BadRequest("there is no user message to answer", param="messages")
    return made


def tools_of(tools: Sequence[OllamaTool] | None, limits: Limits) -> tuple[Tool, ...]:
    """The functions among `tools`, in OpenAI's shape. Raises BadRequest: one has no name, or there are too many."""
    if len(tools or ()) > limits.tools:
        raise BadRequest(f"there may be at most {limits.tools} tools", param="tools")
    return tuple(_tool(tool) for tool in tools or () if tool.type in (None, "", "function"))


def refuse_pictures(images: Sequence[Any] | None, name: str) -> None:
    """Raises Unsupported: every engine here reads text only."""
    if images:
        raise lacks(name, "vision")


def _message(message: OllamaMessage, model: str) -> ChatMessage:
    role = _ROLES.get((message.role or "").lower())
    if role is None:
        raise BadRequest(
            f"invalid role: {one_line(repr(message.role), 60)}; must be system, user, assistant or tool",
            param="messages",
        )
    refuse_pictures(message.images, model)
    text = _text(message.content, model)
    if role == "assistant":
        calls = tuple(_call(call.function, call.id) for call in message.tool_calls or ())
        return ChatMessage(role, text, thinking=message.thinking or "", tool_calls=calls)
    if role == "tool":
        tool = message.tool_name or message.name or ""
        return ChatMessage(role, text, tool_name=tool, tool_call_id=message.tool_call_id or "")
    return ChatMessage(role, text)


def _text(content: str | list[OllamaPart | str] | None, model: str) -> str:
    if not isinstance(content, list):
        return content or ""
    texts: list[str] = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif part.type in (None, "text"):
            texts.append(part.text or "")
        else:
            raise lacks(model, "vision" if "image" in part.type else one_line(part.type, 60))
    return "".join(texts)


def _call(function: OllamaFunctionCall | None, id_: str | None) -> ToolCall:
    if function is None or not function.name:
        raise BadRequest("a tool call has no function name", param="messages")
    arguments: Any = function.arguments
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise BadRequest(
                f"the arguments of the call of {one_line(function.name, 60)} are not a JSON object",
                param="messages",
            )
    return ToolCall(function.name, arguments or {}, id_ or "")


def _tool(tool: OllamaTool) -> Tool:
    function = tool.function
    if function is None or not function.name:
        raise BadRequest("a tool has no function name", param="tools")
    return {
        "type": "function",
        "function": {
            "name": function.name,
            "description": function.description or "",
            "parameters": function.parameters or {"type": "object", "properties": {}},
        },
    }
