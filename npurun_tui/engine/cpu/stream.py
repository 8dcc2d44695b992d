"""One streaming completion: request out, events in, cancelled from any thread by shutting the socket.

llama.cpp checks the connection before each chunk that it sends and gives the task up when it is gone: within one
token while it generates, within two batches while it prefills. Our side does not wait for that: a shut socket ends the
blocking read at once.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from npurun_tui.errors import EngineError
from npurun_tui.text import one_line


class ServerFailure(EngineError):
    """llama.cpp did not do what it was asked; never raised by a caller's callback."""


class RequestRefused(ServerFailure):
    """llama.cpp answered a request with an error, whose words these are."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(f"llama.cpp refused: {one_line(message)}.")
        self.kind = kind

    @classmethod
    def of(cls, document: object) -> RequestRefused:
        """From the server's JSON."""
        error = document.get("error") if isinstance(document, dict) else None
        if not isinstance(error, dict):
            return cls("an answer without a reason", "")
        return cls(str(error.get("message", "no reason given")), str(error.get("type", "")))

    @property
    def is_overflow(self) -> bool:
        """The prompt does not fit the context window."""
        return self.kind == "exceed_context_size_error"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the prefill is, in tokens; `processed` counts those from the cache."""

    total: int
    cached: int
    processed: int


@dataclass(frozen=True, slots=True)
class Token:
    """One or more generated tokens whose text is complete UTF-8. Only the last one's id is known."""

    text: str
    token: int
    count: int
    """Tokens generated so far, this one included."""


@dataclass(frozen=True, slots=True)
class End:
    """The end as llama.cpp saw it."""

    stop_type: str
    """`eos` or `limit`."""
    count: int
    """Tokens generated in all, an end-of-sequence token included."""
    cached: int
    prefilled: int
    timings: Mapping[str, Any] = field(repr=False)


Event = Progress | Token | End


class CompletionStream:
    """The events of one completion. `cancel` is for any thread; the rest for the one that iterates."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        headers: Mapping[str, str],
    ) -> None:
        self._connection = connection
        self._headers = headers
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._response: http.client.HTTPResponse | None = None
        self.cancelled = False

    def cancel(self) -> None:
        """End the stream: the reader's wait is over at once, llama.cpp stops at its next chunk."""
        with self._lock:
            self.cancelled = True
            if self._socket is not None:
                with contextlib.suppress(OSError):  # already shut by the other side
                    self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Free the connection; a task that still runs is cancelled by that."""
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                self._socket = None
        if self._response is not None:
            self._response.close()
        self._connection.close()

    def events(self, body: Mapping[str, Any]) -> Iterator[Event]:
        """Send the request `body` and give what comes back; ends early, without `End`, when cancelled.

        Raises:
            RequestRefused: llama.cpp refused the request or gave up in the middle.
            ServerFailure: the connection broke.
        """
        try:
            if not self._send(json.dumps(body)):
                return
            response = self._connection.getresponse()
            self._response = response
            if response.status != 200:
                raise RequestRefused.of(json.loads(response.read()))
            yield from self._read(response)
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            if self.cancelled:
                return
            raise ServerFailure(
                f"llama.cpp broke off the answer ({one_line(str(error))})."
            ) from error

    def _send(self, payload: str) -> bool:
        """Send the request; False where it was cancelled before that."""
        with self._lock:
            if self.cancelled:
                return False
            self._connection.connect()
            self._socket = self._connection.sock
        self._connection.request("POST", "/completion", payload, dict(self._headers))
        return True

    def _read(self, response: http.client.HTTPResponse) -> Iterator[Event]:
        for line in response:
            if not line.startswith(b"data: "):  # blank lines and keep-alive comments
                if line.startswith(b"error: "):
                    raise RequestRefused.of({"error": json.loads(line[7:])})
                continue
            chunk = json.loads(line[6:])
            if "index" in chunk:
                if "prompt_progress" in chunk:
                    yield _progress(chunk["prompt_progress"])
                else:
                    yield Token(chunk["content"], chunk["tokens"][-1], chunk["tokens_predicted"])
            elif "timings" in chunk:
                yield _end(chunk)
                return
            else:
                raise RequestRefused.of(chunk)
        if not self.cancelled:
            raise ServerFailure("llama.cpp broke off the answer.")


def _progress(document: Mapping[str, int]) -> Progress:
    return Progress(document["total"], document["cache"], document["processed"])


def _end(chunk: Mapping[str, Any]) -> End:
    timings = chunk["timings"]
    return End(
        chunk["stop_type"],
        chunk["tokens_predicted"],
        timings["cache_n"],
        timings["prompt_n"],
        timings,
    )
