"""The probes of what a server has to withstand, with real sockets and deadlines that a test can wait for."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from npurun_tui.server.config import Limits
from tests.support.live_server import QUICK, Live, Raw, serving, until

LOOSE = Limits()


async def test_a_silent_connection_is_ended() -> None:
    async with serving() as live:
        raw = await live.connect()
        began = time.monotonic()
        reply = await raw.reply()
        assert reply.status == 408
        assert 0.3 < time.monotonic() - began < 3
        assert reply.headers["connection"] == "close"
        await raw.end()
        await raw.close()


async def test_a_head_that_trickles_is_ended() -> None:
    async with serving() as live:
        raw = await live.connect()

        async def trickle() -> None:
            for byte in b"GET /open HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 1000:
                raw.writer.write(bytes([byte]))
                await asyncio.sleep(0.05)

        task = asyncio.create_task(trickle())
        assert (await raw.reply()).status == 408
        task.cancel()
        await raw.close()


async def test_line_ends_do_not_keep_a_connection() -> None:
    async with serving() as live:
        raw = await live.connect()
        await raw.send(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await raw.reply()).status == 200
        await raw.send(b"\r\n")
        assert (await raw.reply()).status == 408
        await raw.close()


@pytest.mark.parametrize("size", [33 << 10, 128 << 10, 10 << 20])
async def test_a_large_head_is_refused(size: int) -> None:
    async with serving() as live:
        raw = await live.connect()
        try:
            await raw.send(
                b"GET /open HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * size + b"\r\n\r\n"
            )
            status = (await raw.reply()).status
        except ConnectionError:
            status = 431 if size > 1 << 20 else 0  # it was closed while the client still sent
        assert status == 431
        await raw.close()


async def test_a_large_head_is_refused_before_it_is_whole() -> None:
    async with serving() as live:
        raw = await live.connect()
        for size, status in ((100, 200), (40_000, 431)):
            await raw.send(b"GET /open HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * size)
            await raw.send(b"\r\n\r\n" if status == 200 else b"")
            assert (await raw.reply()).status == status


async def test_a_long_target_is_refused() -> None:
    async with serving() as live:
        reply = await live.ask(f"GET /{'a' * 40_000} HTTP/1.1")
        assert reply.status == 431


async def test_the_largest_head_is_taken() -> None:
    async with serving() as live:
        assert (await live.ask(f"GET /open HTTP/1.1\nX: {'a' * 32_000}")).status == 200


async def test_too_many_headers_are_refused() -> None:
    async with serving() as live:
        lines = "\n".join(f"X-{n}: 1" for n in range(100))
        assert (await live.ask(f"GET /open HTTP/1.1\n{lines}")).status == 431
        lines = "\n".join(f"X-{n}: 1" for n in range(99))
        assert (await live.ask(f"GET /open HTTP/1.1\n{lines}")).status == 200


@pytest.mark.parametrize(
    "head",
    [
        "GET /open HTTP/1.1\n\n",
        "GET /open HTTP/1.0\n\n",
        "GET /open HTTP/1.1\nHost: localhost\nHost: localhost\n\n",
        "GET /open HTTP/1.1\nHost: localhost\nHost: evil.example\n\n",
        "GET http://evil.example/open HTTP/1.1\nHost: localhost\n\n",
        "GET http://localhost/open HTTP/1.1\nHost: localhost\n\n",
        "CONNECT localhost:80 HTTP/1.1\nHost: localhost\n\n",
        "CONNECT /open HTTP/1.1\nHost: localhost\n\n",
        "OPTIONS * HTTP/1.1\nHost: localhost\n\n",
        "POST /v1/echo HTTP/1.1\nHost: localhost\nContent-Length: 2\nTransfer-Encoding: chunked\n\n",
        "POST /v1/echo HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\nContent-Length: 2\n\n",
        "POST /v1/echo HTTP/1.1\nHost: localhost\nContent-Length: 2\nContent-Length: 3\n\n",
        "POST /v1/echo HTTP/1.1\nHost: localhost\nContent-Length: -2\n\n",
        "POST /v1/echo HTTP/1.1\nHost: localhost\nTransfer-Encoding: gzip, chunked\n\n",
        "POST /v1/echo HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n",
        "POST /v1/echo HTTP/1.1\nHost : localhost\n\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\n\n",
    ],
)
async def test_what_is_not_one_clear_request_is_refused(head: str) -> None:
    async with serving() as live:
        reply = await live.raw(head)
        assert reply.status == 400
        assert reply.json["error"]
        assert live.seen.opened == 0


async def test_a_second_request_before_the_answer_is_not_served() -> None:
    """Otherwise the first one's client could leave unseen and keep the permit."""
    async with serving() as live:
        raw = await live.connect()
        one = b"POST /v1/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        await raw.send(one)
        await until(live.seen.started.is_set)
        await raw.send(one * 50)
        await raw.close()
        await until(lambda: live.seen.cancelled == 1)
        assert live.seen.opened == 1


async def test_trailers_are_not_headers() -> None:
    async with serving() as live:
        body = b'10\r\n{"text":"hello"}\r\n0\r\nHost: evil.example\r\n\r\n'
        reply = await live.ask("POST /v1/echo HTTP/1.1\nTransfer-Encoding: chunked", body)
        assert reply.status == 200
        assert reply.json["text"] == "hello"


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with serving() as live:
        reply = await live.ask("POST /v1/echo HTTP/1.1\nContent-Length: 100", b'{"te')
        assert reply.status == 408
        assert reply.json["error"]["code"] == "request_timeout"
        await until(lambda: bool(live.seen.records))
        assert live.seen.records[0].status == 408


