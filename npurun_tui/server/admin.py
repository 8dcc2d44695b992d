"""The admin's routes, of this program alone: how the server stands, its requests without their bodies, ending one.

A workbench that is attached to this server shows them in its Server tab.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from npurun_tui import __version__
from npurun_tui.engine.engine import EngineStatus
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.context import record_of
from npurun_tui.server.faults import BadRequest, UnknownRoute
from npurun_tui.server.flights import Counts
from npurun_tui.server.log import PROBES, RequestLog, row_of
from npurun_tui.server.others import servers_of
from npurun_tui.server.records import RequestRecord
from npurun_tui.server.routing import Answer, Route
from npurun_tui.storage.requests import RequestRow

MOST: Final = 500
"""Requests that are told at once."""
WORDS: Final = 200
"""Characters of a search."""


class RequestEntry(msgspec.Struct, kw_only=True):
    """One request. Milliseconds; null is what is not known."""

    request_id: str
    began: float
    """Unix seconds."""
    peer: str
    client: str
    dialect: str
    method: str
    path: str
    model: str
    stream: bool
    status: int
    outcome: str
    queue_ms: float | None
    load_ms: float | None
    ttft_ms: float | None
    total_ms: float | None
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    decode_tps: float | None
    request_bytes: int
    body_sha256: str
    warnings: str
    process: int
    """The server that answered it, by its process: servers of one machine share their log. 0: it has ended."""
    live: bool = False
    """It is on its way."""
    phase: str = "done"
    ahead: int = 0
    read: float = 0.0
    """Share of the prompt that is read, 0 to 1."""


class RequestEntries(msgspec.Struct):
    """Those on their way, the newest first, then those that have ended, the newest first."""

    requests: list[RequestEntry]


class Standing(msgspec.Struct, kw_only=True):
    """How the server is set up and what it has done. No secret is in it."""

    version: str
    process: int
    started: float
    """Unix seconds."""
    host: str
    port: int
    tls: bool
    token: bool
    """A token is asked of every client."""
    admin_token: bool
    """Another one is asked of those who change something."""
    max_queue: int
    state: str
    """The engine's."""
    model: str | None
    place: str
    holder: str
    """Who has the permit; empty where it is free."""
    waiting: int
    active: int
    total: int
    failed: int
    prompt_tokens: int
    completion_tokens: int


class Aborted(msgspec.Struct):
    """What became of an abort."""

    aborted: bool
    """False where the request had ended by itself."""


class AdminPages:
    """The routes of one server."""

    def __init__(
        self,
        config: ServerConfig,
        log: RequestLog,
        engine: Callable[[], EngineStatus],
        counts: Callable[[], Counts],
    ) -> None:
        """`engine` and `counts` give the latest snapshots; they are called on the server's loop."""
        self._config = config
        self._log = log
        self._engine = engine
        self._counts = counts
        self._started = time.time()

    def routes(self) -> list[Route]:
        """All of them need the admin's scope."""
        found = {"limit": {"type": "integer", "minimum": 1, "maximum": MOST}}
        found |= {"words": {"type": "string", "maxLength": WORDS}}
        return [
            Route(
                "GET",
                "/npurun/status",
                self.status,
                "plain",
                "admin",
                "How the server stands",
                answers={200: Answer("How it stands", Standing)},
            ),
            Route(
                "GET",
                "/npurun/requests",
                self.requests,
                "plain",
                "admin",
                "Its requests, without their bodies",
                answers={200: Answer("The requests", RequestEntries)},
                query=found,
            ),
            Route(
                "POST",
                "/npurun/requests/{id}/abort",
                self.abort,
                "plain",
                "admin",
                "End a request",
                answers={200: Answer("Whether it was ended", Aborted)},
            ),
        ]

    async def status(self, _request: Request) -> Response:
        """`GET /npurun/status`."""
        config, engine = self._config, self._engine()
        counts: dict[str, int] = asdict(self._counts())
        return _json(
            Standing(
                version=__version__,
                process=os.getpid(),
                started=self._started,
                host=config.host,
                port=config.port,
                tls=config.tls_cert is not None,
                token=bool(config.infer_token),
                admin_token=bool(config.admin_token),
                max_queue=config.max_queue,
                state=str(engine.state),
                model=None if engine.model is None else engine.model.name,
                place="" if engine.model is None else engine.model.place,
                holder=engine.holder or "",
                waiting=len(engine.waiting),
                **counts,
            )
        )

    async def requests(self, request: Request) -> Response:
        """`GET /npurun/requests`: with `words`, only those in which each of them stands."""
        limit, words = _limit(request), request.query_params.get("words", "")
        if len(words) > WORDS:
            raise BadRequest(f"`words` may have {WORDS} characters.", param="words")
        without = () if words.strip() else PROBES
        live = [
            _live(record)
            for record in self._log.live()
            if record.path not in without and _has(record, words)
        ]
        ended = await asyncio.to_thread(self._ended, limit, words, without)
        known = {row.request_id for row in ended}
        told = [entry for entry in live if entry.request_id not in known]
        return _json(RequestEntries([*told, *map(_entry, ended)][:limit]))

    def _ended(self, limit: int, words: str, without: Sequence[str]) -> list[RequestRow]:
        """Blocks."""
        rows = self._log.recent(limit, words, without=without, bodies=False)
        own = os.getpid()
        alive = {own, *servers_of(rows, own)}
        return [row if row.process in alive else replace(row, process=0) for row in rows]

    async def abort(self, request: Request) -> Response:
        """`POST /npurun/requests/{id}/abort`. Raises UnknownRoute where no such request is on its way or was."""
        wanted: str = request.path_params["id"]
        if wanted == record_of(request).id:
            raise BadRequest("A request cannot end itself.")
        for record in self._log.live():
            if record.id == wanted:
                if record.cancel is not None:
                    record.cancel()
                return _json(Aborted(record.cancel is not None))
        raise UnknownRoute("No such request is on its way.")


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(MOST))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MOST):
        raise BadRequest(f"`limit` must be a number from 1 to {MOST}.", param="limit")
    return int(text)


def _has(record: RequestRecord, words: str) -> bool:
    """As the log's own search, in what is known of a request on its way."""
    text = " ".join((record.model, record.client, record.path, record.peer, record.dialect))
    return all(word in text.lower() for word in words.lower().split())


def _entry(row: RequestRow) -> RequestEntry:
    values: dict[str, Any] = asdict(row)
    del values["body"]
    return RequestEntry(**values)


def _live(record: RequestRecord) -> RequestEntry:
    entry = _entry(row_of(record))
    entry.live, entry.phase = True, record.phase
    entry.ahead, entry.read = record.ahead, record.read
    return entry


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
