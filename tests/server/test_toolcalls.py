"""Calls are found in every form that models write, nothing else is one, and no cut of the text changes anything."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npurun_tui.engine.messages import ToolCall
from npurun_tui.server.toolcalls import Toolbox, ToolParser
from npurun_tui.server.toolcalls.tools import typed

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a place.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "exact": {"type": "boolean"},
                "where": {"anyOf": [{"type": "object"}, {"type": "null"}]},
            },
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
TOOLS = Toolbox([WEATHER, CLOCK])

Found = str | tuple[str, Any]


def found_in(pieces: list[str], tools: Toolbox = TOOLS) -> list[Found]:
    """Texts and calls, neighbouring texts joined."""
    parser = ToolParser(tools)
    result: list[Found] = []
    for each in [each for piece in pieces for each in parser.feed(piece)] + parser.finish():
        if isinstance(each, ToolCall):
            result.append((each.name, dict(each.arguments)))
        elif result and isinstance(result[-1], str):
            result[-1] += each
        else:
            result.append(each)
    return result


BERLIN = ("get_weather", {"city": "Berlin"})
PARIS = ("get_weather", {"city": "Paris"})
JSON = '{"name": "get_weather", "arguments": {"city": "Berlin"}}'
OTHER = JSON.replace("Berlin", "Paris")

CASES: dict[str, tuple[str, list[Found]]] = {
    "hermes": (f"<tool_call>\n{JSON}\n</tool_call>", [BERLIN]),
    "with text before": (f"Let me see.\n\n<tool_call>{JSON}</tool_call>\n", ["Let me see.", BERLIN]),
    "two": (f"<tool_call>{JSON}</tool_call>\n<tool_call>{OTHER}</tool_call>", [BERLIN, PARIS]),
    "two in one": (f"<tool_call>\n{JSON}\n{OTHER}\n</tool_call>", [BERLIN, PARIS]),
    "unclosed": (f"<tool_call>\n{JSON}", [BERLIN]),
    "half closed": (f"<tool_call>\n{JSON}\n</tool", [BERLIN]),
    "closing tag in a text": (
        '<tool_call>{"name": "get_weather", "arguments": {"city": "</tool_call>"}}</tool_call>',
        [("get_weather", {"city": "</tool_call>"})],
    ),
    "swallowed opening tag": (f"\n{JSON}\n</tool_call>", [BERLIN]),
    "function_call": (f"<function_call>{JSON}</function_call>", [BERLIN]),
    "private tag": (f"<action>{JSON}</action>", [BERLIN]),
    "named tag": ('<get_weather>{"city": "Berlin"}</get_weather>', [BERLIN]),
    "named tag with arguments": ('<get_weather>{"arguments": {"city": "Berlin"}}</get_weather>', [BERLIN]),
    "no arguments": ('<tool_call>{"name": "clock"}</tool_call>', [("clock", {})]),
    "arguments beside": ('<tool_call>{"name": "get_weather", "city": "Berlin"}</tool_call>', [BERLIN]),
    "arguments as text": (
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Berlin\\"}"}</tool_call>',
        [BERLIN],
    ),
    "qwen xml": (
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nBerlin\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
        "<parameter=exact>\nTrue\n</parameter>\n</function>\n</tool_call>",
        [("get_weather", {"city": "Berlin", "days": 3, "exact": True})],
    ),
    "qwen xml without a frame": (
        "Sure.\n<function=get_weather>\n<parameter=city>\nBerlin\n</parameter>\n</function>\n</tool_call>",
        ["Sure.", BERLIN],
    ),
    "xml value with tags": (
        "<function=get_weather><parameter=city><b>x</parameter> y</b></parameter></function>",
        [("get_weather", {"city": "<b>x</parameter> y</b>"})],
    ),
    "xml without parameters": ("<tool_call>\n<function=clock>\n</function>\n</tool_call>", [("clock", {})]),
    "llama": ('{"name": "get_weather", "parameters": {"city": "Berlin"}}', [BERLIN]),
    "llama with type": ('{"type": "function", "name": "get_weather", "parameters": {"city": "Berlin"}}', [BERLIN]),
    "python tag": ('<|python_tag|>{"name": "get_weather", "parameters": {"city": "Berlin"}}', [BERLIN]),
    "python tag, two": (f"<|python_tag|>{JSON}; {OTHER}", [BERLIN, PARIS]),
    "llama function": ('<function=get_weather>{"city": "Berlin"}</function>', [BERLIN]),
    "openai": ('{"function": {"name": "get_weather", "arguments": {"city": "Berlin"}}}', [BERLIN]),
    "tool_calls": (f'{{"tool_calls": [{JSON}]}}', [BERLIN]),
    "list": (f"[{JSON}, {OTHER}]", [BERLIN, PARIS]),
    "fence": (f"Here:\n```json\n{JSON}\n```\n", ["Here:", BERLIN]),
    "fence, list": (f"```\n[{JSON}]\n```", [BERLIN]),
    "fence, unclosed": (f"```json\n{JSON}", [BERLIN]),
    "mistral": (f"[TOOL_CALLS] [{JSON}]", [BERLIN]),
    "mistral, newer": ('[TOOL_CALLS]get_weather[ARGS]{"city": "Berlin"}', [BERLIN]),
    "text after": (f"<tool_call>{JSON}</tool_call>\nDone.", [BERLIN, "Done."]),
}  # fmt: skip

TEXTS = [
    "Hello, world.\n",
    "Use <b>bold</b> and a < b, x[1], {a} and `code`.",
    "```python\nprint({'name': 1})\n```\n",
    '```json\n{"city": "Berlin"}\n```',
    '{"city": "Berlin", "days": 3}',
    '{"name": "Bob", "age": 3}',
    '{"name": "get_weather"}',
    '{"name": "rm_rf", "arguments": {}}',
    '<tool_call>{"name": "rm_rf", "arguments": {}}</tool_call>',
    '<tool_call>{"name": "get_weather", "arguments": {"city": "Berlin"}</tool_call>',
    '<tool_call>{"name": "get_weather", "arguments": [1]}</tool_call>',
    '<tool_call>{"name": "get_weather", "arguments": {"city": NaN}}</tool_call>',
    '<tool_call>{"name": "get_weather", "arguments": {"city": 1e999}}</tool_call>',
    "<tool_call>nothing</tool_call>",
    "<tool_call>\n<function=rm_rf>\n</function>\n</tool_call>",
    "<function=get_weather>\n<parameter=city>\nBerlin",
    f"The call is {JSON} in a line.",
    "[1, 2]",
    "[",
    "<",
    "```",
    "<|im_end|>",
    "[TOOL_CALLS]",
    "\n\n  ",
    '<tool_call>{"name": "get_weather", "arguments": ' + "[" * 5000 + "]" * 5000 + "}</tool_call>",
    '{"name": "get_weather", "arguments": {"a": ' + '{"a": ' * 100 + "1" + "}" * 102,
]


@pytest.mark.parametrize("name", CASES)
def test_each_form_is_a_call(name: str) -> None:
    text, wanted = CASES[name]
    assert found_in([text]) == wanted
    assert found_in(list(text)) == wanted


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:40])
def test_everything_else_stays_the_text_it_is(text: str) -> None:
    assert "".join(str(each) for each in found_in([text])) == text
    assert "".join(str(each) for each in found_in(list(text))) == text


def test_text_streams_at_once_and_a_call_is_held_back() -> None:
    parser = ToolParser(TOOLS)
    assert parser.feed("I will look") == ["I will look"]
    assert parser.feed(" it up. ") == [" it up."]
    assert parser.feed("\n<tool") == []
    assert parser.feed("_call>" + JSON) == []
    calls = parser.feed("</tool_call>")
    assert [type(call) for call in calls] == [ToolCall]
    assert parser.finish() == []


def test_each_call_has_an_id_of_its_own() -> None:
    parser = ToolParser(TOOLS)
    calls = [c for c in parser.feed(f"[{JSON}, {JSON}]") if isinstance(c, ToolCall)]
    ids = [call.id for call in calls]
    assert len(set(ids)) == 2
    assert all(each.startswith("call_") and each[5:].isalnum() and len(each) >= 13 for each in ids)


def test_halves_of_surrogate_pairs_do_not_come_out() -> None:
    text = '<tool_call>{"name": "get_weather", "arguments": {"city": "\\ud800"}}</tool_call>'
    (found,) = found_in([text])
    assert found[0] == "get_weather"
    json.dumps(found[1], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("3", {"type": "integer"}, 3),
        ("3", {"type": "string"}, "3"),
        ("3", {}, "3"),
        ("3.5", {"type": "number"}, 3.5),
        ("three", {"type": "integer"}, "three"),
        ("False", {"type": "boolean"}, False),
        ("null", {"type": ["string", "null"]}, None),
        ("None", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, None),
        ('\n["a"]\n', {"type": "array"}, ["a"]),
        ('{"a": 1}', {"type": "object"}, {"a": 1}),
        ("line\nline\n", {"type": "string"}, "line\nline"),
        ("1e999", {"type": "number"}, "1e999"),
    ],
)
def test_xml_values_take_their_schema_s_type(text: str, schema: Any, value: Any) -> None:
    assert typed(text, schema) == value


PARTS = st.sampled_from(
    [
        *(
            "<tool_call>",
            "</tool_call>",
            "<function=get_weather>",
            "</function>",
            "<parameter=city>",
        ),
        *(
            "</parameter>",
            "<|python_tag|>",
            "<get_weather>",
            "</get_weather>",
            "[TOOL_CALLS]",
            "[ARGS]",
        ),
        *(
            JSON,
            JSON[:30],
            JSON[30:],
            '{"name"',
            '"name"',
            "name",
            ": 1",
            "clock",
            "json",
            "{}",
            "<b>",
        ),
        *("{", "}", "[", "]", '"', "\\", "```", "\n", " ", "<", ">", "a", ";", ",", "\x0b"),
    ]
)


def cut(text: str, places: list[int]) -> list[str]:
    places = sorted({place for place in places if place < len(text)})
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


@settings(max_examples=400)
@given(st.lists(PARTS, max_size=14), st.lists(st.integers(0, 400), max_size=30))
def test_cuts_change_nothing(parts: list[str], places: list[int]) -> None:
    text = "".join(parts)
    whole = found_in([text])
    assert found_in(cut(text, places)) == whole
    assert found_in(list(text)) == whole


@given(st.text(max_size=200), st.lists(st.integers(0, 200), max_size=10))
def test_any_text_at_all_comes_through(text: str, places: list[int]) -> None:
    found = found_in(cut(text, places))
    assert "".join(each for each in found if isinstance(each, str)) == text


@settings(max_examples=50)
@given(
    st.dictionaries(st.text(max_size=8), st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ), max_size=4),
    st.booleans(),
)  # fmt: skip
def test_whatever_arguments_come_out_as_they_went_in(
    arguments: dict[str, Any], ascii_only: bool
) -> None:
    source = json.dumps({"name": "get_weather", "arguments": arguments}, ensure_ascii=ascii_only)
    for text in (f"<tool_call>{source}</tool_call>", source):
        assert found_in(list(text)) == [("get_weather", json.loads(source)["arguments"])]


@pytest.mark.parametrize(
    "unit", ["<a>{", "<tool_call>{\n", '{"name":\n', "[{\n", "```json\n{", "<function=clock>"]
)
def test_hostile_text_costs_little(unit: str) -> None:
    text = unit * 20_000
    began = time.perf_counter()
    found = found_in(cut(text, list(range(0, len(text), 7))))
    assert "".join(str(each) for each in found) == text
    assert time.perf_counter() - began < 20, "it is linear, up to a bound"
