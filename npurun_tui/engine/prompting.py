"""From a conversation with its tools to the prompt: the model's template says what it can, the rest is said in words.

Everybody's texts are defused here, once: messages, thoughts, names, arguments, results, descriptions of tools. Marks
that are put around them afterwards (`tool_prompt`) are ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from npurun_tui.engine.dialog import Dialog
from npurun_tui.engine.messages import ChatMessage, PromptExtras
from npurun_tui.engine.plain import plain
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.template_facts import SWITCHES
from npurun_tui.engine.templates import (
    WORD_JOINER,
    JinjaTemplate,
    ManifestTemplate,
    PlainTemplate,
    Template,
    defuser,
)
from npurun_tui.engine.tool_prompt import FORM, Message, merged, spoken
from npurun_tui.errors import TemplateInvalid

NO_EXTRAS: Final = PromptExtras()

_RESULT_MARKS: Final = re.compile(r"<(?=/?tool_response)")
"""A result that spells these could say where it ends, and speak as the user from there on."""


class Prompter:
    """Renders conversations for one model."""

    def __init__(
        self, template: Template, defuse: Callable[[str], str], *, short_ids: bool = False
    ) -> None:
        """`short_ids`: the template refuses ids of calls that have not nine letters and digits (Mistral's)."""
        self._template = template
        self._defuse = defuse
        self._short_ids = short_ids

    def render(self, messages: Sequence[ChatMessage], extras: PromptExtras = NO_EXTRAS) -> str:
        """The prompt text, with the assistant's turn opened.

        A template that refuses a role, or leaves the tools out, is given the same in other words.

        Raises:
            TemplateInvalid: it refuses all of them; the words are those of its first complaint.
            EngineError: a tool, an argument or a variable is no JSON.
        """
        talk = self._shaped(messages)
        tools: list[dict[str, Any]] = plain(extras.tools, self._defuse)
        variables = self._variables(extras)
        complaint: TemplateInvalid | None = None
        found: str | None = None
        for said, described in self._ways(talk, tools):
            try:
                text = self._template.fill(
                    said, variables | ({"tools": tools} if described else {})
                )
            except TemplateInvalid as error:
                complaint = complaint or error
                continue
            marks = [_name(tool) for tool in tools] if described else [FORM] if tools else []
            if all(mark in text for mark in marks):
                return text
            found = text if found is None else found
        if found is None:
            raise complaint or TemplateInvalid("There is nothing to render.")
        return found

    def _ways(
        self, talk: list[Message], tools: list[dict[str, Any]]
    ) -> Iterator[tuple[list[Message], bool]]:
        """`(messages, whether the template is given the tools)`, the best first, each of them once."""
        uses_tools = bool(tools) or any(_is_of_tools(message) for message in talk)
        if self._template.takes_tools or not uses_tools:
            yield talk, bool(tools)
        said = spoken(talk, tools, self._template.default_system) if uses_tools else talk
        if uses_tools:
            yield said, False
        together = merged(said)
        if together != said:
            yield together, False

    def _shaped(self, messages: Sequence[ChatMessage]) -> list[Message]:
        names = {call.id: call.name for message in messages for call in message.tool_calls}
        return [self._message(message, names) for message in messages]

    def _message(self, message: ChatMessage, names: Mapping[str, str]) -> Message:
        """`message` in OpenAI's shape; a result's name is looked up among the calls where it has none."""
        defuse = self._defuse
        shaped: dict[str, Any] = {"role": message.role, "content": defuse(message.content)}
        if message.thinking:
            shaped["reasoning_content"] = defuse(message.thinking)
        if message.tool_calls:
            shaped["tool_calls"] = [
                {
                    "id": self._id(call.id),
                    "type": "function",
                    "function": {
                        "name": defuse(call.name),
                        "arguments": plain(call.arguments, defuse),
                    },
                }
                for call in message.tool_calls
            ]
        if message.role == "tool":
            shaped["content"] = _RESULT_MARKS.sub(f"<{WORD_JOINER}", shaped["content"])
            name = message.tool_name or names.get(message.tool_call_id, "")
            shaped |= {"name": defuse(name)} if name else {}
            shaped |= {"tool_call_id": self._id(message.tool_call_id)}
        return shaped

    def _id(self, given: str) -> str:
        if not self._short_ids:
            return self._defuse(given)
        return hashlib.blake2b(given.encode(), digest_size=8).hexdigest()[:9]

    def _variables(self, extras: PromptExtras) -> dict[str, Any]:
        variables: dict[str, Any] = plain(extras.variables, self._defuse)
        if extras.think is not None:
            variables |= dict.fromkeys(SWITCHES, extras.think)
        return variables


def prompter_for(dialog: Dialog, spec: ModelSpec) -> Prompter:
    """With the model's own Jinja template, else its manifest's simple one, else plain text.

    Raises:
        TemplateInvalid: the model's own is not valid.
    """
    defuse = defuser(dialog.special_tokens)
    source: str = getattr(dialog, "chat_template", "")
    if source:
        bos, eos = getattr(dialog, "bos_text", ""), getattr(dialog, "eos_text", "")
        template = JinjaTemplate(source, bos=bos, eos=eos, defuse=defuse)
        return Prompter(template, defuse, short_ids=re.search(r"!=\s*9\b", source) is not None)
    if spec.template is not None:
        return Prompter(ManifestTemplate(spec.template, defuse), defuse)
    return Prompter(PlainTemplate(), defuse)


def _is_of_tools(message: Message) -> bool:
    return message["role"] == "tool" or "tool_calls" in message


def _name(tool: Mapping[str, Any]) -> str:
    function = tool.get("function", tool)
    return str(function.get("name", "")) if isinstance(function, dict) else ""
