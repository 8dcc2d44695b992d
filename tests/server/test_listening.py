"""A listener leaves nobody behind, at whichever turn of its loop somebody comes."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from npurun_tui.server.app import build_app
from npurun_tui.server.binding import tls_context
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.context import ServerContext
from npurun_tui.server.listening import Listener
from tests.server.test_running import certificate


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_who_comes_as_the_server_ends_is_hung_up_on(
    turns: int, tmp_path: Path, *, tls: bool
) -> None:
    cert, key = certificate(tmp_path, "one") if tls else (None, None)
    config = ServerConfig(tls_cert=cert, tls_key=key)
    app = build_app(ServerContext(config, None, None), [])  # type: ignore[arg-type]  # nobody asks them
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    with socket.socket() as client:
        async with Listener(config.limits, app, [listening], tls_context(config)):
            client.connect(listening.getsockname())
            for _ in range(turns):
                await asyncio.sleep(0)
        client.settimeout(5)
        with suppress(ConnectionResetError):
            assert await asyncio.to_thread(client.recv, 1) == b""
