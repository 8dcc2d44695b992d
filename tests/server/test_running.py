"""A server's life: where it listens, what it refuses to do, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from npurun_tui.errors import EngineError
from npurun_tui.server import threads
from npurun_tui.server.binding import CannotServe, bind, url_of
from npurun_tui.server.config import Limits, ServerConfig
from npurun_tui.server.running import RunningServer, Site
from npurun_tui.server.tokens import hash_token
from tests.support.certificate import make
from tests.support.live_server import Live, Raw, serving, until

GRACE = Limits(shutdown=5)


async def start(live: Live, path: str) -> Raw:
    """A request that has reached its route."""
    live.seen.started.clear()
    raw = await live.connect()
    head = f"POST /v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    await raw.send(head.encode())
    await until(live.seen.started.is_set)
    return raw


# --- the beginning ---------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "example.com"])
async def test_strangers_are_not_let_in_without_a_token(host: str) -> None:
    with pytest.raises(CannotServe, match="no token is set") as refusal:
        async with serving(host=host):
            pass
    assert "--i-know-insecure" in refusal.value.mend


@pytest.mark.parametrize(
    "settings", [{}, {"admin_token": hash_token("x")}, {"insecure": True, "host": "0.0.0.0"}]
)
async def test_any_web_page_is_not_let_in_without_a_token(settings: dict[str, object]) -> None:
    with pytest.raises(CannotServe, match="Any web page") as refusal:
        async with serving(cors_origins=("https://a.example", "*"), **settings):
            pass
    assert "--cors-origin" in refusal.value.mend


@pytest.mark.parametrize("settings", [{"infer_token": hash_token("x")}, {"insecure": True}])
async def test_a_token_or_the_users_word_lets_them_in(settings: dict[str, object]) -> None:
    async with serving(host="0.0.0.0", **settings) as live:
        assert (await live.ask("GET /open HTTP/1.1")).status == 200


async def test_an_admins_token_alone_protects_too_little() -> None:
    with pytest.raises(CannotServe, match="no token is set"):
        async with serving(host="0.0.0.0", admin_token=hash_token("x")):
            pass


async def test_a_port_in_use_is_said_and_nothing_is_left() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotServe, match=f"Port {port} on 127.0.0.1 is in use"):
            async with serving(port=port):
                pass
    assert not server_threads()


async def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(CannotServe, match="not an address of this machine"):
        async with serving(host="192.0.2.1", insecure=True):
            pass


async def test_an_unknown_name_is_said() -> None:
    with pytest.raises(CannotServe, match="no address called"):
        async with serving(host="no-such-name.invalid", insecure=True):
            pass


async def test_a_chosen_port_is_kept_and_localhost_has_all_its_addresses() -> None:
    async with serving(host="localhost") as live:
        assert live.url == f"http://localhost:{live.port}"
        assert (await live.ask("GET /open HTTP/1.1")).status == 200
    async with serving(port=live.port) as again:
        assert again.port == live.port


def test_answers_are_sent_without_waiting_for_more() -> None:
    """asyncio switches Nagle's algorithm off for sockets that name their protocol."""
    for listening in bind("localhost", 0):
        with listening:
            assert listening.proto == socket.IPPROTO_TCP


async def test_a_failure_of_the_parts_is_the_starts() -> None:
    async def build() -> Site:
        raise EngineError("No engine.", mend="Get one.")

    server = RunningServer(ServerConfig(port=0), build)
    with pytest.raises(EngineError, match="No engine"):
        await server.start()
    await server.stop()
    assert not server_threads()


async def test_a_start_that_is_cancelled_leaves_nothing() -> None:
    begun = threading.Event()

    async def build() -> Site:
        begun.set()
        await asyncio.sleep(0.2)
        raise EngineError("too late")

    server = RunningServer(ServerConfig(port=0), build)
    task = asyncio.create_task(server.start())
    await until(begun.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not server_threads()


def test_urls() -> None:
    assert url_of(ServerConfig(host="::1"), 1) == "http://[::1]:1"
    assert url_of(ServerConfig(tls_cert=Path("x")), 2) == "https://127.0.0.1:2"
    assert url_of(ServerConfig(host="0.0.0.0"), 3) == f"http://{socket.gethostname()}:3"


# --- the end ---------------------------------------------------------------------------------------


def server_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("npurun-tui server")]


async def test_twenty_lives_leave_no_thread_and_no_descriptor() -> None:
    switch = sys.getswitchinterval()

    async def live_once() -> None:
        async with serving() as live:
            assert (await live.ask("GET /open HTTP/1.1")).status == 200
            await live.connect()
            await start(live, "stream")
            await start(live, "slow")

    await live_once()
    gc.collect()
    process = psutil.Process()
    threads, descriptors = threading.active_count(), process.num_fds()
    for _ in range(20):
        await live_once()
    gc.collect()
    assert threading.active_count() == threads
    assert process.num_fds() == descriptors
    assert sys.getswitchinterval() == switch


