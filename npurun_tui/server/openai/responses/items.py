"""Input items, made into the conversation's messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec

from npurun_tui.engine.messages import ChatMessage, ToolCall
from npurun_tui.server.faults import BadRequest, Unsupported
from npurun_tui.server.openai.content import (
    Content,
    ContentPart,
    answerable,
    arguments_of,
    text_of,
)
from npurun_tui.server.openai.fields import one_of

_TYPES: Final = ("message", "function_call", "function_call_output", "reasoning")


class InputItem(msgspec.Struct):
    """An item of the conversation: a message, a function call or its output, or an earlier reasoning."""

    type: Annotated[str, one_of(*_TYPES)] | None = None
    role: Annotated[str, one_of("system", "developer", "user", "assistant")] | None = None
    content: Content | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    output: Content | None = None
    summary: list[ContentPart | str] | None = None


def conversation(instructions: str, items: str | Sequence[InputItem]) -> tuple[ChatMessage, ...]:
    """The messages as the engine takes them. Raises BadRequest, Unsupported."""
    reader = _Reader()
    if instructions:
        reader.say(ChatMessage("system", instructions))
    if isinstance(items, str):
        reader.say(ChatMessage("user", items))
    else:
        for index, item in enumerate(items):
            reader.read(item, f"input[{index}]")
    return answerable(tuple(reader.messages))


class _Reader:
    """Puts together what the items take apart: thoughts, text and calls of one answer are one message."""

    def __init__(self) -> None:
        self.messages: list[ChatMessage] = []
        self._thinking = ""
        self._names: dict[str, str] = {}

    def say(self, message: ChatMessage) -> None:
        """The next message; thoughts that came before belong to it where it is the assistant's."""
        if message.role == "assistant" and self._thinking:
            message = replace(message, thinking=self._thinking)
        self._thinking = ""
        self.messages.append(message)

    def read(self, item: InputItem, param: str) -> None:
        """One item."""
        match item.type or "message":
            case "message":
                self._message(item, param)
            case "function_call":
                self._call(item, param)
            case "function_call_output":
                id_ = item.call_id or ""
                text = text_of(item.output, f"{param}.output")
                name = item.name or self._names.get(id_, "")
                self.say(ChatMessage("tool", text, tool_name=name, tool_call_id=id_))
            case "reasoning":
                self._thinking += _thoughts(item)
            case kind:
                raise Unsupported(
                    f"Input items of type `{kind[:64]}` are not supported.", param=f"{param}.type"
                )

    def _message(self, item: InputItem, param: str) -> None:
        text = text_of(item.content, f"{param}.content")
        match item.role:
            case "system" | "developer":
                self.say(ChatMessage("system", text))
            case "user":
                self.say(ChatMessage("user", text))
            case "assistant":
                self.say(ChatMessage("assistant", text))
            case _:
                raise BadRequest(
                    f"{param}: the role must be system, developer, user or assistant.",
                    param=f"{param}.role",
                )

    def _call(self, item: InputItem, param: str) -> None:
        if not item.name:
            raise BadRequest(f"{param}: the call has no name.", param=f"{param}.name")
        id_ = item.call_id or item.id or ""
        call = ToolCall(item.name, arguments_of(item.arguments, param), id_)
        self._names[id_] = item.name
        last = self.messages[-1] if self.messages else None
        if last is None or last.role != "assistant" or self._thinking:
            self.say(ChatMessage("assistant", "", tool_calls=(call,)))
        else:
            self.messages[-1] = replace(last, tool_calls=(*last.tool_calls, call))


def _thoughts(item: InputItem) -> str:
    parts = item.summary or (item.content if isinstance(item.content, list) else None) or ()
    return "".join(part if isinstance(part, str) else part.text or "" for part in parts)
