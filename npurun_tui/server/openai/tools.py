"""Tools and whether they may be called, in the shapes of chat completions and of responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from npurun_tui.server.asking import ToolChoice
from npurun_tui.server.faults import BadRequest, Unsupported
from npurun_tui.server.notices import TOOLS_SKIPPED


class Function(msgspec.Struct):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    """A JSON Schema of an object."""


class Tool(msgspec.Struct):
    """A tool. Only functions are offered to a model; other types are left out, with a warning."""

    type: str | None = None
    function: Function | None = None


Tools = tuple[Mapping[str, Any], ...]


def offered(tools: Sequence[Tool] | None) -> tuple[Tools, tuple[str, ...]]:
    """The functions among `tools`, and warnings. Raises BadRequest where one has no definition."""
    functions: list[Mapping[str, Any]] = []
    skipped = False
    for index, tool in enumerate(tools or ()):
        if tool.type not in (None, "function"):
            skipped = True
            continue
        if tool.function is None:
            raise BadRequest(f"tools[{index}]: `function` is missing.", param=f"tools[{index}]")
        functions.append(function_tool(tool.function, f"tools[{index}]"))
    return tuple(functions), (TOOLS_SKIPPED,) if skipped else ()


def function_tool(function: Function, param: str) -> Mapping[str, Any]:
    """`function` in the shape that chat templates take. Raises BadRequest where it has no name."""
    if not function.name:
        raise BadRequest(f"{param}: the function has no name.", param=param)
    return {
        "type": "function",
        "function": {
            "name": function.name,
            "description": function.description or "",
            "parameters": function.parameters or {"type": "object", "properties": {}},
        },
    }


def choice(wanted: Any, tools: Tools) -> tuple[ToolChoice, Tools]:
    """What `tool_choice` means for `tools`, and the tools that are left. Raises BadRequest, Unsupported."""
    if wanted is None:
        return ToolChoice(), tools
    if isinstance(wanted, str):
        return _mode(wanted, tools), tools
    kind = wanted.get("type", "function")
    if kind == "allowed_tools":
        inner = wanted.get("allowed_tools", wanted)
        if not isinstance(inner, dict):
            raise _unknown()
        left = _among(inner.get("tools"), tools)
        return _mode(inner.get("mode", "auto"), left), left
    if kind in ("auto", "none", "required"):
        return _mode(kind, tools), tools
    if kind != "function":
        raise Unsupported(
            "`tool_choice` can only name a function: others are not offered.", param="tool_choice"
        )
    name = _name(wanted)
    if name not in {tool["function"]["name"] for tool in tools}:
        raise BadRequest("`tool_choice` names none of the tools.", param="tool_choice")
    return ToolChoice("required", name), tools


def _mode(mode: Any, tools: Tools) -> ToolChoice:
    match mode:
        case "none":
            return ToolChoice("none")
        case "auto":
            return ToolChoice("auto")
        case "required":
            if not tools:
                raise BadRequest(
                    "`tool_choice` is required, but there are no tools.", param="tool_choice"
                )
            return ToolChoice("required")
        case _:
            raise _unknown()


def _unknown() -> BadRequest:
    return BadRequest(
        "`tool_choice` must be none, auto, required, or name a function.", param="tool_choice"
    )


def _name(tool: Mapping[str, Any]) -> str:
    """The name in `{"function": {"name"}}` (chat completions) or `{"name"}` (responses)."""
    function = tool.get("function", tool)
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise _unknown()
    return name


def _among(allowed: Any, tools: Tools) -> Tools:
    if not isinstance(allowed, list) or not all(isinstance(tool, dict) for tool in allowed):
        raise _unknown()
    names = {_name(tool) for tool in allowed}
    return tuple(tool for tool in tools if tool["function"]["name"] in names)