async def test_a_thread_that_is_stuck_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a disk that does not answer would have it."""
    monkeypatch.setattr(threads, "LEAVING", 0.1)
    free, entered = threading.Event(), threading.Event()

    def stuck() -> None:
        entered.set()
        free.wait()

    try:
        async with serving() as live:

            async def begin() -> None:
                asyncio.get_running_loop().run_in_executor(None, stuck)

            await live.server.call(begin)
            await until(entered.is_set)
            async with asyncio.timeout(20):
                await live.server.stop()
            assert not free.is_set()
    finally:
        free.set()
    await until(lambda: not server_threads())


async def test_a_stop_lets_requests_finish() -> None:
    async with serving(limits=GRACE) as live:
        raw = await live.connect()
        await raw.send(b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\n\r\n")
        await until(lambda: live.seen.opened == 1)
        stop = asyncio.create_task(live.server.stop())
        await asyncio.sleep(0.1)
        with pytest.raises(OSError):  # noqa: PT011 - refused, in each system's own words
            await asyncio.open_connection("127.0.0.1", live.port)
        await raw.send(b'{"text":"hi"}')
        reply = await raw.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        began = time.monotonic()
        await stop
        assert time.monotonic() - began < 2


async def test_a_stop_aborts_what_does_not_finish() -> None:
    async with serving() as live:
        slow, stream = await start(live, "slow"), await start(live, "stream")
        began = time.monotonic()
        await live.server.stop()
        assert 0.3 < time.monotonic() - began < 3
        reply = await slow.reply()
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert b"0\r\n\r\n" not in (await stream.end())[-5:]
        assert (live.seen.cancelled, live.seen.ended) == (1, 1)
        assert {record.outcome for record in live.seen.records} == {"the server was stopped"}
        assert live.seen.errors == [None]


async def test_a_stop_that_is_cancelled_aborts_at_once() -> None:
    async with serving(limits=Limits(shutdown=60)) as live:
        slow = await start(live, "slow")
        stop = asyncio.create_task(live.server.stop())
        await asyncio.sleep(0.1)
        stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop
        assert (await slow.reply()).status == 503
        began = time.monotonic()
        await live.server.stop()
        assert time.monotonic() - began < 3


async def test_an_idle_server_stops_at_once_with_connections_open() -> None:
    async with serving(limits=Limits()) as live:
        idle = await live.connect()
        half = await live.connect()
        await half.send(b"GET /open HTTP/1.1\r\n")
        await live.ask("GET /open HTTP/1.1")
        began = time.monotonic()
        await live.server.stop()
        assert time.monotonic() - began < 1
        assert await idle.end() == b""
        await live.server.stop()


async def test_a_request_is_aborted_by_its_record() -> None:
    async with serving() as live:
        for path, status in (("slow", 503), ("stream", 200)):
            raw = await start(live, path)
            (flight,) = live.app.flights._flights.values()
            live.server.abort(flight.record.id)
            reply = await raw.head()
            assert reply.status == status
            rest = await raw.end() if path == "stream" else b""
            assert not rest.endswith(b"0\r\n\r\n")
            await until(lambda: live.app.flights.counts.active == 0)
        assert {record.outcome for record in live.seen.records} == {"aborted here"}
        live.server.abort("unknown")
        assert (await live.ask("GET /open HTTP/1.1")).status == 200


async def test_work_is_done_on_the_servers_loop() -> None:
    async with serving() as live:

        async def where() -> str:
            return threading.current_thread().name

        assert await live.server.call(where) == "npurun-tui server"
    with pytest.raises(CannotServe, match="not running"):
        await live.server.call(where)


# --- TLS -------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str, password: bytes = b"") -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    made = make(name, password)
    cert_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    cert_file.write_bytes(made.certificate)
    key_file.write_bytes(made.key)
    return cert_file, key_file


async def test_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "one")
    async with serving(tls_cert=cert, tls_key=key) as live:
        assert live.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(cert))
        reader, writer = await asyncio.open_connection("127.0.0.1", live.port, ssl=context)
        raw = Raw(reader, writer)
        await raw.send(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await raw.reply()).body == b"open"
        await raw.send(b"GET /open HTTP/1.1\r\nX: " + b"a" * 40_000)
        assert (await raw.reply()).status == 431
        await raw.close()
        plain = await live.connect()
        await plain.send(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" not in await plain.end()
        silent = await live.connect()
        began = time.monotonic()
        assert await silent.end() == b""
        assert time.monotonic() - began < 3


async def test_one_file_may_have_both(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "one")
    both = tmp_path / "both"
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    async with serving(tls_cert=both) as live:
        context = ssl.create_default_context(cafile=str(cert))
        reader, writer = await asyncio.open_connection("127.0.0.1", live.port, ssl=context)
        raw = Raw(reader, writer)
        await raw.send(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await raw.reply()).status == 200
        await raw.close()


async def test_who_reads_nothing_over_tls_is_dropped(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "one")
    async with serving(tls_cert=cert, tls_key=key) as live:
        context = ssl.create_default_context(cafile=str(cert))
        reader, writer = await asyncio.open_connection("127.0.0.1", live.port, ssl=context)
        raw = Raw(reader, writer)
        body = b'{"size": 50000}'
        head = f"POST /v1/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        await raw.send(head.encode() + body)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: live.seen.ended == 1, 20)
        await raw.close()


async def test_tls_files_that_cannot_be_used(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "one")
    _, other = certificate(tmp_path, "two")
    _, locked = certificate(tmp_path, "three", b"password")
    text = tmp_path / "text"
    text.write_text("no certificate")
    cases: list[tuple[Path | None, Path | None, str]] = [
        (cert, None, "not a PEM certificate"),
        (None, key, "without its certificate"),
        (tmp_path / "missing", key, "missing cannot be read"),
        (cert, tmp_path / "missing", "missing cannot be read"),
        (cert, other, "is not the key of"),
        (text, key, "not a PEM certificate"),
        (cert, text, "not a PEM certificate"),
        (cert, locked, "without a password"),
    ]
    for cert_file, key_file, words in cases:
        with pytest.raises(CannotServe, match=words):
            async with serving(tls_cert=cert_file, tls_key=key_file):
                pass
    assert not server_threads()
