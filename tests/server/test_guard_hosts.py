"""Host: by which names a server may be called (DNS rebinding), over real sockets."""

from __future__ import annotations

import socket

import pytest

from npurun_tui.server.address import is_loopback
from npurun_tui.server.heads import Head
from npurun_tui.server.hosts import HostList, host_name
from tests.support.live_server import serving, until

EVERY_ROUTE = (
    "GET /open",
    "HEAD /open",
    "OPTIONS /open",
    "POST /v1/echo",
    "POST /api/echo",
    "POST /v1/messages",
    "DELETE /api/delete",
    "GET /nothing",
    "PUT /open",
)


@pytest.mark.parametrize("line", EVERY_ROUTE)
async def test_a_foreign_name_is_refused_on_every_route(line: str) -> None:
    async with serving() as live:
        reply = await live.raw(f"{line} HTTP/1.1\nHost: evil.example:{live.port}\n\n")
        assert reply.status == 403
        assert "access-control-allow-origin" not in reply.headers


async def test_a_foreign_names_preflight_is_refused() -> None:
    async with serving() as live:
        reply = await live.raw(
            f"OPTIONS /v1/echo HTTP/1.1\nHost: evil.example:{live.port}\n"
            f"Origin: http://localhost\nAccess-Control-Request-Method: POST\n\n"
        )
        assert reply.status == 403
        assert "access-control-allow-methods" not in reply.headers


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost:80",
        "127.0.0.1",
        "127.0.0.1:11435",
        "[::1]:11435",
        "host.docker.internal:11435",
        socket.gethostname(),
    ],
)
async def test_our_own_names_are_taken(host: str) -> None:
    async with serving() as live:
        assert (await live.raw(f"GET /open HTTP/1.1\nHost: {host}\n\n")).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "localhost.evil.example",
        "evil.example#localhost",
        "localhost@evil.example",
        "evil.example, localhost",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "0.0.0.0",
        "localhost.",
        "localhost:port",
        "[::1",
        "2130706433",
        "0x7f.1",
        "",
        " ",
    ],
)
async def test_what_only_looks_like_ours_is_refused(host: str) -> None:
    async with serving() as live:
        assert (await live.raw(f"GET /open HTTP/1.1\nHost: {host}\n\n")).status == 403


async def test_further_names_are_allowed_exactly() -> None:
    async with serving(
        allowed_hosts=("Models.example", "other.example:8443", "[2001:db8::1]")
    ) as live:
        for host, status in (
            ("models.example", 200),
            ("models.example:443", 200),
            ("other.example", 200),
            ("[2001:db8::1]:80", 200),
            ("x.models.example", 403),
            ("models.example.evil", 403),
        ):
            assert (await live.raw(f"GET /open HTTP/1.1\nHost: {host}\n\n")).status == status


async def test_beyond_loopback_the_reached_address_is_a_name_and_a_foreign_one_is_not() -> None:
    async with serving(host="0.0.0.0", insecure=True) as live:
        assert (await live.raw("GET /open HTTP/1.1\nHost: 127.0.0.1\n\n")).status == 200
        assert (await live.raw("GET /open HTTP/1.1\nHost: evil.example\n\n")).status == 403
        assert (await live.raw("GET /open HTTP/1.1\nHost: 0.0.0.0\n\n")).status == 403


def head_of(host: bytes, local: str) -> Head:
    return Head(
        {
            "method": "GET",
            "path": "/",
            "client": ("203.0.113.9", 1),
            "server": (local, 11435),
            "headers": [(b"host", host)],
        }
    )


def test_the_address_a_client_has_reached_is_ours() -> None:
    hosts = HostList("0.0.0.0", ())
    hosts.check(head_of(b"192.0.2.7:11435", "192.0.2.7"))
    hosts.check(head_of(b"192.0.2.7:11435", "::ffff:192.0.2.7"))
    hosts.check(head_of(b"[2001:db8::7]:11435", "2001:db8::7"))
    with pytest.raises(Exception, match="does not go by"):
        hosts.check(head_of(b"192.0.2.8:11435", "192.0.2.7"))


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.0.2.1", False),
        ("localhost.example", False),
    ],
)
def test_loopback(host: str, answer: bool) -> None:
    assert is_loopback(host) is answer


def test_a_hosts_name() -> None:
    assert host_name("[::1]:80") == "::1"
    assert host_name("LocalHost:1") == "localhost"
    assert host_name("a b") == ""


async def test_a_refusal_is_in_the_log_and_says_how_to_mend_it() -> None:
    async with serving() as live:
        reply = await live.raw("GET /v1/models/x HTTP/1.1\nHost: evil.example\n\n")
        assert "--allowed-host" in reply.json["error"]["message"]
        assert "evil" not in reply.body.decode()
        await until(lambda: bool(live.seen.records))
        assert live.seen.records[0].status == 403
        assert live.seen.records[0].route == ""
