"""What `tool_choice` and schemas ask of an answer."""

from __future__ import annotations

from typing import Any

import pytest

from npurun_tui.engine.messages import ChatMessage
from npurun_tui.server.asking import Ask, ToolChoice
from npurun_tui.server.faults import BadRequest
from npurun_tui.server.toolcalls import Toolbox
from npurun_tui.server.toolcalls.choice import asked_to_call, constraint_of, tools_of


def tool(name: str, **parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


ASK = Ask("m", (ChatMessage("user", "Hi"),), tools=(tool("a", type="object"), tool("b")))


def chosen(choice: ToolChoice, **more: Any) -> Ask:
    return Ask("m", ASK.messages, tools=ASK.tools, tool_choice=choice, **more)


def test_which_tools_are_shown() -> None:
    assert Toolbox(tools_of(ASK)).names == ("a", "b")
    assert tools_of(chosen(ToolChoice("none"))) == ()
    assert Toolbox(tools_of(chosen(ToolChoice("required", "b")))).names == ("b",)
    with pytest.raises(BadRequest) as caught:
        tools_of(chosen(ToolChoice("required", "c")))
    assert caught.value.param == "tool_choice"


def test_what_the_text_is_held_to() -> None:
    assert constraint_of(ASK, ASK.tools) is None
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    only = constraint_of(Ask("m", schema=schema), ())
    assert only is not None
    assert only.json_schema == schema
    both = constraint_of(chosen(ToolChoice(), schema=schema), ASK.tools)
    assert both is not None
    assert both.json_schema is not None
    assert both.json_schema["anyOf"][0] == schema
    assert [each["properties"]["name"] for each in both.json_schema["anyOf"][1:]] == [
        {"const": "a"},
        {"const": "b"},
    ]


def test_definitions_are_found_from_the_root() -> None:
    """Two tools whose schemas both define `Item`, and refer to it."""
    tools = tuple(
        tool(
            name,
            type="object",
            properties={
                "item": {"$ref": "#/$defs/Item"},
                "all": {"items": {"$ref": "#/$defs/Item"}},
            },
            **{"$defs": {"Item": {"type": kind, "next": {"$ref": "#/$defs/Item"}}}},
        )
        for name, kind in (("a", "string"), ("b", "integer"))
    )
    asked = Ask("m", ASK.messages, tools=tools, tool_choice=ToolChoice("required"))
    constraint = constraint_of(asked, tools)
    assert constraint is not None
    assert constraint.json_schema is not None
    schema = constraint.json_schema
    for choice, name, kind in zip(schema["anyOf"], "ab", ("string", "integer"), strict=True):
        arguments = choice["properties"]["arguments"]
        reference = arguments["properties"]["item"]["$ref"]
        assert arguments["properties"]["all"]["items"]["$ref"] == reference
        found = schema["$defs"][reference.removeprefix("#/$defs/")]
        assert found == {"type": kind, "next": {"$ref": reference}}
        assert choice["properties"]["name"]["const"] == name
        assert "$defs" not in arguments
        assert arguments["additionalProperties"] is False


def test_engines_that_cannot_be_held_are_asked() -> None:
    (said,) = asked_to_call(ASK.messages, ToolChoice("required", "b"))
    assert said.content == "Hi\n\n(Call the function b now.)"
    result = (*ASK.messages, ChatMessage("tool", "4"))
    assert asked_to_call(result, ToolChoice("required"))[-1] == ChatMessage(
        "user", "Call one of the functions now."
    )
