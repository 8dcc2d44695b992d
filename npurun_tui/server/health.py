"""`/`, `/health` and `/healthz`: what a client asks to learn whether anybody is here.

None of them waits for anything: they read the engine's latest snapshot, which is replaced as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from npurun_tui import __version__
from npurun_tui.engine.engine import EngineStatus
from npurun_tui.server.address import is_loopback
from npurun_tui.server.context import ServerContext
from npurun_tui.server.routing import Answer, Route

OLLAMA_IS_RUNNING: Final = "Ollama is running"
"""What Ollama answers at `/`; its clients look for these words."""


class Queue(msgspec.Struct):
    """The waiting line."""

    waiting: int
    limit: int


class Health(msgspec.Struct, omit_defaults=True):
    """`/healthz`. To strangers, where a token is set, only `status` and `auth` are told."""

    status: str
    auth: bool | None = None
    model: str | msgspec.UnsetType | None = msgspec.UNSET
    uptime_seconds: int | None = None
    version: str | None = None
    state: str | None = None
    busy: bool | None = None
    queue: Queue | None = None
    place: str | None = None
    """Where the model runs, in words."""
    reason: str | None = None
    """Why the engine is down."""


class Endpoints(msgspec.Struct):
    """The index's lists."""

    openai: list[str]
    anthropic: list[str]
    ollama: list[str]
    health: list[str]


class Index(msgspec.Struct):
    """`/` for those who accept JSON."""

    name: str
    endpoints: Endpoints


class HealthPages:
    """The three pages of one server."""

    def __init__(
        self,
        context: ServerContext,
        engine: Callable[[], EngineStatus],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`engine` gives the engine's latest snapshot and is called on the server's loop."""
        self._config = context.config
        self._engine = engine
        self._now = now
        self._began = now()
        self.listed: tuple[Route, ...] = ()
        """Every route of the server, for the index; set once all are known."""

    def routes(self) -> list[Route]:
        """The pages as routes."""
        ok = {200: Answer("The server answers.", Health)}
        index = {
            200: (
                Answer("What Ollama's clients look for.", media="text/plain"),
                Answer("Which paths there are.", Index),
            )
        }
        return [
            Route("GET", "/", self._root, "plain", "open", "Is anybody here", None, index, True),
            Route("GET", "/health", self._health, "plain", "open", "Liveness", None, ok, True),
            Route("GET", "/healthz", self._healthz, "plain", "open", "State", None, ok, True),
        ]

    async def _root(self, request: Request) -> Response:
        if "application/json" not in request.headers.get("accept", ""):
            return PlainTextResponse(OLLAMA_IS_RUNNING)
        return _json(Index("npurun-tui", self._endpoints()))

    def _endpoints(self) -> Endpoints:
        paths: dict[str, dict[str, None]] = {}
        for route in self.listed:
            if route.listed:
                paths.setdefault(route.dialect, {})[route.path] = None
        return Endpoints(
            list(paths.get("openai", ())),
            list(paths.get("anthropic", ())),
            list(paths.get("ollama", ())),
            [path for path in paths.get("plain", ()) if path != "/"],
        )

    async def _health(self, _request: Request) -> Response:
        return _json(Health("ok"))

    async def _healthz(self, request: Request) -> Response:
        auth = bool(self._config.infer_token or self._config.admin_token)
        status = self._engine()
        word = "ready" if status.model is not None else "no_model_loaded"
        peer = request.client.host if request.client else ""
        if auth and not is_loopback(peer):
            return _json(Health(word, auth=True))
        model = status.model
        return _json(
            Health(
                word,
                auth=auth,
                model=None if model is None else model.name,
                uptime_seconds=int(self._now() - self._began),
                version=__version__,
                state=str(status.state),
                busy=status.holder is not None,
                queue=Queue(len(status.waiting), self._config.max_queue),
                place=None if model is None else model.place,
                reason=status.reason or None,
            )
        )


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
