"""TLS connections are counted from the first byte on, and none outlives its server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx

from tests.server.test_running import certificate
from tests.support.live_server import QUICK, serving, until

PATIENT = replace(QUICK, header_deadline=60)


async def test_connections_that_never_shake_hands_are_limited_too(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "one")
    async with serving(tls_cert=cert, tls_key=key, limits=PATIENT) as live:
        silent = [await live.connect() for _ in range(100)]
        ends = [asyncio.create_task(raw.end(60)) for raw in silent]
        await until(lambda: sum(end.done() for end in ends) >= 68)
        assert sum(end.done() for end in ends) == 68
        for raw in silent:
            await raw.close()
        await asyncio.gather(*ends)
        async with httpx.AsyncClient(verify=False) as client:  # noqa: S501 - it is its own
            answers = await asyncio.gather(*(client.get(f"{live.url}/open") for _ in range(5)))
        assert {answer.status_code for answer in answers} == {200}


async def test_a_handshake_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "one")
    async with serving(tls_cert=cert, tls_key=key) as live:
        for first in (b"", b"\x16\x03\x01", b"GET /open HTTP/1.1\r\n\r\n"):
            raw = await live.connect()
            await raw.send(first)
            assert b"HTTP/1.1" not in await raw.end()
            await raw.close()
        assert live.seen.opened == 0


async def test_a_server_stops_in_the_middle_of_a_handshake(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "one")
    async with serving(tls_cert=cert, tls_key=key, limits=PATIENT) as live:
        raw = await live.connect()
        await raw.send(b"\x16\x03\x01")
        async with asyncio.timeout(5):
            await live.server.stop()
        assert await raw.end() == b""
    assert live.seen.errors == [None]
