"""What a chat template can do, told from its text alone: nothing is loaded and nothing is rendered.

A template is a program from a model file, so it is only read here: parsed for the variables that it asks for, and
searched for the marks that models are known by. Where parsing fails the marks alone decide. What one rendered prompt
really opens is `opens_thinking(prompt)`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from npurun_tui.engine.limits import MAX_MEMORY, memory_limit

ToolFormat = Literal["hermes", "qwen-xml", "llama-json", "mistral", "plain"]
"""How a model writes its calls:

- `hermes`: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`
- `qwen-xml`: `<tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>`
- `llama-json`: `{"name": ..., "parameters": {...}}`, perhaps after `<|python_tag|>`
- `mistral`: `[TOOL_CALLS]` and a JSON list, or a name and its arguments
- `plain`: JSON in some other frame, or in none
"""

MAX_SOURCE: Final = 1 << 20
"""Characters of a template that are looked at; the longest known ones have some 20,000."""

OPEN_MARK: Final = "<think>"
CLOSE_MARK: Final = "</think>"

SWITCHES: Final = ("enable_thinking", "thinking")
"""Variables that templates have for it: Qwen, SmolLM and GLM; Granite and DeepSeek."""

_NAME: Final = r"\b(?:enable_)?thinking"
_ON_UNLESS_TOLD: Final = re.compile(
    rf"set\s+{_NAME}\s*=\s*true\b|{_NAME}\s*\|\s*default\(\s*true", re.IGNORECASE
)
_OFF_UNLESS_TOLD: Final = re.compile(
    rf"set\s+{_NAME}\s*=\s*false\b|{_NAME}\s*\|\s*default\(\s*false"
    rf"|(?:\bif|\bis\s+defined\s+and)\s+{_NAME}(?:\s+is\s+true|\s*==\s*true)?\s*-?%\}}",
    re.IGNORECASE,
)
_OPENING: Final = re.compile(rf"{OPEN_MARK}(?!(?:\\n|\s)*{CLOSE_MARK})")
_EMPTY_BLOCK: Final = re.compile(rf"{OPEN_MARK}\s*\Z")
_PARAMETERS: Final = re.compile(r"""["']parameters\\?["']\s*:""")


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """What a chat template says of its model."""

    tools: bool
    """It writes `tools` itself. Where it does not, the engine describes them in the system prompt."""
    thinking: bool
    """The model can think before it answers."""
    tool_format: ToolFormat
    """How the model writes calls; `hermes` for a template without tools, because that is what the engine then asks
    for."""
    thinks_by_default: bool
    """It thinks where nobody says whether it is to."""
    opens_thinking: bool
    """When it is to think, the prompt itself ends with the opening mark: the answer begins inside the thought."""
    switchable: bool = False
    """The template has a variable for whether to think."""


NO_TEMPLATE: Final = TemplateFacts(
    tools=False,
    thinking=False,
    tool_format="hermes",
    thinks_by_default=False,
    opens_thinking=False,
)


@lru_cache(maxsize=32)
def template_facts(source: str) -> TemplateFacts:
    """The facts of the Jinja template `source`; an empty one has none. Never raises."""
    source = source[:MAX_SOURCE]
    if not source.strip():
        return NO_TEMPLATE
    wanted = wanted_variables(source)
    switchable = any(name in wanted for name in SWITCHES)
    thinking = switchable or CLOSE_MARK in source
    tools = "tools" in wanted
    tail = source.rpartition("add_generation_prompt")[2]
    return TemplateFacts(
        tools=tools,
        thinking=thinking,
        tool_format=_tool_format(source) if tools else "hermes",
        thinks_by_default=thinking and not (switchable and _is_off_unless_told(source)),
        opens_thinking=thinking and _OPENING.search(tail) is not None,
        switchable=switchable,
    )


def opens_thinking(prompt: str) -> bool:
    """Whether the rendered `prompt` leaves the model inside a thought."""
    return _EMPTY_BLOCK.search(prompt[-64:]) is not None


def wanted_variables(source: str) -> frozenset[str]:
    """Names that the template takes from outside; where it cannot be parsed, all the words in it."""
    from jinja2 import TemplateError, meta

    from npurun_tui.engine.jinja import environment

    try:
        with memory_limit(MAX_MEMORY):  # Jinja computes what is constant in it
            return frozenset(meta.find_undeclared_variables(environment().parse(source)))
    except (TemplateError, RecursionError, ValueError, MemoryError):
        return frozenset(re.findall(r"\w+", source))


def _is_off_unless_told(source: str) -> bool:
    return not _ON_UNLESS_TOLD.search(source) and _OFF_UNLESS_TOLD.search(source) is not None


def _tool_format(source: str) -> ToolFormat:
    if "<function=" in source:
        return "qwen-xml"
    if "<tool_call>" in source:
        return "hermes"
    if "[TOOL_CALLS]" in source:
        return "mistral"
    if "<|python_tag|>" in source or _PARAMETERS.search(source):
        return "llama-json"
    return "plain"