async def test_a_body_that_trickles_is_not_waited_for() -> None:
    async with serving() as live:
        raw = await live.connect()
        await raw.send(b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")

        async def trickle() -> None:
            while True:
                raw.writer.write(b"a")
                await asyncio.sleep(0.1)

        task = asyncio.create_task(trickle())
        began = time.monotonic()
        assert (await raw.reply()).status == 408
        assert time.monotonic() - began < 3
        task.cancel()
        await raw.close()


async def test_an_idle_connection_is_closed_and_not_before() -> None:
    async with serving() as live:
        raw = await live.connect()
        for _ in range(3):
            await raw.send(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await raw.reply()).status == 200
            await asyncio.sleep(0.2)
        began = time.monotonic()
        assert await raw.end() == b""
        assert time.monotonic() - began < 3
        await raw.close()


async def test_an_answer_survives_the_body_that_is_not_read() -> None:
    """A 404 while 8 MB are still being sent: the client must get to read it, and is not served for ever."""
    async with serving() as live:
        raw = await live.connect()
        size = 8 << 20
        head = f"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
        await raw.send(head.encode() + b"x" * (size - 1))
        assert (await raw.reply()).status == 404
        await raw.send(b"x")
        await raw.send(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await raw.reply()).status == 200
        await raw.close()


async def test_a_body_without_end_is_cut_off_after_the_answer() -> None:
    async with serving() as live:
        raw = await live.connect()
        await raw.send(
            b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n"
        )
        assert (await raw.reply()).status == 404
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 10:
                await raw.send(b"x")
                await asyncio.sleep(0.05)
        assert time.monotonic() - began < 5
        await raw.close()


async def _connections(live: Live, count: int) -> list[Raw]:
    return [await live.connect() for _ in range(count)]


@pytest.mark.parametrize(
    "limits",
    [
        Limits(connections=5, connections_per_peer=99),
        Limits(connections=99, connections_per_peer=5),
    ],
)
async def test_connections_are_limited_and_given_back(limits: Limits) -> None:
    async with serving(limits=limits) as live:
        held = await _connections(live, 5)
        for raw in held:  # all of them are seen by the server before the next comes
            await raw.send(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await raw.reply()).status == 200
        extra = await live.connect()
        reply = await extra.reply()
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        await extra.end()
        await extra.close()
        for raw in held:
            await raw.close()
        assert (await live.ask("GET /open HTTP/1.1")).status == 200


@pytest.mark.parametrize("size", [200, 100_000])
async def test_who_reads_nothing_is_dropped_and_the_generation_ends(size: int) -> None:
    async with serving() as live:
        raw = await live.connect()
        body = b'{"size": %d}' % size
        head = f"POST /v1/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await raw.send(head.encode() + body)
        await until(lambda: live.seen.ended == 1, 20)
        await until(lambda: bool(live.seen.records))
        assert live.seen.records[0].outcome == "client left"
        await raw.close()


async def test_who_reads_slowly_is_served() -> None:
    """20 KiB and more in each period is enough, though the buffer is never empty."""
    async with serving() as live:
        raw = await live.connect()
        body = b'{"size": 2000000, "pause": 1000}'
        head = f"POST /v1/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        await raw.send(head.encode() + body)
        read = 0
        while read < 2_000_000:
            read += len(await raw.reader.readexactly(100_000))
            await asyncio.sleep(0.05)
        assert live.seen.ended == 0
        await raw.close()
        await until(lambda: live.seen.ended == 1)


async def test_who_leaves_a_blocking_answer_or_a_stream_ends_it() -> None:
    async with serving() as live:
        for path, ended in (
            ("slow", lambda: live.seen.cancelled),
            ("stream", lambda: live.seen.ended),
        ):
            live.seen.started.clear()
            raw = await live.connect()
            await raw.send(
                f"POST /v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()
            )
            await until(live.seen.started.is_set)
            await raw.close()
            await until(lambda ended=ended: ended() == 1)  # type: ignore[misc]
        await until(lambda: len(live.seen.records) == 2)
        assert [record.status for record in live.seen.records] == [499, 200]
        assert {record.outcome for record in live.seen.records} == {"client left"}


async def test_a_wish_for_http2_is_answered_in_http1() -> None:
    """Java's client sends one with its first request, also with a body."""
    async with serving() as live:
        raw = await live.connect()
        body = b'{"text":"hi"}'
        head = f"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        upgrade = (
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAA\r\n\r\n"
        )
        for more in (upgrade, "\r\n", upgrade):
            await raw.send(head.encode() + more.encode() + body)
            assert (await raw.reply()).json["text"] == "hi"
        await raw.close()


async def test_a_client_that_waits_for_leave_gets_it_only_where_it_may_send() -> None:
    async with serving() as live:
        raw = await live.connect()
        head = "POST /{} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n"
        await raw.send(head.format("v1/echo").encode())
        assert (await raw.head()).status == 100
        await raw.send(b'{"text":"hi"}')
        assert (await raw.reply()).status == 200
        await raw.close()
        raw = await live.connect()
        await raw.send(head.format("nothing").encode())
        assert (await raw.reply()).status == 404
        await raw.close()


async def test_patience_is_the_configs() -> None:
    assert QUICK.header_deadline < LOOSE.header_deadline
    assert (LOOSE.header_deadline, LOOSE.body_idle, LOOSE.write_stall) == (10, 30, 60)
