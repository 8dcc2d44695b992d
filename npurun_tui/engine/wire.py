"""The private pipe between the workbench and its engine process: one JSON object on each line.

Requests carry an `id`, and each is answered once: `{"id", "ok": value}` or `{"id", "error": {...}}`. While a query
runs the host also sends `{"id", "t": [text, sentence code]}` for each token and `{"id", "p": [done, total]}` for
prefill progress. `{"op": "signal", "query": id, "action": n}` has no id of its own and is never answered. JSON lines
cost a few microseconds a token, can be read in a log, and survive text of any kind; a line's length is bounded so
that a host gone mad cannot fill the parent's memory.
"""

from __future__ import annotations

import json
from typing import Any, Final

from npurun_tui import errors
from npurun_tui.engine.dialog import GenieError, Status

MAX_LINE: Final = 64 * 1024 * 1024

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(message: dict[str, Any]) -> bytes:
    """One line, newline included. Lone surrogates, which UTF-8 cannot carry, become question marks."""
    return _encode(message).encode("utf-8", "replace") + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message of one line. Raises ValueError for anything that is not a JSON object."""
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a message is a JSON object")
    return message


def encode_error(error: errors.NpurunError) -> dict[str, Any]:
    """An error as plain data, kind included, so that the parent raises the same class."""
    document: dict[str, Any] = {
        "kind": type(error).__name__,
        "message": error.message,
        "mend": error.mend,
    }
    if isinstance(error, GenieError):
        document |= {"status": error.status.value, "call": error.call, "detail": error.detail}
    if isinstance(error, errors.ContextOverflow):
        document |= {"needed": error.needed, "window": error.window}
    return document


def decode_error(document: dict[str, Any]) -> errors.NpurunError:
    """The error that `encode_error` wrote; an unknown kind becomes an EngineError."""
    if "status" in document:
        return GenieError(Status(document["status"]), document["call"], document["detail"])
    kind = getattr(errors, str(document["kind"]), None)
    if not (isinstance(kind, type) and issubclass(kind, errors.NpurunError)):
        kind = errors.EngineError
    message, mend = str(document["message"]), str(document["mend"])
    if issubclass(kind, errors.ContextOverflow):
        needed, window = int(document.get("needed", 0)), int(document.get("window", 0))
        return kind(message, mend=mend, needed=needed, window=window)
    return kind(message, mend=mend)


class LineBuffer:
    """Splits a byte stream into lines, however the pipe cuts it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The complete lines that `data` ends. Raises ValueError where a line passes `MAX_LINE`."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = self._rest + lines[0]
            self._rest = rest
        else:
            self._rest += rest
        if len(self._rest) > MAX_LINE:
            raise ValueError("a line from the engine process is too long")
        return lines
