"""The tools that a request brought, and calls made of what a model wrote.

Only a tool of the request can be called: everything else that looks like a call is text. Arguments are plain JSON
objects afterwards, which can be written as JSON again: no NaN, no infinity, no half of a surrogate pair.
"""

from __future__ import annotations

import json
import math
import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any, Final

from npurun_tui.engine.messages import ToolCall

_ARGUMENTS: Final = ("arguments", "parameters", "args", "input")
_NAMES: Final = ("name", "tool", "tool_name")
_META: Final = frozenset({*_NAMES, "type", "id", "function"})

FIRST_KEYS: Final = (*_ARGUMENTS, *_NAMES, "type", "id", "function", "tool_calls")
"""A JSON object outside of any frame can be a call only if its first key is one of these."""

DEPTH: Final = 64
"""Arguments that are nested deeper are none."""

_PYTHON: Final = {"True": "true", "False": "false", "None": "null"}
_ID: Final = string.ascii_letters + string.digits


class Toolbox:
    """The tools of one request, in OpenAI's shape."""

    def __init__(self, tools: Sequence[Mapping[str, Any]]) -> None:
        self._schemas: dict[str, Mapping[str, Any]] = {}
        for tool in tools:
            function = tool.get("function")
            if isinstance(function, Mapping) and isinstance(function.get("name"), str):
                schema = function.get("parameters")
                self._schemas[function["name"]] = schema if isinstance(schema, Mapping) else {}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._schemas

    @property
    def names(self) -> tuple[str, ...]:
        """In the request's order."""
        return tuple(self._schemas)

    def schema(self, name: str) -> Mapping[str, Any]:
        """The JSON Schema of a tool's arguments; may be empty."""
        return self._schemas[name]

    def from_json(self, source: str, *, tag: str = "", framed: bool = True) -> list[ToolCall]:
        """The calls that the JSON text `source` spells; empty where it is not only calls.

        `tag` is the name of the element around it. Outside of a frame (`framed` False) a call has to have arguments.
        """
        try:
            return self._calls(_load(source), tag, framed) or []
        except (ValueError, RecursionError):
            return []

    def from_xml(self, name: str, parameters: Mapping[str, str]) -> ToolCall:
        """A call whose arguments are texts; each becomes what the tool's schema says it is."""
        properties = self._schemas[name].get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        try:
            typed_ones = {key: typed(text, known.get(key)) for key, text in parameters.items()}
            return _call(name, typed_ones)
        except ValueError:
            return _call(name, parameters)

    def _calls(self, value: Any, tag: str, framed: bool) -> list[ToolCall] | None:
        """None where something in it is no call."""
        if isinstance(value, list):
            found = [self._calls(each, tag, framed) for each in value if not isinstance(each, list)]
            if len(found) != len(value) or None in found:
                return None
            return [call for calls in found for call in calls or []]
        if not isinstance(value, dict):
            return None
        if isinstance(value.get("tool_calls"), list):
            return self._calls(value["tool_calls"], tag, framed)
        call = self._call(value, framed) or self._named(value, tag)
        return [call] if call else None

    def _call(self, value: dict[str, Any], framed: bool) -> ToolCall | None:
        """`{"name", "arguments"}` and its relatives."""
        inner = value.get("function")
        if isinstance(inner, dict):
            value = inner
        names = [value.get(key) for key in _NAMES] + [inner]
        name = next((each for each in names if isinstance(each, str) and each in self), None)
        if not isinstance(name, str):
            return None
        for key in _ARGUMENTS:
            if key in value:
                arguments = _object(value[key])
                return None if arguments is None else _call(name, arguments)
        if not framed:
            return None
        return _call(name, {key: each for key, each in value.items() if key not in _META})

    def _named(self, value: dict[str, Any], tag: str) -> ToolCall | None:
        """The arguments inside of an element that has the tool's name."""
        if tag not in self:
            return None
        for key in _ARGUMENTS:
            if set(value) == {key} and key not in (self._schemas[tag].get("properties") or {}):
                arguments = _object(value[key])
                return None if arguments is None else _call(tag, arguments)
        return _call(tag, value)


def typed(text: str, schema: Any) -> Any:
    """`text` as a value of `schema`'s type; a text where it is none, or nothing says what it is."""
    text = text.removeprefix("\n").removesuffix("\n")
    kinds = _kinds(schema)
    if not kinds or kinds == {"string"}:
        return text
    bare = text.strip()
    try:
        value = _load(_PYTHON.get(bare, bare))
    except (ValueError, RecursionError):
        return text
    return value if _kind(value) & kinds else text


def _kinds(schema: Any) -> set[str]:
    """The JSON types that `schema` allows; empty where it does not say."""
    if not isinstance(schema, Mapping):
        return set()
    kind = schema.get("type")
    if isinstance(kind, str):
        return {kind}
    if isinstance(kind, list):
        return {each for each in kind if isinstance(each, str)}
    for key in ("anyOf", "oneOf"):
        choices = schema.get(key)
        if isinstance(choices, list):
            return {
                each["type"]
                for each in choices
                if isinstance(each, Mapping) and isinstance(each.get("type"), str)
            }
    return set()


def _kind(value: Any) -> set[str]:
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int):
        return {"integer", "number"}
    if isinstance(value, float):
        return {"number", "integer"} if value.is_integer() else {"number"}
    if value is None:
        return {"null"}
    return {
        "array" if isinstance(value, list) else "object" if isinstance(value, dict) else "string"
    }


def _object(value: Any) -> dict[str, Any] | None:
    """Arguments as an object; some models write the object as a text, or nothing for none."""
    if isinstance(value, str):
        try:
            value = _load(value) if value else {}
        except (ValueError, RecursionError):
            return None
    if value is None:
        return {}
    return value if isinstance(value, dict) else None


def _call(name: str, arguments: Mapping[str, Any]) -> ToolCall:
    return ToolCall(name, _encodable(arguments), new_id())


def new_id() -> str:
    """An id for a call, as OpenAI's look."""
    return "call_" + "".join(secrets.choice(_ID) for _ in range(12))


def _encodable(value: Any, depth: int = DEPTH) -> Any:
    """`value` without halves of surrogate pairs, which JSON can spell and UTF-8 cannot. Raises ValueError where it is
    nested too deep."""
    if depth < 0:
        raise ValueError("nested too deep")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_encodable(key, depth): _encodable(each, depth - 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_encodable(each, depth - 1) for each in value]
    return value


def _load(source: str) -> Any:
    return json.loads(source, parse_constant=_refuse, parse_float=_finite)


def _refuse(_word: str) -> float:
    raise ValueError("not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("too large")
    return value
