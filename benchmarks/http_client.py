"""The other end of `benchmarks/server.py`: a client in a process of its own, as thin as one can be.

    python -m benchmarks.http_client

One JSON object on each line of stdin, one on each line of stdout:

* `{"op": "stream", "port", "path", "body"}` -> `{"ttft", "seconds", "events"}`: from the sent request to the first
  event with text, from that to the last one, and how many there were (server-sent events or NDJSON lines).
* `{"op": "get", "port", "path", "count", "rate"}` -> `{"latencies"}`: seconds of each of `count` requests on one
  connection, `rate` a second (0: one after the other).
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from typing import Any

_TEXT = (b'"content":"', b'"response":"')


def stream(port: int, path: str, body: dict[str, Any], key: str = "") -> dict[str, float]:
    """Ask, and read to the end."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    began = time.perf_counter()
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise SystemExit(f"{path}: {response.status} {response.read(500)!r}")
    first, last, events = 0.0, 0.0, 0
    while line := response.readline():
        if any(mark in line and mark + b'"' not in line for mark in _TEXT):
            last = time.perf_counter()
            first = first or last
            events += 1
    connection.close()
    return {"ttft": first - began, "seconds": last - first, "events": events}


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
