"""A server's state as people see it: plain data, shared by the control, the Server tab, `serve` and `/healthz`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ServerState(StrEnum):
    """Where the server stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A snapshot."""

    state: ServerState = ServerState.STOPPED
    url: str = ""
    """Where clients reach it, as they would write it; empty while it does not run."""
    reason: str = ""
    """Why it failed, in words with the mend."""
    started: float = 0.0
    """Unix time."""
    active: int = 0
    """Requests on their way."""
    total: int = 0
    """Requests answered since it started."""
    failed: int = 0
    """Of these, what was not answered as it should be: refused, broken off, aborted, or left by its client."""
    prompt_tokens: int = 0
    """Of all answers, those taken from a cache included."""
    completion_tokens: int = 0
