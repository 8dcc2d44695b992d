"""An answer's events as JSON lines. What is the same in all lines of a stream is made once."""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from typing import Any, Final, Protocol

from npurun_tui.engine.messages import ToolCall
from npurun_tui.server.asking import Call, Done, Text, Thought
from npurun_tui.server.jsontext import encoded
from npurun_tui.server.ollama.answers import (
    OllamaAnswerMessage,
    OllamaCalled,
    OllamaCalledFunction,
    OllamaChatAnswer,
    OllamaGenerated,
)
from npurun_tui.server.ollama.clock import Clock, nanoseconds
from npurun_tui.server.openai.answers import timings_of

_LETTERS: Final = string.ascii_lowercase + string.digits

Piece = Text | Thought | Call


class Words(Protocol):
    """How one answer is told by `/api/chat` or by `/api/generate`."""

    def piece(self, piece: Piece) -> bytes:
        """The line of a piece."""

    def whole(
        self, done: Done, text: str = "", thinking: str = "", calls: Sequence[ToolCall] = ()
    ) -> bytes:
        """The last object: of a stream, where everything was said already, or of a blocking answer."""

    def empty(self, reason: str) -> bytes:
        """The object that says `load` or `unload`."""


class _Opening:
    """The beginning of a line, up to the time in it."""

    def __init__(self, model: str) -> None:
        """`model` is echoed as it was asked for."""
        self.model = model
        self._head = b'{"model":' + encoded(model) + b',"created_at":"'
        self._clock = Clock()

    def __call__(self) -> bytes:
        return self._head + self._clock.now()

    @property
    def now(self) -> str:
        return self._clock.now().decode("ascii")


class ChatWords:
    """`/api/chat`."""

    def __init__(self, model: str, notes: tuple[str, ...] = ()) -> None:
        """`notes` are warnings that the dialect has already."""
        self._opening = _Opening(model)
        self._notes = notes

    def piece(self, piece: Piece) -> bytes:
        """The line of a piece."""
        if isinstance(piece, Text):
            return (
                self._opening()
                + b'","message":{"role":"assistant","content":'
                + encoded(piece.text)
                + b'},"done":false}\n'
            )
        if isinstance(piece, Thought):
            said = b'"thinking":' + encoded(piece.text)
        else:
            said = b'"tool_calls":' + encoded([_called(piece.index, piece.call)])
        return (
            self._opening()
            + b'","message":{"role":"assistant","content":"",'
            + said
            + b'},"done":false}\n'
        )

    def whole(
        self, done: Done, text: str = "", thinking: str = "", calls: Sequence[ToolCall] = ()
    ) -> bytes:
        """The last object."""
        called = [_called(index, call) for index, call in enumerate(calls)]
        message = OllamaAnswerMessage("assistant", text, thinking, called)
        return self._object(message, _reason(done), _figures(done, self._notes))

    def empty(self, reason: str) -> bytes:
        """The object that says `load` or `unload`."""
        return self._object(OllamaAnswerMessage("assistant", ""), reason, {})

    def _object(self, message: OllamaAnswerMessage, reason: str, figures: dict[str, Any]) -> bytes:
        answer = OllamaChatAnswer(
            model=self._opening.model,
            created_at=self._opening.now,
            message=message,
            done=True,
            done_reason=reason,
            **figures,
        )
        return encoded(answer)


class GenerateWords:
    """`/api/generate`."""

    def __init__(self, model: str) -> None:
        self._opening = _Opening(model)

    def piece(self, piece: Piece) -> bytes:
        """The line of a piece. Tools cannot be offered on this route, so there are no calls."""
        if isinstance(piece, Text):
            return self._opening() + b'","response":' + encoded(piece.text) + b',"done":false}\n'
        if isinstance(piece, Thought):
            said = encoded(piece.text)
            return self._opening() + b'","response":"","thinking":' + said + b',"done":false}\n'
        return b""

    def whole(
        self, done: Done, text: str = "", thinking: str = "", calls: Sequence[ToolCall] = ()
    ) -> bytes:
        """The last object."""
        del calls
        return self._object(text, thinking, _reason(done), _figures(done))

    def empty(self, reason: str) -> bytes:
        """The object that says `load` or `unload`."""
        return self._object("", "", reason, {})

    def _object(self, text: str, thinking: str, reason: str, figures: dict[str, Any]) -> bytes:
        answer = OllamaGenerated(
            model=self._opening.model,
            created_at=self._opening.now,
            response=text,
            thinking=thinking,
            done=True,
            done_reason=reason,
            **figures,
        )
        return encoded(answer)


def _called(index: int, call: ToolCall) -> OllamaCalled:
    name = call.id or "call_" + "".join(secrets.choice(_LETTERS) for _ in range(8))
    return OllamaCalled(name, OllamaCalledFunction(index, call.name, dict(call.arguments)))


def _reason(done: Done) -> str:
    """An answer that ends with calls has stopped by itself: Ollama knows no word of its own for it."""
    return "length" if done.reason == "length" else "stop"


def _figures(done: Done, notes: tuple[str, ...] = ()) -> dict[str, Any]:
    """Such that count / duration is the rate that the engine measured. `notes` are the dialect's own warnings."""
    stats = done.stats
    reading = (
        1000 * stats.prefilled_tokens / stats.prefill_tps
        if stats.prefill_tps > 0
        else stats.ttft_ms
    )
    writing = 1000 * stats.completion_tokens / stats.decode_tps if stats.decode_tps > 0 else 0.0
    return {
        "total_duration": nanoseconds(done.total_ms or stats.total_ms),
        "load_duration": nanoseconds(done.load_ms),
        "prompt_eval_count": stats.prompt_tokens,
        "prompt_eval_duration": nanoseconds(reading),
        "eval_count": stats.completion_tokens,
        "eval_duration": nanoseconds(writing),
        "cached_tokens": stats.cached_tokens,
        "warnings": [*notes, *done.warnings],
        "timings": timings_of(stats),
    }
