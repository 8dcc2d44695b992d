"""An HTTP server on a real socket that answers what a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent."""

    path: str
    headers: dict[str, str]
    body: str


class CannedServer:
    """Gives every POST the same answer, and closes the connection after it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.sent = 0
        """Bytes of bodies that were handed to the system."""
        self._answer: tuple[int, bytes, Mapping[str, str], bytes] = (200, b"", {}, b"")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def answer(
        self,
        body: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        forever: bytes = b"",
    ) -> None:
        """What comes back from now on; `forever` follows again and again until the client leaves."""
        self._answer = (status, body.encode(), headers or {}, forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length).decode()
                owner.requests.append(Request(self.path, dict(self.headers), body))
                status, answer, headers, forever = owner._answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    owner.sent += self.wfile.write(answer)
                    while forever:
                        owner.sent += self.wfile.write(forever)
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        return Handler
