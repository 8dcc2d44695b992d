"""Chat completions and completions as chunks.

What is the same in all chunks of a stream is encoded once: for a token only its own text is, which is what keeps its
cost below that of the socket.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from npurun_tui.errors import NpurunError
from npurun_tui.server.asking import Call, Done, Text, Thought
from npurun_tui.server.errors import error_document
from npurun_tui.server.jsontext import encoded
from npurun_tui.server.openai.answers import (
    FINGERPRINT,
    Finish,
    arguments_text,
    reasoning_tokens,
    timings_of,
    usage_of,
)
from npurun_tui.server.sse import Piece, comment

DONE: Final = b"data: [DONE]\n\n"
_HOLE: Final = "\x00hole"
"""Stands in a model chunk where the changing part goes; JSON writes it as no text of ours can be."""


class ChunkAnswer(msgspec.Struct):
    """One chunk, for `/openapi.json`."""

    id: str
    object: str
    created: int
    model: str
    choices: list[dict[str, Any]]
    system_fingerprint: str
    usage: dict[str, Any] | None = None


def event(value: Any) -> bytes:
    """`value` as one event."""
    return b"data: " + encoded(value) + b"\n\n"


class _Chunks:
    """The chunks of one stream: a frame around what changes."""

    def __init__(self, frame: dict[str, Any], *, usage: bool) -> None:
        self._frame = frame
        self._null = {"usage": None} if usage else {}
        """With `include_usage` every chunk has the key (OpenAI's reference)."""

    def chunk(self, choices: list[Any], **more: Any) -> bytes:
        """A chunk with these choices."""
        return event(self._frame | {"choices": choices} | self._null | more)

    def split(self, choice: dict[str, Any]) -> tuple[bytes, bytes]:
        """What stands before and behind the text that `choice` has a hole for."""
        before, behind = self.chunk([choice]).split(encoded(_HOLE))
        return before, behind


class ChatNarrator:
    """A chat's answer in chunks."""

    heartbeat = comment("ping")

    def __init__(self, id_: str, created: int, model: str, *, usage: bool) -> None:
        """`usage` asks for a chunk with the usage at the end."""
        self._usage = usage
        frame = {
            "id": id_,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "system_fingerprint": FINGERPRINT,
        }
        self._chunks = _Chunks(frame, usage=usage)
        self._text = self._chunks.split(_delta({"content": _HOLE}))
        self._thought: tuple[bytes, bytes, bytes] | None = None
        self._begun = self._answered = False

    def opening(self) -> bytes:
        """Nothing: the role comes with the first piece."""
        return b""

    def piece(self, event: Piece) -> bytes:
        """A delta, or the two of a call; the first has the role before it."""
        if isinstance(event, Text):
            self._answered = True
            body = self._text[0] + encoded(event.text) + self._text[1]
        elif isinstance(event, Thought):
            body = self._thoughts(event.text)
        else:
            self._answered = True
            body = self._call(event)
        if self._begun:
            return body
        return self._role() + body

    def _role(self) -> bytes:
        self._begun = True
        return self._chunks.chunk([_delta({"role": "assistant", "content": ""})])

    def _thoughts(self, text: str) -> bytes:
        """Under both names that clients read: llama-server's and Ollama's."""
        if self._thought is None:
            delta = _delta({"reasoning_content": _HOLE, "reasoning": _HOLE})
            first, second, third = self._chunks.chunk([delta]).split(encoded(_HOLE))
            self._thought = (first, second, third)
        first, second, third = self._thought
        thought = encoded(text)
        return first + thought + second + thought + third

    def _call(self, event: Call) -> bytes:
        """First who is called, then with what: clients join the arguments by the index."""
        call = event.call
        name = {
            "index": event.index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        arguments = {"index": event.index, "function": {"arguments": arguments_text(call)}}
        return self._chunks.chunk([_delta({"tool_calls": [name]})]) + self._chunks.chunk(
            [_delta({"tool_calls": [arguments]})]
        )

    def end(self, done: Done) -> bytes:
        """The finish in a chunk of its own, the usage where it was asked for, and the end."""
        stats = done.stats
        timings = timings_of(stats)
        body = b"" if self._begun else self._role()
        finish = {"index": 0, "delta": {}, "finish_reason": done.reason, "logprobs": None}
        if not self._usage:
            return body + self._chunks.chunk([finish], timings=timings) + DONE
        reasoning = reasoning_tokens(
            stats, thought=self._thought is not None, answered=self._answered
        )
        last = self._chunks.chunk([], usage=usage_of(stats, reasoning), timings=timings)
        return body + self._chunks.chunk([finish]) + last + DONE

    def fault(self, error: NpurunError) -> bytes:
        """An error that the SDKs raise, and the end."""
        return event(error_document(error, "openai")) + DONE


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}


class TextNarrator:
    """A completion in chunks."""

    heartbeat = comment("ping")

    def __init__(self, id_: str, created: int, model: str, *, usage: bool, echo: str = "") -> None:
        """`echo` is said first."""
        self._usage = usage
        self._echo = echo
        frame = {
            "id": id_,
            "object": "text_completion",
            "created": created,
            "model": model,
            "system_fingerprint": FINGERPRINT,
        }
        self._chunks = _Chunks(frame, usage=usage)
        self._text = self._chunks.split(_text_choice(_HOLE))

    def opening(self) -> bytes:
        """The prompt, where it is to be echoed."""
        return self._chunks.chunk([_text_choice(self._echo)]) if self._echo else b""

    def piece(self, event: Piece) -> bytes:
        """Some text; a raw prompt has no thoughts or calls."""
        if not isinstance(event, Text):
            return b""
        return self._text[0] + encoded(event.text) + self._text[1]

    def end(self, done: Done) -> bytes:
        """The finish in a chunk of its own, the usage where it was asked for, and the end."""
        timings = timings_of(done.stats)
        finish = _text_choice("") | {"finish_reason": text_finish(done)}
        if not self._usage:
            return self._chunks.chunk([finish], timings=timings) + DONE
        last = self._chunks.chunk([], usage=usage_of(done.stats, None), timings=timings)
        return self._chunks.chunk([finish]) + last + DONE

    def fault(self, error: NpurunError) -> bytes:
        """An error that the SDKs raise, and the end."""
        return event(error_document(error, "openai")) + DONE


def text_finish(done: Done) -> Finish:
    """Why a completion ended: it has no calls."""
    return "length" if done.reason == "length" else "stop"


def _text_choice(text: str) -> dict[str, Any]:
    return {"index": 0, "text": text, "finish_reason": None, "logprobs": None}
