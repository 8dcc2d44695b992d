"""Chat templates: a conversation becomes the prompt text that a model was trained on.

A template comes with the model file and is a program (Jinja): it is rendered in Jinja's sandbox with sizes bounded,
and in the engine process, where an endless loop ends in the watchdog instead of a frozen screen. Text of the
conversation that spells one of the model's control tokens is defused first, so that nobody's words can open a turn
of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from npurun_tui.engine.jinja import MAX_PROMPT, environment
from npurun_tui.engine.limits import MAX_MEMORY, memory_limit
from npurun_tui.engine.spec import SimpleTemplate
from npurun_tui.engine.template_facts import wanted_variables
from npurun_tui.engine.tool_prompt import Message
from npurun_tui.errors import TemplateInvalid
from npurun_tui.text import one_line

WORD_JOINER: Final = "\u2060"

NO_VARIABLES: Final[Mapping[str, Any]] = {}


class Template(Protocol):
    """Writes the messages of a conversation as one text, with the assistant's turn opened at its end."""

    @property
    def takes_tools(self) -> bool:
        """It writes tools, calls and results in the model's own way."""

    @property
    def default_system(self) -> str:
        """The system prompt of a conversation that has none, as far as it is a piece of its own."""

    def fill(self, messages: Sequence[Message], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        """The prompt text; the texts are defused already. Raises TemplateInvalid with the template's own complaint."""


def defuser(special: Sequence[str]) -> Callable[[str], str]:
    """A function that breaks every control token's text in a message by an invisible character."""
    longest_first = sorted((token for token in special if len(token) > 1), key=len, reverse=True)
    if not longest_first:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, longest_first)))

    def defuse(text: str) -> str:
        return pattern.sub(lambda match: match[0][0] + WORD_JOINER + match[0][1:], text)

    return defuse


class JinjaTemplate:
    """The template of `tokenizer_config.json` or of a GGUF file's metadata."""

    default_system = ""

    def __init__(self, source: str, *, bos: str, eos: str, defuse: Callable[[str], str]) -> None:
        """Raises TemplateInvalid where `source` is no template."""
        from jinja2 import TemplateError

        self._defuse = defuse
        jinja = environment()
        self._reserved = frozenset(jinja.globals)
        self._values = {"bos_token": bos, "eos_token": eos}
        try:
            with memory_limit(MAX_MEMORY):  # what is constant in it is computed now already
                self._template = jinja.from_string(source)
        except (TemplateError, RecursionError, MemoryError) as error:
            raise TemplateInvalid(
                f"The model's chat template is not valid: {one_line(str(error))}.",
                mend="Pull the model again, or choose another one.",
            ) from error
        self.takes_tools = "tools" in wanted_variables(source)

    def render(self, messages: Sequence[Message]) -> str:
        """`fill` for messages whose texts are not defused yet."""
        return self.fill(_defused(messages, self._defuse))

    def fill(self, messages: Sequence[Message], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        from jinja2 import TemplateError

        values = {name: each for name, each in variables.items() if name not in self._reserved}
        # What `transformers` always hands over, so that templates rely on it.
        values = {"tools": None, "documents": None, **values, **self._values}
        values |= {"messages": list(messages), "add_generation_prompt": True}
        try:
            with memory_limit(MAX_MEMORY):
                text = self._template.render(values)
        except (MemoryError, RecursionError) as error:
            raise TemplateInvalid(
                "The model's chat template grows without end.", mend="Choose another model."
            ) from error
        except (
            TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            # What a template does wrong surfaces as Jinja's errors or as Python's own.
            raise TemplateInvalid(
                f"The model's chat template refuses this conversation: {one_line(str(error))}.",
                mend="Change or remove the system prompt, or choose another model.",
            ) from error
        return _bounded(text)


class ManifestTemplate:
    """The simple template of `npurun.json`, filled in one pass so that a message's own `{user}` stays text."""

    takes_tools = False

    def __init__(self, template: SimpleTemplate, defuse: Callable[[str], str]) -> None:
        self._template = template
        self._defuse = defuse
        self.default_system = template.system_prompt

    def render(self, messages: Sequence[Message]) -> str:
        """`fill` for messages whose texts are not defused yet."""
        return self.fill(_defused(messages, self._defuse))

    def fill(self, messages: Sequence[Message], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        del variables
        template = self._template
        system = next(
            (m["content"] for m in messages if m["role"] == "system"), template.system_prompt
        )
        if not (template.assistant_turn and template.next_user_turn):
            # Such a template knows one turn only; the seed sends the last user message alone.
            last = [m for m in messages if m["role"] == "user"][-1:]
            return _bounded("".join(self._fill(template.template, system, m) for m in last))
        parts: list[str] = []
        for message in messages:
            if message["role"] == "user":
                shape = template.next_user_turn if parts else template.template
                parts.append(self._fill(shape, system, message))
            elif message["role"] == "assistant" and parts:
                parts.append(self._fill(template.assistant_turn, system, message))
        return _bounded("".join(parts))

    def _fill(self, shape: str, system: str, message: Message) -> str:
        values = {
            "{system}": system,
            f"{{{message['role']}}}": message["content"],
        }
        return re.sub(r"\{(?:system|user|assistant)\}", lambda m: values.get(m[0], m[0]), shape)


class PlainTemplate:
    """For a base model without any template: the last message as it stands."""

    takes_tools = False
    default_system = ""

    def render(self, messages: Sequence[Message]) -> str:
        """`fill`: there is no turn that a text could open."""
        return self.fill(messages)

    def fill(self, messages: Sequence[Message], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        del variables
        return _bounded(messages[-1]["content"])


def _defused(messages: Sequence[Message], defuse: Callable[[str], str]) -> list[Message]:
    return [{**message, "content": defuse(message["content"])} for message in messages]


def _bounded(text: str) -> str:
    if len(text) > MAX_PROMPT:
        raise TemplateInvalid(
            "The model's chat template makes a prompt without end.", mend="Choose another model."
        )
    return text
