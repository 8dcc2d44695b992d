"""A response in events. Each has a name, which stands in the data too, and a number in the order of all."""

from __future__ import annotations

from typing import Any, Final

from npurun_tui.errors import NpurunError
from npurun_tui.server.asking import Call, Done, Text
from npurun_tui.server.errors import error_document
from npurun_tui.server.jsontext import encoded
from npurun_tui.server.openai.answers import timings_of
from npurun_tui.server.openai.responses.answer import (
    Frame,
    Item,
    call_item,
    message_item,
    reasoning_item,
    status_of,
    text_part,
    usage_of,
)
from npurun_tui.server.sse import Piece, comment

_HOLE: Final = "\x00hole"


class ResponseNarrator:
    """An answer in events: items are added, filled and finished one after the other."""

    heartbeat = comment("ping")

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._number = 0
        self._output: list[Item] = []
        self._open = ""
        """The kind of the item that is open: `rs` or `msg`."""
        self._id = ""
        self._texts: list[str] = []
        self._before = self._behind = b""
        self._thought = self._answered = False

    def opening(self) -> bytes:
        """The response before there is anything in it."""
        empty = self._frame.response("in_progress", [])
        return self._event("response.created", response=empty) + self._event(
            "response.in_progress", response=empty
        )

    def piece(self, event: Piece) -> bytes:
        """Some of an item; adds it where the last was of another kind."""
        if isinstance(event, Call):
            self._answered = True
            return self._finish("completed") + self._call(event)
        kind = "msg" if isinstance(event, Text) else "rs"
        body = b"" if self._open == kind else self._finish("completed") + self._begin(kind)
        self._texts.append(event.text)
        body += self._before + encoded(event.text) + self._behind + b"%d}\n\n" % self._number
        self._number += 1
        return body

    def end(self, done: Done) -> bytes:
        """The last item's end, and the whole response."""
        status = status_of(done)
        body = b""
        if not self._output and not self._open:
            body = self._begin("msg")  # an empty answer is a message too
        body += self._finish(status)
        usage = usage_of(done.stats, thought=self._thought, answered=self._answered)
        response = self._frame.response(
            status, self._output, usage=usage, timings=timings_of(done.stats)
        )
        return body + self._event(f"response.{status}", response=response)

    def fault(self, error: NpurunError) -> bytes:
        """The failed response, and an error that the SDKs raise."""
        document = error_document(error, "openai")["error"]
        failed = {"code": document["code"] or "server_error", "message": document["message"]}
        body = self._finish("incomplete")
        response = self._frame.response("failed", self._output, error=failed)
        return (
            body
            + self._event("response.failed", response=response)
            + self._event(
                "error",
                code=document["code"],
                message=document["message"],
                param=document["param"],
                error=document,
            )
        )

    # -- items -----------------------------------------------------------------------------

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = encoded({"type": kind, **fields, "sequence_number": self._number})
        self._number += 1
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)

    def _at(self) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": len(self._output)}

    def _added(self, item: Item) -> bytes:
        return self._event("response.output_item.added", output_index=len(self._output), item=item)

    def _done(self, item: Item) -> bytes:
        body = self._event("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)
        return body

    def _begin(self, kind: str) -> bytes:
        self._open, self._texts = kind, []
        self._id = self._frame.id(kind, len(self._output))
        return self._begin_message() if kind == "msg" else self._begin_reasoning()

    def _begin_message(self) -> bytes:
        self._answered = True
        empty = message_item(self._id, "", "in_progress") | {"content": []}
        body = self._added(empty) + self._event(
            "response.content_part.added", **self._at(), content_index=0, part=text_part("")
        )
        self._prepare("response.output_text.delta", content_index=0, logprobs=[])
        return body

    def _begin_reasoning(self) -> bytes:
        self._thought = True
        empty = reasoning_item(self._id, "") | {"summary": [], "status": "in_progress"}
        body = self._added(empty) + self._event(
            "response.reasoning_summary_part.added",
            **self._at(),
            summary_index=0,
            part={"type": "summary_text", "text": ""},
        )
        self._prepare("response.reasoning_summary_text.delta", summary_index=0)
        return body

    def _prepare(self, kind: str, **fields: Any) -> None:
        """Encode what all deltas of an item have in common; the text and the number are put in later."""
        data = encoded({"type": kind, **self._at(), **fields, "delta": _HOLE, "sequence_number": 0})
        before, behind = data.split(encoded(_HOLE))
        self._before = b"event: %s\ndata: %s" % (kind.encode(), before)
        self._behind = behind.removesuffix(b"0}")

    def _finish(self, status: str) -> bytes:
        """Finish the item that is open, if one is."""
        kind, self._open = self._open, ""
        if not kind:
            return b""
        text = "".join(self._texts)
        return self._finish_message(text, status) if kind == "msg" else self._finish_reasoning(text)

    def _finish_message(self, text: str, status: str) -> bytes:
        at = self._at() | {"content_index": 0}
        return (
            self._event("response.output_text.done", **at, text=text, logprobs=[])
            + self._event("response.content_part.done", **at, part=text_part(text))
            + self._done(message_item(self._id, text, status))
        )

    def _finish_reasoning(self, text: str) -> bytes:
        at = self._at() | {"summary_index": 0}
        part = {"type": "summary_text", "text": text}
        return (
            self._event("response.reasoning_summary_text.done", **at, text=text)
            + self._event("response.reasoning_summary_part.done", **at, part=part)
            + self._done(reasoning_item(self._id, text))
        )

    def _call(self, event: Call) -> bytes:
        self._id = self._frame.id("fc", len(self._output))
        item = call_item(self._id, event.call)
        arguments = item["arguments"]
        begun = item | {"arguments": "", "status": "in_progress"}
        return (
            self._added(begun)
            + self._event("response.function_call_arguments.delta", **self._at(), delta=arguments)
            + self._event(
                "response.function_call_arguments.done",
                **self._at(),
                name=event.call.name,
                arguments=arguments,
            )
            + self._done(item)
        )
