"""What the workbench shows while it is attached to a server: the same tabs over that server; and the way there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from textual.widget import Widget

from npurun_tui.attach.there import ServerThere
from npurun_tui.errors import NpurunError
from npurun_tui.screens.attach_offer import AttachScreen
from npurun_tui.server import beacon

if TYPE_CHECKING:
    from pathlib import Path

    from npurun_tui.app import WorkbenchApp
    from npurun_tui.attach.services import Attachment
    from npurun_tui.server.beacon import Beacon

PATIENCE: Final = 3.0
"""Seconds for a server of this machine to say that it is there."""


def attached_tabs(
    app: WorkbenchApp, attached: Attachment
) -> tuple[tuple[str, str, Callable[[], Widget]], ...]:
    """Id, title, and how the pane is made."""

    def models() -> Widget:
        from npurun_tui.screens.attached_models import AttachedModels

        return AttachedModels(attached, attached.pulls)

    def chat() -> Widget:
        from npurun_tui.screens.chat import ChatPane

        services = app.services
        return ChatPane(
            app.reports.follow_engine(),
            services.chats,
            services.remembered,
            spec_of=attached.spec_of,
            installed=attached.installed_names,
            where=attached.there.where,
        )

    def bench() -> Widget:
        from npurun_tui import bench_tab
        from npurun_tui.screens.bench import BenchPane

        app.reports.follow_bench()
        return BenchPane(bench_tab.there(app.services, attached), app.services.remembered)

    def server() -> Widget:
        from npurun_tui.screens.attached_server import AttachedServer

        return AttachedServer(attached)

    return (
        ("models", "Models", models),
        ("chat", "Chat", chat),
        ("bench", "Bench", bench),
        ("server", "Server", server),
    )


async def running_elsewhere(path: Path) -> tuple[Beacon, bool] | None:
    """The server of another process on this machine that lives and answers, and whether it asks for a token."""
    found = await asyncio.to_thread(beacon.find_other, path)
    if found is None:
        return None
    try:
        async with asyncio.timeout(PATIENCE):
            health = await ServerThere(found.url).health()
    except (NpurunError, TimeoutError):
        return None
    return found, health.get("auth") is True


async def offer(app: WorkbenchApp, token: str) -> tuple[str, str] | None:
    """Ask whether to attach to a server of this machine, if one runs: its address and token where the answer is yes.

    `token` is what the person has given for such a server.
    """
    found = await running_elsewhere(app.services.paths.beacon)
    if found is None or isinstance(app.screen, AttachScreen):
        return None
    server, asks = found
    answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def answered(chosen: str | None) -> None:
        if not answer.done():  # who asked has gone meanwhile
            answer.set_result(chosen)

    box = AttachScreen(server.url, server.pid, token=asks, known=token)
    await app.push_screen(box, answered)
    chosen = await answer
    return None if chosen is None else (server.url, chosen)
