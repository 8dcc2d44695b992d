"""How a server is set up: plain data, made by `serve` or by the Server tab, checked when the server starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

DEFAULT_PORT: Final = 11435

ToolPolicy = Literal["auto", "strict", "ignore"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one client can take; seconds and bytes."""

    body: int = 8 << 20
    body_text: int = 1 << 20
    """For routes that take one conversation or name; `body` is for those that take many texts."""
    bodies: int = 128 << 20
    """For the bodies of all requests on their way together."""
    header_bytes: int = 32 << 10
    headers: int = 100
    header_deadline: float = 10.0
    body_idle: float = 30.0
    keep_alive: float = 10.0
    write_stall: float = 60.0
    """A client that reads nothing for so long is dropped and its generation aborted."""
    connections: int = 64
    connections_per_peer: int = 32
    depth: int = 64
    messages: int = 2000
    tools: int = 256
    stops: int = 16
    generation: float = 1800.0
    """Wall clock of one answer."""
    shutdown: float = 10.0
    """After this the answers that still run are aborted."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server. Tokens are kept as hashes (`tokens.py`); the text of one is never in here."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0 lets the system choose."""
    model: str = ""
    """Loaded before the first request; empty: on demand."""
    infer_token: bytes = b""
    """sha256 of the token that may infer; empty: none is asked for."""
    admin_token: bytes = b""
    """sha256 of the token that may also pull, delete, copy and unload; empty: the infer token's holders may."""
    insecure: bool = False
    """Bind beyond loopback without a token, on the user's own word."""
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    max_queue: int = 8
    queue_timeout: float = 300.0
    """Seconds."""
    keep_alive: float = 300.0
    """Seconds that a model stays loaded after its last request; negative is for ever."""
    tools: ToolPolicy = "auto"
    warmup: bool = True
    log_prompts: bool = False
    limits: Limits = Limits()

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return "https" if self.tls_cert else "http"
