"""Messages and what goes with them, as they cross the pipe to the engine process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from npurun_tui.engine.messages import ChatMessage, Constraint, PromptExtras, ToolCall
from npurun_tui.engine.plain import clean, plain


def encode_message(message: ChatMessage) -> dict[str, Any]:
    """`message` as plain JSON. Raises EngineError for arguments that are none."""
    document: dict[str, Any] = {"role": message.role, "content": clean(message.content)}
    if message.thinking:
        document["thinking"] = clean(message.thinking)
    if message.tool_calls:
        document["calls"] = [
            [clean(call.name), plain(call.arguments), clean(call.id)] for call in message.tool_calls
        ]
    if message.tool_name or message.tool_call_id:
        document["result_of"] = [clean(message.tool_name), clean(message.tool_call_id)]
    return document


def decode_message(document: dict[str, Any]) -> ChatMessage:
    """The message that `encode_message` wrote."""
    name, call_id = document.get("result_of", ("", ""))
    return ChatMessage(
        document["role"],
        document["content"],
        thinking=document.get("thinking", ""),
        tool_calls=tuple(ToolCall(*call) for call in document.get("calls", ())),
        tool_name=name,
        tool_call_id=call_id,
    )


def encode_messages(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """All of them. Raises EngineError for arguments that are no JSON."""
    return [encode_message(message) for message in messages]


def encode_extras(extras: PromptExtras) -> dict[str, Any]:
    """`extras` as plain JSON. Raises EngineError where they are none."""
    return {
        "tools": plain(extras.tools),
        "think": extras.think,
        "variables": plain(extras.variables),
    }


def decode_extras(document: dict[str, Any]) -> PromptExtras:
    """The extras that `encode_extras` wrote."""
    return PromptExtras(tuple(document["tools"]), document["think"], document["variables"])


def encode_constraint(constraint: Constraint | None) -> dict[str, Any] | None:
    """`constraint` as plain JSON. Raises EngineError where its schema is none."""
    if constraint is None:
        return None
    schema = None if constraint.json_schema is None else plain(constraint.json_schema)
    return {"json_schema": schema, "grammar": clean(constraint.grammar)}


def decode_constraint(document: dict[str, Any] | None) -> Constraint | None:
    """The constraint that `encode_constraint` wrote."""
    return None if document is None else Constraint(**document)
