"""The file by which a server of this program is found by the next workbench on the machine.

It says where the server is and which process it is, never a token. A file that a killed process left is known by
its process being gone, or by nobody answering.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from npurun_tui.files import keep_private, write_atomic

MOST: Final = 4096
"""Bytes of a file that is read."""


@dataclass(frozen=True, slots=True)
class Beacon:
    """A server that runs, or ran."""

    url: str
    pid: int
    started: float
    """Unix seconds."""


def leave(path: Path, beacon: Beacon) -> None:
    """Write `beacon`, for the file's owner only. Blocks; raises OSError."""
    write_atomic(path, json.dumps(asdict(beacon)).encode())
    keep_private(path)


def remove(path: Path) -> None:
    """Take away what this process left; another's stays. Blocks; raises OSError."""
    found = read(path)
    if found is not None and found.pid == os.getpid():
        path.unlink(missing_ok=True)


def read(path: Path) -> Beacon | None:
    """What the file says; None where there is none, or it says something else."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(MOST))
        url, pid, started = document["url"], document["pid"], document["started"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
    plain = isinstance(url, str) and url.startswith(("http://", "https://")) and url.isprintable()
    whole = isinstance(pid, int) and not isinstance(pid, bool) and 0 < pid < 2**31
    timed = isinstance(started, int | float)
    return Beacon(url, pid, float(started)) if plain and whole and timed else None


def find_other(path: Path) -> Beacon | None:
    """The server of another process that still lives; whether it answers has to be asked. Blocks."""
    found = read(path)
    if found is None or found.pid == os.getpid():
        return None
    import psutil  # 15 ms, only where there is a file

    if psutil.pid_exists(found.pid):
        return found
    with suppress(OSError):  # it is in nobody's way
        path.unlink(missing_ok=True)
    return None
