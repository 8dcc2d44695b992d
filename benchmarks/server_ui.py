"""How long a key takes to be echoed in the workbench while its server works.

    uv run python -m benchmarks.server_ui [--keys 200]

The program in a real pseudo-terminal of 120x36, with the server started in its tab: 200 requests a second for
`/healthz` and one streamed answer from the scripted engine process, by clients of their own. Keys are typed into the
Chat tab's prompt, once while nobody asks and once under that load.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.sample_home import make_home
from benchmarks.ui import ECHO, percentile, read_for
from npurun_tui.screens.server import REMEMBERED
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.saved import dump_config
from npurun_tui.settings import Paths, Remembered
from tests.support.terminal import Terminal

LIMIT_MS = 15
REQUESTS = 200
"""A second."""
RATE = 30
"""Tokens a second of the stream."""


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def workbench(folder: Path, env: Mapping[str, str], port: int) -> Iterator[Terminal]:
    """The program with its server running and the Chat tab open."""
    prepared = folder / "prepared.json"
    prepared.write_text(json.dumps({"at_once": "", "paced": "word" * 40_000, "end": "."}), "utf-8")
    command = [sys.executable, "-m", "benchmarks.scripted_app", str(RATE), str(prepared)]
    with Terminal(command, columns=120, lines=36, env=env) as terminal:
        terminal.wait_for("sample-model-00", timeout=60)
        terminal.send("4")
        terminal.wait_for("stopped", timeout=60)
        terminal.settle(quiet=0.5)
        terminal.send("s")
        terminal.wait_for(f"serving :{port}", timeout=60)
        terminal.send("2")
        terminal.wait_for("Ask something", timeout=60)
        terminal.settle(quiet=0.8)
        yield terminal


class Load:
    """Clients that ask, in processes of their own, until they are ended."""

    def __init__(self, port: int, seconds: float) -> None:
        message = {"role": "user", "content": "go"}
        body = {"model": "sample-model-00", "messages": [message], "stream": True}
        count = int(REQUESTS * seconds)
        self._latencies: list[float] = []
        self._processes = [
            self._client(op="stream", port=port, path="/v1/chat/completions", body=body),
            self._client(op="get", port=port, path="/healthz", count=count, rate=REQUESTS),
        ]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _client(self, **request: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.http_client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return process

    def _read(self) -> None:
        output = self._processes[1].stdout
        assert output is not None
        line = output.readline()
        self._latencies = json.loads(line)["latencies"] if line else []

    def end(self) -> list[float]:
        """The latencies of `/healthz`, in seconds, where all were asked by now."""
        self._reader.join(timeout=30)
        for process in self._processes:
            process.kill()
            process.communicate()
        return self._latencies


def echoes(terminal: Terminal, keys: int) -> list[float]:
    """Milliseconds from a key to its echo."""
    found: list[float] = []
    for number in range(keys):
        began = time.perf_counter()
        terminal.send(ECHO)
        seen = b""
        while ECHO.encode() not in seen and time.perf_counter() - began < 5:
            seen = seen[-8:] + terminal.read(0.5)
        found.append((time.perf_counter() - began) * 1e3)
        terminal.send("\x7f")
        read_for(terminal, 0.03 + 0.01 * (number % 7))  # not in step with the frames
    return found


def main() -> int:
    """Print the figures; 1 where the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=200)
    options = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = make_home(folder, models=1)
        config = dump_config(ServerConfig(port=port))
        Remembered(Paths.resolve(env).remembered).set(REMEMBERED, config)
        print(report.machine())
        with workbench(folder, env, port) as terminal:
            quiet = echoes(terminal, options.keys)
            load = Load(port, options.keys * 0.09 + 3)
            read_for(terminal, 3.0)
            busy = echoes(terminal, options.keys)
            health = [1e3 * seconds for seconds in load.end()]
    for what, values in (
        ("echo, nobody asks", quiet),
        ("echo under load", busy),
        ("/healthz", health),
    ):
        print(
            f"{what}: median {statistics.median(values):.1f} ms, p99 {percentile(values, 0.99):.1f} ms"
        )
    limit = ("key echo under load, 99th percentile, ms", percentile(busy, 0.99), LIMIT_MS)
    return 0 if report.all_kept([limit]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
