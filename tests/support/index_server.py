"""A package index on a real socket that misbehaves on demand.

By default it does everything right: pages, ranges, `If-Range`, ETags. A test changes its attributes, or queues faults,
each of which is used up by one request for the file.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.tiny_model import FILENAME, TinyModel

JSON_PAGE = "application/vnd.pypi.simple.v1+json"


@dataclass
class Request:
    """One request as it came, and how many bytes of the file it was answered with."""

    path: str
    headers: dict[str, str]
    sent: int = 0


Fault = Callable[["Handler"], None]


@dataclass
class Index:
    """What the server serves, and what it was asked."""

    model: TinyModel
    data: bytes
    etag: str = '"one"'
    last_modified: str = ""
    ranges: bool = True
    json_page: bool = False
    page: bytes | None = None
    page_faults: deque[Fault] = field(default_factory=deque)
    faults: deque[Fault] = field(default_factory=deque)
    always: Fault | None = None
    password: str = ""
    requests: list[Request] = field(default_factory=list)
    origin: str = ""
    file_base: str = "/files"

    @property
    def url(self) -> str:
        """What pip's index-url would be."""
        return f"{self.origin}/simple"

    @property
    def downloads(self) -> list[Request]:
        """The requests for the file."""
        return [request for request in self.requests if request.path.startswith("/files/")]

    @property
    def sent(self) -> int:
        """Bytes of the file that were sent, over all requests."""
        return sum(request.sent for request in self.downloads)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    index: Index
    record: Request

    def do_GET(self) -> None:
        self.record = Request(self.path, {k.lower(): v for k, v in self.headers.items()})
        self.index.requests.append(self.record)
        if self.index.password:
            expected = base64.b64encode(f"user:{self.index.password}".encode()).decode()
            if self.record.headers.get("authorization") != f"Basic {expected}":
                self.answer(401, b"no")
                return
        if self.path.startswith("/files/"):
            queue, regular = self.index.faults, self.index.always or Handler.serve_file
        else:
            queue, regular = self.index.page_faults, Handler.serve_page
        (queue.popleft() if queue else regular)(self)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve_page(self) -> None:
        """The project's page, or 404."""
        if self.path != "/simple/tiny-model/":
            self.answer(404, b"")
            return
        model = self.index.model
        url = f"{self.index.file_base}/{FILENAME}"
        digest = model.entry.source.sha256
        if self.index.page is not None:
            self.answer(200, self.index.page, Content_Type="text/html")
        elif self.index.json_page:
            file = {"filename": FILENAME, "url": url, "hashes": {"sha256": digest}}
            document = {"meta": {"api-version": "1.0"}, "name": "tiny-model", "files": [file]}
            self.answer(200, json.dumps(document).encode(), Content_Type=JSON_PAGE)
        else:
            page = f'<!DOCTYPE html><a href="{url}#sha256={digest}">{FILENAME}</a>'
            self.answer(200, page.encode(), Content_Type="text/html")

    @property
    def wanted(self) -> tuple[int, int] | None:
        """The requested range as (first, end), where there is one that is to be honoured."""
        text = self.record.headers.get("range", "")
        validator = self.record.headers.get("if-range")
        if not self.index.ranges or not text or validator not in {None, *self.validators}:
            return None
        first, _, last = text.removeprefix("bytes=").partition("-")
        size = len(self.index.data)
        return int(first), min(size, int(last) + 1) if last else size

    @property
    def validators(self) -> set[str]:
        return {value for value in (self.index.etag, self.index.last_modified) if value}

    def begin_file(self, *, length: int | None = None, **headers: str) -> bytes:
        """Headers of the right answer to a request for the file; returns the body that should follow."""
        data, wanted = self.index.data, self.wanted
        offset, end = wanted or (0, len(data))
        if offset >= len(data) > 0:
            self.answer(416, b"", Content_Range=f"bytes */{len(data)}")
            return b""
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {offset}-{end - 1}/{len(data)}")
        if self.index.etag:
            self.send_header("ETag", self.index.etag)
        if self.index.last_modified:
            self.send_header("Last-Modified", self.index.last_modified)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Transfer_Encoding" not in headers:
            body_length = end - offset if length is None else length
            self.send_header("Content-Length", str(body_length))
        self.end_headers()
        return data[offset:end]

    def send_body(self, body: bytes) -> None:
        """Part of the file's body, counted."""
        for start in range(0, len(body), 16_384):
            block = body[start : start + 16_384]
            self.wfile.write(block)
            self.record.sent += len(block)

    def send_chunk(self, body: bytes) -> None:
        """One chunk of a chunked body."""
        self.wfile.write(b"%x\r\n" % len(body) + body + b"\r\n")
        self.record.sent += len(body)

    def serve_file(self) -> None:
        """The file as it should be served."""
        self.send_body(self.begin_file())

    def hang_up(self) -> None:
        """Close the connection now."""
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Quiet."""


# --- faults ------------------------------------------------------------------------------------


def status(code: int, **headers: str) -> Fault:
    """Answer with `code`."""
    return lambda handler: handler.answer(code, b"sorry", **headers)


def close_after(count: int) -> Fault:
    """Announce the whole file, send `count` bytes of what was asked for, close."""

    def fault(handler: Handler) -> None:
        handler.send_body(handler.begin_file()[:count])
        handler.hang_up()

    return fault


def pause_after(count: int, gate: threading.Event) -> Fault:
    """Send `count` bytes, then nothing until `gate` is set, then the rest."""

    def fault(handler: Handler) -> None:
        body = handler.begin_file()
        handler.send_body(body[:count])
        handler.wfile.flush()
        gate.wait(30)
        handler.send_body(body[count:])

    return fault


def chunked(handler: Handler, *, extra: bytes = b"", short: int = 0) -> None:
    """Send the file without saying how long it is: `extra` bytes too many, or `short` too few."""
    body = handler.begin_file(Transfer_Encoding="chunked")
    handler.send_chunk(body[: len(body) - short])
    if extra:
        handler.send_chunk(extra)
    handler.wfile.write(b"0\r\n\r\n")


def compressed(handler: Handler) -> None:
    """Send the file gzipped, though nobody asked for that."""
    body = gzip.compress(handler.index.data)
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.send_body(body)


def wrong_range(handler: Handler) -> None:
    """Answer a range request with another range than was asked for."""
    data = handler.index.data
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes 5-{len(data) - 1}/{len(data)}")
    handler.send_header("Content-Length", str(len(data) - 5))
    handler.end_headers()
    handler.send_body(data[5:])


# --- running it --------------------------------------------------------------------------------


_FAMILIES = {False: socket.AF_INET, True: socket.AF_INET6}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that were killed or that hung up are what these tests are about."""


@contextlib.contextmanager
def serve(
    model: TinyModel, certificate: Path | None = None, *, host: str = "127.0.0.1"
) -> Iterator[Index]:
    """An index that serves `model`, over TLS where there is a `certificate` (a file with its key in it)."""
    index = Index(model, model.wheel)
    handler = type("BoundHandler", (Handler,), {"index": index})
    kind = type("BoundServer", (_Server,), {"address_family": _FAMILIES[":" in host]})
    with kind((host, 0), handler) as server:
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        shown = f"[{host}]" if ":" in host else host
        index.origin = f"{scheme}://{shown}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()
