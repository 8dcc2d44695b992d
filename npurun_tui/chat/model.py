"""A chat as plain data, and as the JSON texts that the database keeps."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from npurun_tui.engine.dialog import Sampler
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.transcript import FinishReason, TurnOptions, TurnStats
from npurun_tui.text import one_line

INTERRUPTED: Final = "interrupted"
"""Outcome of an answer while it is being written; it stays where the program dies meanwhile."""
STOPPED: Final = "stopped"
CUT: Final = "cut at the token limit"
NO_TEXT: Final = "the model gave no text"

NEW_TITLE: Final = "New chat"

_MOST: Final = 2**63
"""A number beyond this was not stored by us; the engine's native side could not take it."""


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What a chat asks of its model. `seed` None is random; `max_tokens` None is up to the context window."""

    system: str = ""
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()

    def options(self) -> TurnOptions:
        """The same as an engine's turn takes it."""
        sampler = Sampler(self.temperature, self.top_k, self.top_p, self.seed)
        return TurnOptions(sampler, self.max_tokens, self.stop)

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ChatSettings:
        """Settings as stored; what this version does not know, or cannot read, falls back to the default."""
        values = {name: value for name, (value, fits) in _known(cls, text).items() if fits}
        return cls(**{**values, "stop": tuple(values.get("stop", ()))})


@dataclass(slots=True, eq=False)
class Message:
    """One message. `id` is the database's, None before it is stored."""

    role: str
    content: str
    stats: TurnStats | None = None
    outcome: str = ""
    """How an answer ended, in words; empty where it is complete."""
    id: int | None = None
    stored: tuple[str, str, str] | None = None
    """Content, figures and outcome as the database has them."""


@dataclass(slots=True, eq=False)
class Chat:
    """A conversation with its model and settings. Times are Unix seconds."""

    model: str
    settings: ChatSettings = field(default_factory=ChatSettings)
    title: str = NEW_TITLE
    messages: list[Message] = field(default_factory=list)
    id: int | None = None
    created: float = 0.0
    updated: float = 0.0
    removed: list[int] = field(default_factory=list)
    """Ids of messages that are gone here and not yet in the database."""

    def conversation(self) -> list[ChatMessage]:
        """What the model is sent: turns alternate, because many templates refuse anything else.

        Empty answers are left out, and user messages that were never answered are joined.
        """
        turns: list[ChatMessage] = []
        if self.settings.system.strip():
            turns.append(ChatMessage("system", self.settings.system))
        for message in self.messages:
            if not message.content.strip():
                continue
            if message.role != "user":
                turns.append(ChatMessage("assistant", message.content))
            elif turns and turns[-1].role == "user":
                turns[-1] = ChatMessage("user", f"{turns[-1].content}\n\n{message.content}")
            else:
                turns.append(ChatMessage("user", message.content))
        return turns

    def title_from(self, text: str) -> None:
        """Name the chat after its first message, unless it has a name."""
        if self.title == NEW_TITLE:
            self.title = one_line(text, 48) or NEW_TITLE


@dataclass(frozen=True, slots=True)
class ChatSummary:
    """A chat as a list shows it. `updated` is in Unix seconds."""

    id: int
    title: str
    model: str
    updated: float
    message_count: int


def outcome_of(reason: FinishReason, stats: TurnStats, text: str) -> str:
    """How an answer that ended by itself or by the user's wish is described; empty for the ordinary end."""
    if reason is FinishReason.ABORTED:
        return STOPPED
    if reason is FinishReason.LENGTH:
        return stats.note or CUT
    return "" if text.strip() else NO_TEXT


def stats_to_json(stats: TurnStats | None) -> str:
    """Empty where there are none."""
    return json.dumps(asdict(stats)) if stats else ""


def stats_from_json(text: str) -> TurnStats | None:
    """The figures as stored; None where they are missing or not readable."""
    known = _known(TurnStats, text)
    if not known or not all(fits for _, fits in known.values()):
        return None
    try:
        return TurnStats(**{name: value for name, (value, _) in known.items()})
    except TypeError:  # some are missing
        return None


def _known(kind: type[Any], text: str) -> dict[str, tuple[Any, bool]]:
    """The fields of `kind` that the JSON object `text` has: each value, and whether it is of the field's type."""
    try:
        document = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {
        f.name: (document[f.name], _fits(document[f.name], str(f.type)))
        for f in fields(kind)
        if f.name in document
    }


def _fits(value: object, kind: str) -> bool:
    """Whether `value`, from JSON, is of the type that the annotation `kind` says."""
    if kind == "str":
        return isinstance(value, str)
    if kind.startswith("tuple"):
        return isinstance(value, list) and all(isinstance(text, str) for text in value)
    if value is None:
        return kind.endswith("None")
    numbers = float | int if kind.startswith("float") else int
    if isinstance(value, bool) or not isinstance(value, numbers):
        return False
    return -_MOST < value < _MOST  # NaN is not, either
