"""What `tool_choice` and a schema make of an answer: which tools the model is shown, and what its text is held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from npurun_tui.engine.messages import ChatMessage, Constraint
from npurun_tui.server.asking import Ask, ToolChoice
from npurun_tui.server.faults import BadRequest
from npurun_tui.server.toolcalls.tools import Toolbox

Tools = tuple[Mapping[str, Any], ...]

_DEFINITIONS: Final = ("$defs", "definitions")


def tools_of(ask: Ask) -> Tools:
    """The tools that the model is shown.

    Raises:
        BadRequest: the choice names one that is not there, or asks for a call without any tool.
    """
    choice = ask.tool_choice
    if choice.mode == "none":
        return ()
    if choice.name:
        named = tuple(tool for tool in ask.tools if Toolbox((tool,)).names == (choice.name,))
        if not named:
            raise BadRequest(
                "`tool_choice` names a tool that is not among `tools`.", param="tool_choice"
            )
        return named[:1]
    if choice.mode == "required" and not Toolbox(ask.tools).names:
        raise BadRequest(
            "`tool_choice` asks for a call, and there are no `tools`.", param="tool_choice"
        )
    return ask.tools


def must_call(choice: ToolChoice) -> bool:
    """A call is asked for, and nothing else will do."""
    return choice.mode == "required" or bool(choice.name)


def constraint_of(ask: Ask, tools: Tools) -> Constraint | None:
    """What the answer's text must be: what the schema says, or a call, or either; None where it is free."""
    if tools and must_call(ask.tool_choice):
        return Constraint(json_schema=either(_call_schemas(tools)))
    if ask.schema is None:
        return None
    if not tools:
        return Constraint(json_schema=ask.schema)
    return Constraint(json_schema=either([("answer", ask.schema), *_call_schemas(tools)]))


def asked_to_call(messages: Sequence[ChatMessage], choice: ToolChoice) -> tuple[ChatMessage, ...]:
    """`messages` that end with the wish for a call, for engines that cannot be held to one."""
    what = f"the function {choice.name}" if choice.name else "one of the functions"
    last = messages[-1]
    if last.role != "user":
        return (*messages, ChatMessage("user", f"Call {what} now."))
    return (*messages[:-1], replace(last, content=f"{last.content}\n\n(Call {what} now.)"))


def either(schemas: Sequence[tuple[str, Mapping[str, Any]]]) -> Mapping[str, Any]:
    """A schema for any one of `(a name, a schema)`; their definitions move to the root, where references find them."""
    definitions: dict[str, Any] = {}
    choices = [_hoisted(name, schema, definitions) for name, schema in schemas]
    if len(choices) == 1 and not definitions:
        return choices[0]
    whole: dict[str, Any] = {"anyOf": choices}
    return whole | ({"$defs": definitions} if definitions else {})


def _call_schemas(tools: Tools) -> list[tuple[str, Mapping[str, Any]]]:
    box = Toolbox(tools)
    return [(name, _call_schema(name, box.schema(name))) for name in box.names]


def _call_schema(name: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = {key: value for key, value in parameters.items() if key not in _DEFINITIONS}
    kept = {key: parameters[key] for key in _DEFINITIONS if key in parameters}
    # What a schema does not name is allowed by JSON Schema, and small models then make arguments up.
    arguments = {"properties": {}, "additionalProperties": False} | inner | {"type": "object"}
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
        **kept,
    }


def _hoisted(name: str, schema: Mapping[str, Any], into: dict[str, Any]) -> dict[str, Any]:
    """`schema` without its definitions, which go `into` the root under names of their own."""
    prefix = f"{name}--"
    found = {
        key: value
        for place in _DEFINITIONS
        if isinstance(schema.get(place), Mapping)
        for key, value in schema[place].items()
    }
    into |= {f"{prefix}{key}": _redirected(value, prefix) for key, value in found.items()}
    rest = {key: value for key, value in schema.items() if key not in _DEFINITIONS}
    redirected: dict[str, Any] = _redirected(rest, prefix)
    return redirected


def _redirected(value: Any, prefix: str) -> Any:
    """`value` with each reference into the definitions pointing to its new place."""
    if isinstance(value, Mapping):
        return {key: _target(key, each, prefix) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_redirected(each, prefix) for each in value]
    return value


def _target(key: str, value: Any, prefix: str) -> Any:
    if key == "$ref" and isinstance(value, str):
        for place in _DEFINITIONS:
            if value.startswith(f"#/{place}/"):
                return f"#/$defs/{prefix}{value.removeprefix(f'#/{place}/')}"
    return _redirected(value, prefix)
