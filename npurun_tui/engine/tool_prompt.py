"""Tools in plain words, for templates that know nothing of them: the list in the system prompt, calls and results as
text in tags. The form is Hermes', which most small models have seen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

Message = Mapping[str, Any]
"""One message in OpenAI's shape, with a tool call's `arguments` as an object, as `transformers` has it."""

_HEAD: Final = "You can call functions to help with the request. They are listed here, one on each line, as JSON:"
_TAIL: Final = (
    "To call a function, answer with a <tool_call> tag that holds its name and its arguments as JSON, one tag for each "
    "call, and nothing else:"
)
FORM: Final = '<tool_call>{"name": "FUNCTION", "arguments": {"PARAMETER": "VALUE"}}</tool_call>'
"""The form that is asked for, and the end of the list of tools: where it is, the list is."""


def tools_block(tools: Sequence[Mapping[str, Any]]) -> str:
    """What a system prompt says of `tools`, which are in OpenAI's shape."""
    lines = "\n".join(_dumps(_described(tool)) for tool in tools)
    return f"# Tools\n\n{_HEAD}\n<tools>\n{lines}\n</tools>\n\n{_TAIL}\n{FORM}"


def spoken(
    messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], default_system: str = ""
) -> list[Message]:
    """`messages` with everything about tools as text in system, user and assistant messages.

    `default_system` is the system prompt of a conversation that has none.
    """
    said: list[Message] = []
    results: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            results.append(f"<tool_response>\n{message['content']}\n</tool_response>")
            continue
        if results:
            said.append({"role": "user", "content": "\n".join(results)})
            results = []
        said.append(_told(message))
    if results:
        said.append({"role": "user", "content": "\n".join(results)})
    return _with_system(said, tools_block(tools), default_system) if tools else said


def merged(messages: Sequence[Message]) -> list[Message]:
    """`messages` of users and assistants in turn: system prompts become a part of the user's message after them."""
    joined: list[dict[str, Any]] = []
    for message in messages:
        role = "user" if message["role"] == "system" else message["role"]
        if joined and joined[-1]["role"] == role:
            joined[-1]["content"] += f"\n\n{message['content']}"
        else:
            joined.append({**message, "role": role})
    return list(joined)


def _described(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    facts = function if isinstance(function, Mapping) else tool
    return {key: facts[key] for key in ("name", "description", "parameters") if facts.get(key)}


def _told(message: Message) -> Message:
    calls = message.get("tool_calls")
    if not calls:
        return message
    texts = [message["content"]] if message["content"] else []
    for call in calls:
        function = call["function"]
        body = {"name": function["name"], "arguments": function["arguments"]}
        texts.append(f"<tool_call>{_dumps(body)}</tool_call>")
    rest = {key: value for key, value in message.items() if key != "tool_calls"}
    return {**rest, "content": "\n".join(texts)}


def _with_system(messages: list[Message], block: str, default: str) -> list[Message]:
    if messages and messages[0]["role"] == "system":
        first = messages[0]
        said = "\n\n".join(text for text in (first["content"], block) if text)
        return [{**first, "content": said}, *messages[1:]]
    said = f"{default}\n\n{block}" if default else block
    return [{"role": "system", "content": said}, *messages]


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
