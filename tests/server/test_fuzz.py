"""Hundreds of broken requests and rude clients, from a seed: the server answers the next one, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from contextlib import suppress

import psutil
import pytest

from npurun_tui.server.config import Limits
from tests.support.live_server import Live, serving, until

SEEDS = (
    b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b'POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\n\r\n{"text":"hi"}',
    b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'd\r\n{"text":"hi"}\r\n0\r\n\r\n',
    b"POST /v1/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /v1/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    b"GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"OPTIONS /v1/echo HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
    b"Access-Control-Request-Method: POST\r\n\r\n",
)
PIECES = (
    b"\r\n",
    b"\0",
    b"\xff",
    b": ",
    b"Host: x\r\n",
    b"Content-Length: 9",
    b"chunked",
    b"{[",
    b"A" * 999,
)


def broken(chance: random.Random) -> bytes:
    """A request with some of it changed."""
    data = bytearray(chance.choice(SEEDS) * chance.choice((1, 1, 1, 3)))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(data) or 1)
        match chance.randrange(4):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                data[at:at] = chance.choice(PIECES)
            case 2:
                del data[at : at + chance.randrange(1, 20)]
            case _:
                data = data[: at + 1]
    return bytes(data)


async def be_rude(live: Live, data: bytes, chance: random.Random) -> None:
    """Send it in pieces, perhaps wait for something, and leave."""
    raw = await live.connect()
    with suppress(ConnectionError, TimeoutError):
        cut = chance.randrange(len(data) + 1)
        await raw.send(data[:cut])
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        await raw.send(data[cut:])
        async with asyncio.timeout(chance.choice((0, 0.02, 0.1))):
            await raw.reader.read(4096)
    await raw.close()


@pytest.mark.parametrize("seed", range(4))
async def test_broken_requests_break_nothing(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    limits = Limits(header_deadline=1, body_idle=1, keep_alive=1, write_stall=1, connections=20)
    async with serving(limits=limits) as live:
        await live.ask("GET /open HTTP/1.1")
        gc.collect()
        process = psutil.Process()
        threads, descriptors = threading.active_count(), process.num_fds()
        for _ in range(40):
            await asyncio.gather(*(be_rude(live, broken(chance), chance) for _ in range(5)))
        await until(lambda: live.app.flights.counts.active == 0)
        assert (await live.ask("GET /open HTTP/1.1")).status == 200
        assert live.app._budget.taken == 0
        await until(lambda: live.seen.opened == len(live.seen.records))
        assert {r.status for r in live.seen.records} <= {
            200,
            204,
            400,
            403,
            404,
            405,
            408,
            413,
            415,
            499,
        }
        await until(lambda: process.num_fds() <= descriptors)
        assert threading.active_count() <= threads
    assert [entry.getMessage() for entry in caplog.records if entry.levelname == "ERROR"] == []
