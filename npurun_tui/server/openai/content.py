"""Messages as OpenAI's clients write them, made into the conversation's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from npurun_tui.engine.messages import ChatMessage, Role, ToolCall
from npurun_tui.server.faults import BadRequest, Unsupported
from npurun_tui.server.openai.fields import one_of

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_TEXTS: Final = frozenset({"text", "input_text", "output_text", "refusal", ""})


class ContentPart(msgspec.Struct):
    """A part of a message's content. Only texts are taken; others are refused by their type."""

    type: Annotated[str, one_of(*sorted(_TEXTS))] | None = None
    text: str | None = None
    refusal: str | None = None


Content = str | list[ContentPart | str]


class CalledFunction(msgspec.Struct):
    """What an assistant called; the arguments are a JSON object, mostly as a string."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class AskedCall(msgspec.Struct):
    """A tool call in an earlier answer."""

    id: str | None = None
    type: str | None = None
    function: CalledFunction | None = None


class Message(msgspec.Struct):
    """One message of a conversation."""

    role: Annotated[str, one_of(*_ROLES)]
    content: Content | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking: str | None = None
    tool_calls: list[AskedCall] | None = None
    function_call: CalledFunction | None = None
    tool_call_id: str | None = None


def text_of(content: Content | None, param: str) -> str:
    """The text of a content. Raises Unsupported, naming the type, where a part is something else."""
    if isinstance(content, str) or content is None:
        return content or ""
    return "".join(_part(part, f"{param}[{index}]") for index, part in enumerate(content))


def _part(part: ContentPart | str, param: str) -> str:
    if isinstance(part, str):
        return part
    kind = part.type or ""
    if kind not in _TEXTS:
        raise Unsupported(
            f"Content parts of type `{kind[:64]}` are not supported: this server reads text only.",
            param=f"{param}.type",
        )
    return (part.refusal if kind == "refusal" else part.text) or ""


def conversation(messages: Sequence[Message]) -> tuple[ChatMessage, ...]:
    """The messages as the engine takes them. Raises BadRequest, Unsupported."""
    return answerable(
        tuple(_message(message, f"messages[{index}]") for index, message in enumerate(messages))
    )


def answerable(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """A conversation of instructions alone is answered by taking the last of them as the question: most templates
    cannot render one without."""
    if messages and all(message.role == "system" for message in messages):
        return (*messages[:-1], ChatMessage("user", messages[-1].content))
    return messages


def _message(message: Message, param: str) -> ChatMessage:
    role = _ROLES.get(message.role)
    if role is None:
        raise BadRequest(
            f"{param}: the role must be system, developer, user, assistant or tool.",
            param=f"{param}.role",
        )
    text = text_of(message.content, f"{param}.content")
    if role == "assistant":
        return ChatMessage(
            role,
            text or message.refusal or "",
            thinking=message.reasoning_content or message.reasoning or message.thinking or "",
            tool_calls=_calls(message, param),
        )
    if role == "tool":
        return ChatMessage(
            role, text, tool_name=message.name or "", tool_call_id=message.tool_call_id or ""
        )
    return ChatMessage(role, text)


def _calls(message: Message, param: str) -> tuple[ToolCall, ...]:
    calls = [
        called(call.function, call.id, f"{param}.tool_calls[{index}]")
        for index, call in enumerate(message.tool_calls or ())
    ]
    if message.function_call is not None:
        calls.append(called(message.function_call, "", f"{param}.function_call"))
    return tuple(calls)


def called(function: CalledFunction | None, id_: str | None, param: str) -> ToolCall:
    """An earlier call. Raises BadRequest where it has no name, or arguments that are not an object."""
    if function is None or not function.name:
        raise BadRequest(f"{param}: the call has no function name.", param=param)
    return ToolCall(function.name, arguments_of(function.arguments, param), id_ or "")


def arguments_of(arguments: str | dict[str, Any] | None, param: str) -> dict[str, Any]:
    """A call's arguments as an object. Raises BadRequest."""
    if isinstance(arguments, dict):
        return arguments
    if not (arguments or "").strip():
        return {}
    try:
        value = msgspec.json.decode(arguments or "")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadRequest(f"{param}: the call's arguments are not a JSON object.", param=param)
    return value
