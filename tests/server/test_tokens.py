"""Tokens: made, kept as hashes, compared, slowed; and who may do what, over real sockets."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest

from npurun_tui.server.throttle import PEERS, TRIES, WINDOW, Throttle
from npurun_tui.server.tokens import hash_token, new_token
from tests.support.live_server import Live, Reply, serving

INFER, ADMIN = "npt_infer", "npt_admin"
BOTH = {"infer_token": hash_token(INFER), "admin_token": hash_token(ADMIN)}


async def infer(live: Live, *lines: str) -> Reply:
    return await live.ask("\n".join(("GET /v1/models/x HTTP/1.1", *lines)))


async def admin(live: Live, *lines: str) -> Reply:
    return await live.ask("\n".join(("DELETE /api/delete HTTP/1.1", *lines)))


def test_a_token_is_random_recognisable_and_kept_as_its_hash() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"npt_[A-Za-z0-9_-]{43}", token) for token in tokens)
    assert hash_token("x") == hashlib.sha256(b"x").digest()


async def test_without_a_token_any_key_is_taken() -> None:
    """SDKs insist on sending one."""
    async with serving() as live:
        for line in ("X: y", "Authorization: Bearer sk-dummy", "Authorization: Basic eA=="):
            assert (await infer(live, line)).status == 200
            assert (await admin(live, line)).status == 200


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Bearer {INFER}",
        f"Authorization: bearer {INFER}",
        f"Authorization: BEARER   {INFER}",
        f"X-Api-Key: {INFER}",
        f"Api-Key: {INFER}",
        f"Authorization: Bearer {INFER}\nX-Api-Key: {INFER}",
    ],
)
async def test_a_token_may_come_in_any_of_these(line: str) -> None:
    async with serving(**BOTH) as live:
        assert (await infer(live, line)).status == 200


@pytest.mark.parametrize(
    "line",
    [
        "X: y",
        "Authorization: Bearer",
        "Authorization: Bearer ",
        "Authorization: Bearer wrong",
        f"Authorization: Bearer {INFER}x",
        f"Authorization: Bearer {INFER[:-1]}",
        f"Authorization: Basic {INFER}",
        f"Authorization: {INFER}",
        f"Authorization: Bearer {hash_token(INFER).hex()}",
        "X-Api-Key: wrong",
        f"Cookie: token={INFER}",
    ],
)
async def test_everything_else_is_refused(line: str) -> None:
    async with serving(**BOTH) as live:
        for reply in (await infer(live, line), await admin(live, line)):
            assert reply.status == 401
            assert reply.headers["www-authenticate"].startswith("Bearer")
            assert INFER not in reply.body.decode()
        error = (await infer(live, line)).json["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")


@pytest.mark.parametrize(
    "lines",
    [
        (f"Authorization: Bearer {INFER}", "X-Api-Key: other"),
        (f"X-Api-Key: {INFER}", "Authorization: Bearer other"),
        (f"Authorization: Bearer {INFER}", f"Authorization: Bearer {ADMIN}"),
        (f"Api-Key: {INFER}", f"X-Api-Key: {ADMIN}"),
    ],
)
async def test_two_different_tokens_are_refused(lines: tuple[str, ...]) -> None:
    async with serving(**BOTH) as live:
        assert (await infer(live, *lines)).status == 401
        assert (await admin(live, *lines)).status == 401


async def test_a_token_in_the_query_is_none() -> None:
    async with serving(**BOTH) as live:
        reply = await live.ask(f"GET /v1/models/x?api_key={INFER}&token={INFER} HTTP/1.1")
        assert reply.status == 401


async def test_hashes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of them, each time, whatever the first says."""
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    async with serving(**BOTH) as live:
        for line in (f"X-Api-Key: {ADMIN}", f"X-Api-Key: {INFER}", "X-Api-Key: w"):
            compared.clear()
            await infer(live, line)
            assert compared == [(32, 32), (32, 32)]


