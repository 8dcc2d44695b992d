"""What a Genie library says of itself, asked in a child process: opening native code can crash or hang."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.text import one_line

TIMEOUT: Final = 30.0
"""Seconds; the library alone opens in one, a virus scanner may look at it for longer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The API's version, or why there is none."""

    version: tuple[int, int, int] | None
    error: str = ""
    """A sentence; empty where it answered."""
    missing: tuple[str, ...] = ()
    """Functions of newer versions that it does not have."""

    @property
    def words(self) -> str:
        """`1.21.0`, or the sentence."""
        return ".".join(map(str, self.version)) if self.version else self.error


def ask_library(library: Path, timeout: float = TIMEOUT) -> Answer:
    """Open `library` and ask it (blocking, about half a second). Never raises for what the library does."""
    command = [sys.executable, "-m", "npurun_tui.engine.genie.ask", str(library)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return Answer(None, f"The library did not answer in {timeout:.0f} s.")
    except OSError as error:
        return Answer(None, f"It could not be asked: {error.strerror or error}.")
    try:
        document = json.loads(done.stdout)
        return _answer(document)
    except (ValueError, KeyError, TypeError):
        return Answer(None, _crash(done.returncode, done.stderr))


def _answer(document: dict[str, Any]) -> Answer:
    if "error" in document:
        return Answer(None, one_line(str(document["error"]), 500))
    major, minor, patch = (int(part) for part in document["api"])
    return Answer((major, minor, patch), missing=tuple(map(str, document["missing"])))


def _crash(status: int, stderr: bytes) -> str:
    said = stderr.decode("utf-8", "replace").strip().splitlines()
    last = f" Its last words: {one_line(said[-1], 160)}" if said else ""
    how = f"status {status & 0xFFFFFFFF:#x}" if status > 255 else f"status {status}"
    if status < 0:
        try:
            how = signal.Signals(-status).name
        except ValueError:
            how = f"signal {-status}"
    return f"Opening the library ended the process that opened it ({how}).{last}"
