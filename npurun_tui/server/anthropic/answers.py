"""What `/v1/messages` answers, whole or as events."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from npurun_tui.engine.transcript import TurnStats
from npurun_tui.errors import NpurunError
from npurun_tui.server.asking import Done, Text, Thought
from npurun_tui.server.collected import Collected
from npurun_tui.server.errors import error_document
from npurun_tui.server.jsontext import encoded
from npurun_tui.server.sse import Piece

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]

_HOLE: Final = "\x00hole"


class MessageUsage(msgspec.Struct):
    """Tokens as the engine counted them; `input_tokens` are those that no cache held."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int = 0


class AnswerBlock(msgspec.Struct, omit_defaults=True):
    """A block of an answer, of one of the three types."""

    type: Literal["text", "thinking", "tool_use"]
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None


class MessageAnswer(msgspec.Struct, kw_only=True):
    """A whole answer."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[AnswerBlock]
    stop_reason: StopReason
    stop_sequence: str | None
    usage: MessageUsage


def usage_of(stats: TurnStats) -> MessageUsage:
    """The usage of an answer."""
    return MessageUsage(
        stats.prompt_tokens - stats.cached_tokens, stats.completion_tokens, stats.cached_tokens
    )


def stop_of(done: Done) -> tuple[StopReason, str | None]:
    """`stop_reason` and `stop_sequence`."""
    if done.reason == "length":
        return "max_tokens", None
    if done.reason == "tool_calls":
        return "tool_use", None
    return ("stop_sequence", done.stop_sequence) if done.stop_sequence else ("end_turn", None)


def whole_message(id_: str, model: str, answer: Collected) -> MessageAnswer:
    """A whole answer."""
    blocks = []
    if answer.thinking:
        # Nobody can check a signature here, and the SDKs want one.
        blocks.append(AnswerBlock("thinking", thinking=answer.thinking, signature=""))
    if answer.text:
        blocks.append(AnswerBlock("text", text=answer.text))
    blocks += [
        AnswerBlock("tool_use", id=call.id, name=call.name, input=dict(call.arguments))
        for call in answer.calls
    ]
    reason, sequence = stop_of(answer.done)
    return MessageAnswer(
        id=id_,
        model=model,
        content=blocks,
        stop_reason=reason,
        stop_sequence=sequence,
        usage=usage_of(answer.done.stats),
    )


def event(kind: str, **fields: Any) -> bytes:
    """One event; its name stands in the data too."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), encoded({"type": kind, **fields}))


class MessageNarrator:
    """An answer in events: blocks are opened, filled and closed one after the other."""

    heartbeat = event("ping")

    def __init__(self, id_: str, model: str) -> None:
        self._id = id_
        self._model = model
        self._index = -1
        self._open = ""
        """The type of the block that is open."""
        self._frame: tuple[bytes, bytes] = (b"", b"")

    def opening(self) -> bytes:
        """The message without its content. What is counted comes with the end."""
        message: dict[str, Any] = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": MessageUsage(0, 0, 0),
        }
        return event("message_start", message=message) + self.heartbeat

    def piece(self, event: Piece) -> bytes:
        """Some of a block; opens it where the last was of another kind."""
        if isinstance(event, Text):
            begin = b"" if self._open == "text" else self._begin_text()
            return begin + self._frame[0] + encoded(event.text) + self._frame[1]
        if isinstance(event, Thought):
            begin = b"" if self._open == "thinking" else self._begin_thought()
            return begin + self._frame[0] + encoded(event.text) + self._frame[1]
        call = event.call
        body = self._begin({"type": "tool_use", "id": call.id, "name": call.name, "input": {}})
        arguments = encoded(dict(call.arguments)).decode()
        return (
            body
            + self._delta({"type": "input_json_delta", "partial_json": arguments})
            + self._close()
        )

    def _begin_text(self) -> bytes:
        body = self._begin({"type": "text", "text": ""})
        self._fill({"type": "text_delta", "text": _HOLE})
        return body

    def _begin_thought(self) -> bytes:
        body = self._begin({"type": "thinking", "thinking": "", "signature": ""})
        self._fill({"type": "thinking_delta", "thinking": _HOLE})
        return body

    def _begin(self, block: dict[str, Any]) -> bytes:
        closed = self._close()
        self._index += 1
        self._open = block["type"]
        return closed + event("content_block_start", index=self._index, content_block=block)

    def _fill(self, delta: dict[str, Any]) -> None:
        before, behind = self._delta(delta).split(encoded(_HOLE))
        self._frame = (before, behind)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return event("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return event("content_block_stop", index=self._index)

    def end(self, done: Done) -> bytes:
        """Why it ended, and the usage."""
        reason, sequence = stop_of(done)
        return (
            self._close()
            + event(
                "message_delta",
                delta={"stop_reason": reason, "stop_sequence": sequence},
                usage=usage_of(done.stats),
            )
            + event("message_stop")
        )

    def fault(self, error: NpurunError) -> bytes:
        """An error that the SDKs raise."""
        return b"event: error\ndata: " + encoded(error_document(error, "anthropic")) + b"\n\n"
