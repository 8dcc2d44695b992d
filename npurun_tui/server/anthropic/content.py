"""Content blocks, made into the conversation's messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from npurun_tui.engine.messages import ChatMessage, ToolCall
from npurun_tui.server.faults import BadRequest, Unsupported
from npurun_tui.server.openai.content import answerable
from npurun_tui.server.openai.fields import one_of

_IGNORED: Final = frozenset({"redacted_thinking"})
"""Only the server that wrote it could read it."""


_TYPES: Final = ("text", "thinking", "redacted_thinking", "tool_use", "tool_result")


class Block(msgspec.Struct):
    """A content block. `text`, `thinking`, `tool_use` and `tool_result` are taken, others refused by their type."""

    type: Annotated[str, one_of(*_TYPES)]
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    content: str | list[Block] | None = None


class InputMessage(msgspec.Struct):
    """One message of a conversation."""

    role: Annotated[str, one_of("user", "assistant", "system")]
    content: str | list[Block] | None = None


def text_of(content: str | Sequence[Block] | None, param: str) -> str:
    """The text of content that can only be text. Raises Unsupported, naming the type of another block."""
    if isinstance(content, str) or content is None:
        return content or ""
    for index, block in enumerate(content):
        if block.type != "text":
            raise _unsupported(block, f"{param}.{index}")
    return "\n".join(block.text or "" for block in content)


def conversation(system: str, messages: Sequence[InputMessage]) -> tuple[ChatMessage, ...]:
    """The messages as the engine takes them. Raises BadRequest, Unsupported."""
    said = [ChatMessage("system", system)] if system else []
    names: dict[str, str] = {}
    for index, message in enumerate(messages):
        param = f"messages.{index}"
        match message.role:
            case "user":
                said += _user(message, param, names)
            case "assistant":
                answer = _assistant(message, param)
                names |= {call.id: call.name for call in answer.tool_calls}
                said.append(answer)
            case "system":
                said.append(ChatMessage("system", text_of(message.content, f"{param}.content")))
            case _:
                raise BadRequest(f"{param}.role: must be user or assistant", param=f"{param}.role")
    return answerable(tuple(said))


def _blocks(message: InputMessage) -> Sequence[Block]:
    content = message.content
    return [Block("text", content)] if isinstance(content, str) else content or ()


def _user(message: InputMessage, param: str, names: dict[str, str]) -> list[ChatMessage]:
    """Tool results are messages of their own, before what the user says to them."""
    results: list[ChatMessage] = []
    texts: list[str] = []
    for index, block in enumerate(_blocks(message)):
        where = f"{param}.content.{index}"
        if block.type == "tool_result":
            id_ = block.tool_use_id or ""
            text = text_of(block.content, f"{where}.content")
            results.append(
                ChatMessage("tool", text, tool_name=names.get(id_, ""), tool_call_id=id_)
            )
        elif block.type == "text":
            texts.append(block.text or "")
        else:
            raise _unsupported(block, where)
    if texts or not results:
        results.append(ChatMessage("user", "\n".join(texts)))
    return results


def _assistant(message: InputMessage, param: str) -> ChatMessage:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    for index, block in enumerate(_blocks(message)):
        where = f"{param}.content.{index}"
        match block.type:
            case "text":
                texts.append(block.text or "")
            case "thinking":
                thoughts.append(block.thinking or "")
            case "tool_use":
                if not block.name:
                    raise BadRequest(f"{where}.name: Field required", param=where)
                calls.append(ToolCall(block.name, block.input or {}, block.id or ""))
            case kind if kind not in _IGNORED:
                raise _unsupported(block, where)
            case _:
                pass
    return ChatMessage("assistant", "".join(texts), "".join(thoughts), tuple(calls))


def _unsupported(block: Block, param: str) -> Unsupported:
    return Unsupported(
        f"{param}: content blocks of type `{block.type[:64]}` are not supported here", param=param
    )
