"""What a client asks for and what comes back, in no dialect: the border between the routes and the inference.

A dialect makes an `Ask` of a request's body, iterates the events of `Inference.answer`, and writes each in its own
words. Closing the iterator, or cancelling the task that iterates, leaves the waiting line or aborts the generation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from npurun_tui.engine.messages import ChatMessage, ToolCall
from npurun_tui.engine.tally import Tally
from npurun_tui.engine.transcript import TurnStats


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampler wishes; None leaves a setting to the model's or the server's default. Checked by the dialect for kind,
    by the inference for range."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    repeat_penalty: float | None = None
    repeat_last_n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether tools may, must or must not be called; `name` where it has to be this one."""

    mode: Literal["auto", "none", "required"] = "auto"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for an answer. Either `messages` or `prompt` is set."""

    model: str
    """As the client wrote it; a missing tag and `:latest` are the same. Empty: the loaded or the only model."""
    messages: tuple[ChatMessage, ...] = ()
    prompt: str | None = None
    """A raw prompt: no chat template is applied to it."""
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    """None or a number below 1: up to the context window."""
    stop: tuple[str, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    """In OpenAI's shape, each with `type` "function"."""
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    parallel_tool_calls: bool = True
    schema: Mapping[str, Any] | None = None
    """The answer must be JSON that fits this JSON Schema; `{"type": "object"}` is JSON mode; None is free text."""
    think: bool | None = None
    """None: as the model does by itself."""
    keep_alive: float | None = None
    """Seconds that the model stays loaded after this; negative is for ever, 0 unloads it, None is the server's rule."""
    truncate: bool = False
    """Drop the oldest messages (never system messages or the last) where the conversation does not fit the window."""
    cache: bool = True
    """False: the whole prompt is read, whatever of it a cache holds. Who measures asks so."""
    client: str = ""
    """Who asks, in a word or two for people: it is shown as the permit's holder."""
    tally: Tally = field(default_factory=Tally, compare=False, repr=False)
    """What the answer costs is counted in it, however it ends. Copies of one ask share it."""


@dataclass(frozen=True, slots=True)
class Queued:
    """Waiting for the permit; `ahead` others come first, the one at work included."""

    ahead: int


@dataclass(frozen=True, slots=True)
class Loading:
    """The permit is held and the model is being loaded."""

    model: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Prefill: tokens done, of how many."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Warned:
    """What the client should know and is known before the answer's first piece: for a header. `Done` has it too."""

    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Some of the answer's text, never empty. Stop strings, thinking marks and tool calls are not in it."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """Some of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A whole tool call, with an id of its own; `index` counts from 0."""

    index: int
    call: ToolCall


@dataclass(frozen=True, slots=True)
class Done:
    """The last event."""

    reason: Literal["stop", "length", "tool_calls"]
    stats: TurnStats
    stop_sequence: str = ""
    """Which of `Ask.stop` ended it, where that is known."""
    load_ms: float = 0.0
    """Spent on loading the model for this request."""
    queue_ms: float = 0.0
    total_ms: float = 0.0
    """From the request's arrival at the inference to the end."""
    warnings: tuple[str, ...] = ()
    """What the client should know, in words: dropped tools, dropped messages. Also in a response header."""


Event = Queued | Loading | Reading | Warned | Text | Thought | Call | Done


class Answerer(Protocol):
    """What the dialects need of the inference. All of it is called on the server's own loop."""

    def answer(self, ask: Ask, request_id: str = "") -> AsyncIterator[Event]:
        """The events of one answer; the last is `Done`. Nothing is asked of the engine before the first `anext`.

        Raises (while iterating): the errors of `npurun_tui.server.faults` and of `npurun_tui.errors`.
        """

    async def load(self, model: str, keep_alive: float | None) -> float:
        """Have a model loaded; returns the milliseconds that it took (0 where it was)."""

    async def unload(self, model: str) -> None:
        """End the model's stay as soon as the permit is free; nothing where it is not loaded."""

    async def embed(
        self, model: str, texts: tuple[str, ...], *, truncate: bool, keep_alive: float | None
    ) -> Embeddings:
        """One vector for each text.

        Raises:
            Unsupported: the model makes no embeddings.
        """


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors, each of unit length, in the order of the texts."""

    vectors: tuple[tuple[float, ...], ...]
    prompt_tokens: int
    load_ms: float = 0.0
    total_ms: float = 0.0
