"""What a template's text says of its model; the templates are those of the named families, cut to what matters."""

from __future__ import annotations

import pytest

from npurun_tui.engine.template_facts import (
    NO_TEMPLATE,
    opens_thinking,
    template_facts,
    wanted_variables,
)

TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
OPEN = "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
HERMES = (
    "{%- if tools %}# Tools\n{% for tool in tools %}{{ tool | tojson }}{% endfor %}"
    '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>{%- endif %}'
)
STRIP = "{%- set content = content.split('</think>')[-1] %}"

QWEN2 = HERMES + TURNS + OPEN + "{%- endif %}"
QWEN3 = (
    HERMES
    + TURNS
    + STRIP
    + OPEN
    + "{%- if enable_thinking is defined and enable_thinking is false %}"
    "{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}"
)
QWEN3_THINKING = (
    HERMES + TURNS + STRIP + "{%- if add_generation_prompt %}"
    "{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}"
)
QWEN35_SMALL = (
    HERMES
    + TURNS
    + STRIP
    + OPEN
    + "{%- if enable_thinking is defined and enable_thinking is true %}"
    "{{- '<think>\\n' }}{%- else %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}"
)
CODER = (
    "{%- if tools %}{% for tool in tools %}{{ tool.name }}{% endfor %}<tool_call>\n"
    "<function=example_function_name>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>"
    "{%- endif %}" + TURNS + OPEN + "{%- endif %}"
)
DEEPSEEK = (
    "{% if not thinking is defined %}{% set thinking = false %}{% endif %}"
    + TURNS
    + "{%- if add_generation_prompt %}<Assistant>{%- if not thinking %}</think>"
    "{%- else %}<think>{%- endif %}{%- endif %}"
)
GRANITE = (
    "{%- if thinking %}Think first.{%- endif %}{%- if tools %}{{ tools | tojson }}{%- endif %}"
    + TURNS
)
SMOLLM3 = (
    "{%- if enable_thinking is not defined -%}{%- set enable_thinking = true -%}{%- endif -%}"
    "{%- if enable_thinking -%}/think{%- else -%}/no_think{%- endif -%}"
    + TURNS
    + "{% generation %}x{% endgeneration %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{%- if not enable_thinking -%}<think>\n\n</think>\n{%- endif -%}{%- endif -%}"
)
LLAMA = (
    '{%- if tools is not none %}{{- \'Respond in the format {"name": function name, '
    '"parameters": dictionary of argument name and its value}.\' }}{%- for t in tools %}'
    "{{- t | tojson(indent=4) }}{%- endfor %}{%- endif %}" + TURNS
)
MISTRAL = "{%- if tools %}[AVAILABLE_TOOLS] {{ tools | tojson }}[TOOL_CALLS]{%- endif %}" + TURNS


@pytest.mark.parametrize(
    ("source", "tools", "form"),
    [
        (QWEN2, True, "hermes"),
        (QWEN3, True, "hermes"),
        (CODER, True, "qwen-xml"),
        (LLAMA, True, "llama-json"),
        (MISTRAL, True, "mistral"),
        (GRANITE, True, "plain"),
        (TURNS, False, "hermes"),
        (DEEPSEEK, False, "hermes"),
    ],
)
def test_how_calls_are_written(source: str, tools: bool, form: str) -> None:
    facts = template_facts(source)
    assert (facts.tools, facts.tool_format) == (tools, form)


@pytest.mark.parametrize(
    ("source", "thinking", "by_default", "opens", "switchable"),
    [
        (TURNS, False, False, False, False),
        (QWEN2, False, False, False, False),
        (QWEN3, True, True, False, True),
        (QWEN3_THINKING, True, True, True, False),
        (QWEN35_SMALL, True, False, True, True),
        (DEEPSEEK, True, False, True, True),
        (GRANITE, True, False, False, True),
        (SMOLLM3, True, True, False, True),
    ],
)
def test_whether_it_thinks(
    source: str, thinking: bool, by_default: bool, opens: bool, switchable: bool
) -> None:
    facts = template_facts(source)
    assert (facts.thinking, facts.thinks_by_default) == (thinking, by_default)
    assert (facts.opens_thinking, facts.switchable) == (opens, switchable)


def test_a_variable_of_the_template_itself_is_no_wish() -> None:
    assert not template_facts("{% set tools = [] %}{{ tools }}").tools
    assert wanted_variables("{% set tools = [] %}{{ tools }}{{ messages }}") == {"messages"}


@pytest.mark.parametrize("source", ["", "  \n", "{% for %}", "{{" * 5000, "{% if a %}" * 5000])
def test_nonsense_has_no_facts_and_raises_nothing(source: str) -> None:
    facts = template_facts(source)
    assert facts == NO_TEMPLATE


def test_what_cannot_be_parsed_is_told_by_its_words() -> None:
    assert template_facts("{% unknown_tag %}{{ tools }}<tool_call>").tools


@pytest.mark.parametrize(
    ("prompt", "inside"),
    [
        ("<|im_start|>assistant\n<think>\n", True),
        ("<Assistant><think>", True),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
        ("<|im_start|>assistant\n", False),
        ("what does <think> mean?\n<|im_start|>assistant\n", False),
    ],
)
def test_what_a_prompt_opens(prompt: str, inside: bool) -> None:
    assert opens_thinking(prompt) is inside
