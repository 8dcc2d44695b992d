"""The tabs of a workbench that works on this machine: how each pane is made of the services. Those of one that is
attached to a server are in `attached_tabs`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual.widget import Widget

if TYPE_CHECKING:
    from npurun_tui.app import WorkbenchApp
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.fit import MachineFacts
    from npurun_tui.settings import Paths


def _catalog(paths: Paths) -> Sequence[CatalogEntry]:
    """What can be pulled. Called in a thread, at each look at the disk."""
    from npurun_tui.models.remote.known import known_catalog

    return known_catalog(paths)


async def _machine() -> MachineFacts:
    """What decides whether a model runs here; a second or more the first time."""
    from npurun_tui.models import fit

    return await asyncio.to_thread(fit.machine_facts)


def _models_pane(app: WorkbenchApp) -> Widget:
    from npurun_tui.screens.models import ModelsPane

    return ModelsPane(
        app.services.store,
        app.reports.follow_pulls(),
        partial(_catalog, app.services.paths),
        in_use=app.services.model_in_use,
        released=app.services.model_released,
        runtime=app.reports.runtime,
        machine=_machine,
    )


def _chat_pane(app: WorkbenchApp) -> Widget:
    from npurun_tui.screens.chat import ChatPane

    services = app.services
    return ChatPane(
        app.reports.follow_engine(),
        services.chats,
        services.remembered,
        spec_of=services.spec_of,
        installed=services.installed_names,
        before_load=app.before_load,
    )


def _bench_pane(app: WorkbenchApp) -> Widget:
    from npurun_tui import bench_tab
    from npurun_tui.screens.bench import BenchPane

    app.reports.follow_bench()
    parts = bench_tab.here(app.services, app.reports.follow_engine, app.before_load)
    return BenchPane(parts, app.services.remembered)


def _server_pane(app: WorkbenchApp) -> Widget:
    from npurun_tui.screens.server import ServerPane
    from npurun_tui.server.config import ServerConfig

    services = app.services
    return ServerPane(
        app.reports.follow_server(),
        app.services.engine_status,
        services.remembered,
        ServerConfig(max_queue=services.settings.max_queue),
        services.installed_names,
    )


TABS: tuple[tuple[str, str, Callable[[WorkbenchApp], Widget]], ...] = (
    ("models", "Models", _models_pane),
    ("chat", "Chat", _chat_pane),
    ("bench", "Bench", _bench_pane),
    ("server", "Server", _server_pane),
)
"""Every tab that works: id, title, and how its pane is made."""
