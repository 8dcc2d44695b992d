"""The other end of `benchmarks/server.py`: a client in a process of its own, as thin as one can be.

    python -m benchmarks.http_client

One JSON object on each line of stdin, one on each line of stdout:

* `{"op": "stream", "port", "path", "body"}` -> `{"ttft", "seconds", "events", "tokens"}`: from the sent request to the
  first event with text, from that to the last one, how many there were, and the tokens that the answer's usage counts
  (OpenAI's, 0 where it has none).
* `{"op": "get", "port", "path", "count", "rate"}` -> `{"latencies"}`: seconds of each of `count` requests on one
  connection, `rate` a second (0: one after the other).
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
import time
from io import BufferedIOBase
from typing import Any

_TEXT = (b'"content":"', b'"response":"')
_TOKENS = re.compile(rb'"completion_tokens":\s*(\d+)')


def stream(port: int, path: str, body: dict[str, Any], key: str = "") -> dict[str, float]:
    """Ask, and read to the end. The connection is one that has been used, as those of clients' pools are; a socket and
    not a library, so that the clock shows the server."""
    with socket.create_connection(("127.0.0.1", port), timeout=300) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = connection.makefile("rb")
        connection.sendall(_request("GET /health", b"", key))
        _head(answer)
        request = _request(f"POST {path}", json.dumps(body).encode(), key)
        began = time.perf_counter()
        connection.sendall(request)
        first, last, events, tokens = 0.0, 0.0, 0, 0
        if "200" not in (head := _head(answer)):
            raise SystemExit(f"{path}: {head}")
        while (line := answer.readline()) not in (b"", b"0\r\n"):
            if any(mark in line and mark + b'"' not in line for mark in _TEXT):
                last = time.perf_counter()
                first = first or last
                events += 1
            if found := _TOKENS.search(line):
                tokens = int(found[1])
    return {"ttft": first - began, "seconds": last - first, "events": events, "tokens": tokens}


def _request(what: str, body: bytes, key: str) -> bytes:
    lines = [
        f"{what} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([f"Authorization: Bearer {key}"] if key else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _head(answer: BufferedIOBase) -> str:
    """The status line of the next response; its head is read, and its body where it has a length."""
    status, length = answer.readline().decode("latin-1").strip(), 0
    while (line := answer.readline()) not in (b"", b"\r\n"):
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "content-length":
            length = int(value)
    answer.read(length)
    return status


def get(port: int, path: str, count: int, rate: float) -> dict[str, list[float]]:
    """Ask again and again."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    latencies, start = [], time.perf_counter()
    for number in range(count):
        if rate:
            time.sleep(max(0.0, start + number / rate - time.perf_counter()))
        began = time.perf_counter()
        connection.request("GET", path)
        connection.getresponse().read()
        latencies.append(time.perf_counter() - began)
    connection.close()
    return {"latencies": latencies}


def main() -> None:
    """Serve stdin."""
    operations: dict[str, Any] = {"stream": stream, "get": get}
    for line in sys.stdin:
        request = json.loads(line)
        answer = operations[request.pop("op")](**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
