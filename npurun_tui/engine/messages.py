"""What a conversation is made of, and what may be asked of an answer besides sampling: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that a model asks for."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation."""

    role: Role
    content: str
    thinking: str = ""
    """What an assistant thought before `content`; templates mostly drop it from earlier turns."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls that an assistant asked for."""
    tool_name: str = ""
    """Whose result a `tool` message is; may be empty where `tool_call_id` says it."""
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class Constraint:
    """What an answer's text must be, enforced while it is sampled; exactly one of the two is set."""

    json_schema: Mapping[str, Any] | None = None
    """The answer is JSON that fits this schema; `{}` is any JSON value."""
    grammar: str = ""
    """The answer fits this GBNF grammar, whose start is `root`."""


@dataclass(frozen=True, slots=True)
class PromptExtras:
    """What a chat template may be given besides the messages."""

    tools: tuple[Mapping[str, Any], ...] = ()
    """Function tools in OpenAI's shape: `{"type": "function", "function": {"name", "description", "parameters"}}`."""
    think: bool | None = None
    """Whether the model is to think first, where its template can say so; None leaves it to the template."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """Further template variables (`reasoning_effort`)."""
