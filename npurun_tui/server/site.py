"""What a server serves, put together from its parts, on the server's own loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from npurun_tui.engine.engine import EngineStatus
from npurun_tui.errors import NpurunError
from npurun_tui.server import anthropic, ollama, openai
from npurun_tui.server.admin import AdminPages
from npurun_tui.server.app import build_app
from npurun_tui.server.asking import Answerer
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.context import Directory, ServerContext
from npurun_tui.server.health import HealthPages
from npurun_tui.server.log import RequestLog
from npurun_tui.server.metrics import Metrics
from npurun_tui.server.openapi import openapi_route
from npurun_tui.server.routing import Route
from npurun_tui.server.running import Site

if TYPE_CHECKING:
    from npurun_tui.services import Services

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What stands behind the routes."""

    answerer: Answerer
    directory: Directory
    engine: Callable[[], EngineStatus]
    """The engine's latest snapshot; called on the server's loop."""
    aclose: Callable[[], Awaitable[None]]


MakeParts = Callable[[ServerConfig], Parts]
"""Called on the server's loop."""


def parts_of(
    services: Services, engine_loop: asyncio.AbstractEventLoop, models_changed: Callable[[], None]
) -> MakeParts:
    """The parts over this machine's engine and models; `engine_loop` is where `services` live, and where
    `models_changed` is called when a client has brought a model or taken one away."""
    engine, store, pulls = services.engine, services.store, services.pulls

    def make(config: ServerConfig) -> Parts:
        from npurun_tui.server.cards import Cards
        from npurun_tui.server.directory import ModelDirectory, catalog_here
        from npurun_tui.server.inference import Inference

        inference = Inference(
            engine,
            engine_loop,
            spec_of=services.spec_of,
            installed=services.installed_names,
            config=config,
        )
        directory = ModelDirectory(
            store,
            pulls,
            engine,
            engine_loop,
            lambda: catalog_here(services.paths),
            cards=Cards(store, context=services.settings.context, tools=config.tools != "ignore"),
            expires=lambda: inference.expires,
            changed=models_changed,
        )

        async def aclose() -> None:
            await directory.aclose()
            await inference.aclose()

        return Parts(inference, directory, lambda: engine.status, aclose)

    return make


async def build_site(
    config: ServerConfig, make: MakeParts, requests: RequestLog, changed: Callable[[], None]
) -> Site:
    """The application of one server, and how its parts end."""
    parts = make(config)
    context = ServerContext(config, parts.answerer, parts.directory)
    metrics = Metrics(parts.engine)
    health = HealthPages(context, parts.engine)
    admin = AdminPages(config, requests, parts.engine, lambda: app.flights.counts)
    routes = all_routes(context, health, metrics, admin.routes())
    app = build_app(context, routes, (requests, metrics), changed)
    first = asyncio.create_task(_load_first(parts.answerer, config.model), name="first model")

    async def aclose() -> None:
        first.cancel()
        await asyncio.wait({first})
        await parts.aclose()

    return Site(app, aclose)


def all_routes(
    context: ServerContext, health: HealthPages, metrics: Metrics, admin: Sequence[Route]
) -> list[Route]:
    """Every route of a server; `admin` are those of this program alone."""
    routes = [
        *health.routes(),
        *metrics.routes(),
        *openai.routes(context),
        *anthropic.routes(context),
        *ollama.routes(context),
        *admin,
    ]
    routes.append(openapi_route(routes, host=context.config.host))
    health.listed = tuple(routes)
    return routes


async def _load_first(answerer: Answerer, model: str) -> None:
    """Have the chosen model loaded by the time the first request comes; a failure is met again by that request."""
    if not model:
        return
    try:
        await answerer.load(model, None)
    except NpurunError as error:
        log.warning("%s was not loaded: %s", model, error)