async def test_two_scopes() -> None:
    async with serving(**BOTH) as live:
        assert (await infer(live, f"X-Api-Key: {ADMIN}")).status == 200
        assert (await admin(live, f"X-Api-Key: {ADMIN}")).status == 200
        assert (await infer(live, f"X-Api-Key: {INFER}")).status == 200
        reply = await admin(live, f"X-Api-Key: {INFER}")
        assert reply.status == 403
        assert "admin token" in reply.json["error"]


async def test_one_token_is_for_all_where_there_is_only_one() -> None:
    async with serving(infer_token=hash_token(INFER)) as live:
        assert (await admin(live, f"X-Api-Key: {INFER}")).status == 200
        assert (await admin(live)).status == 401
    async with serving(admin_token=hash_token(ADMIN)) as live:
        assert (await infer(live)).status == 200
        assert (await admin(live)).status == 401
        assert (await admin(live, f"X-Api-Key: {ADMIN}")).status == 200


async def test_open_routes_need_no_token_and_unknown_ones_tell_nothing_more() -> None:
    async with serving(**BOTH) as live:
        assert (await live.ask("GET /open HTTP/1.1")).status == 200
        assert (await live.ask("GET /v1/nothing HTTP/1.1")).status == 404


async def test_a_token_is_asked_for_before_the_body_is_read() -> None:
    async with serving(**BOTH) as live:
        raw = await live.connect()
        await raw.send(b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
        assert (await raw.reply()).status == 401


async def test_wrong_tokens_wait_and_right_ones_never_do() -> None:
    async with serving(**BOTH) as live:
        for n in range(TRIES):
            assert (await infer(live, f"X-Api-Key: guess{n}")).status == 401
        reply = await infer(live, "X-Api-Key: another")
        assert (reply.status, reply.headers["retry-after"]) == (429, "60")
        assert (await infer(live, "X-Api-Key: guess0")).status == 429
        assert (await infer(live, f"X-Api-Key: {INFER}")).status == 200
        assert (await admin(live, f"X-Api-Key: {ADMIN}")).status == 200
        assert (await admin(live, f"X-Api-Key: {INFER}")).status == 403
        assert (await infer(live)).status == 401
        assert (await live.ask("GET /open HTTP/1.1")).status == 200


async def test_a_client_with_an_old_token_does_not_lock_out_its_neighbours() -> None:
    async with serving(**BOTH) as live:
        for _ in range(TRIES * 3):
            assert (await infer(live, "X-Api-Key: old")).status == 401
        assert (await infer(live, f"X-Api-Key: {INFER}")).status == 200


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(throttle: Throttle, peer: str, count: int = TRIES) -> None:
    for n in range(count):
        throttle.failed(peer, bytes([n]))


def test_the_wait_ends_and_is_each_peers_own() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    fail(throttle, "192.0.2.1")
    assert throttle.blocks("192.0.2.1")
    assert not throttle.blocks("192.0.2.2")
    clock.now += WINDOW
    assert not throttle.blocks("192.0.2.1")
    fail(throttle, "192.0.2.1", TRIES - 1)
    assert not throttle.blocks("192.0.2.1")


def test_a_network_of_addresses_is_one_peer() -> None:
    throttle = Throttle()
    fail(throttle, "2001:db8::1")
    assert throttle.blocks("2001:db8::ffff:2")
    assert not throttle.blocks("2001:db8:0:1::1")


def test_memory_is_bounded() -> None:
    throttle = Throttle()
    for n in range(PEERS * 2):
        throttle.failed(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", b"x")
    assert len(throttle._peers) == PEERS
    fail(throttle, "192.0.2.1", 100)
    assert throttle.blocks("192.0.2.1")


def test_memory_of_one_peer_is_bounded() -> None:
    throttle = Throttle()
    fail(throttle, "192.0.2.1", 255)
    assert len(throttle._peers["192.0.2.1"].digests) == TRIES
