"""A real `serve` process: the program as a user starts it, on a free port, in a home of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

START: float = 120.0
"""Seconds that a server may take to say where it listens."""


@dataclass
class Served:
    """One running server."""

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)
    """What it has said on stderr."""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """Ctrl+C, and wait."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@contextlib.contextmanager
def serve(
    home: Path,
    models: Path,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    pipe: int = -1,
    listens: bool = True,
) -> Iterator[Served]:
    """`npurun-tui serve`, ready; ended with the block.

    `pipe` is how many bytes its stderr holds unread (Linux); where nobody `listens`, it is read until the address came.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NPURUN_")}
    environment |= {"NPURUN_TUI_HOME": str(home), "NPURUN_MODELS_DIR": str(models)}
    command = [sys.executable, "-m", "npurun_tui", "serve", "--bind", "127.0.0.1:0", *arguments]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        pipesize=pipe,
        env=environment | dict(environ or {}),
    )
    served, ready = Served(process), threading.Event()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            served.lines.append(line.rstrip("\n"))
            if found := re.search(r"https?://[^\s/]+:\d+", line):
                served.url = served.url or found[0]
                ready.set()
                if not listens:
                    return
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        if not ready.wait(START) or not served.url:
            raise AssertionError(f"serve did not start: {served.lines}")
        yield served
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(10)
        if process.stderr is not None:
            process.stderr.close()
