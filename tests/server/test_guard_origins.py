"""Origin, Sec-Fetch-Site and CORS: which web pages may call a server, over real sockets."""

from __future__ import annotations

import pytest

from npurun_tui.server.tokens import hash_token
from tests.support.live_server import Live, Reply, serving, until

TOKEN = hash_token("secret")

OURS = (
    "http://localhost",
    "http://localhost:3000",
    "https://localhost:8443",
    "http://127.0.0.1:8080",
    "http://[::1]:8080",
    "app://obsidian.md",
    "tauri://localhost",
    "vscode-webview://1234abcd",
)
FOREIGN = (
    "https://evil.example",
    "http://localhost.evil.example",
    "http://localhost@evil.example",
    "http://127.0.0.1.evil.example",
    "http://localhost:80:80",
    "null",
    "file://",
    "file:///home/x.html",
    "chrome-extension://abcdef",
    "*",
    "http://localhost http://evil.example",
    "",
)


async def post(live: Live, *lines: str) -> Reply:
    body = b'{"text":"hi"}'
    head = "\n".join(("POST /v1/echo HTTP/1.1", f"Content-Length: {len(body)}", *lines))
    return await live.ask(head, body)


async def preflight(live: Live, origin: str, *lines: str, path: str = "/v1/echo") -> Reply:
    head = (
        f"OPTIONS {path} HTTP/1.1",
        f"Origin: {origin}",
        "Access-Control-Request-Method: POST",
        *lines,
    )
    return await live.ask("\n".join(head))


@pytest.mark.parametrize("origin", OURS)
async def test_pages_of_this_machine_may(origin: str) -> None:
    async with serving() as live:
        reply = await post(live, f"Origin: {origin}")
        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in reply.headers
        asked = await preflight(live, origin)
        assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, origin)
        assert "access-control-allow-credentials" not in asked.headers


@pytest.mark.parametrize("origin", FOREIGN)
async def test_pages_of_others_are_refused_before_anything_runs(origin: str) -> None:
    async with serving() as live:
        for reply in (await post(live, f"Origin: {origin}"), await preflight(live, origin)):
            assert reply.status == 403
            assert not [name for name in reply.headers if name.startswith("access-control")]
        await until(lambda: len(live.seen.records) == 2)
        assert [record.request_bytes for record in live.seen.records] == [0, 0]


async def test_two_origins_are_refused() -> None:
    async with serving() as live:
        reply = await post(live, "Origin: http://localhost", "Origin: http://localhost")
        assert reply.status == 403


async def test_a_cross_site_request_without_an_origin_is_refused() -> None:
    async with serving() as live:
        assert (await post(live, "Sec-Fetch-Site: cross-site")).status == 403
        assert (await post(live, "Sec-Fetch-Site: same-site")).status == 200
        assert (await post(live, "Sec-Fetch-Site: none")).status == 200
        assert (await post(live)).status == 200


async def test_an_allowed_page_is_cross_site_to_us() -> None:
    async with serving() as live:
        reply = await post(live, "Origin: tauri://localhost", "Sec-Fetch-Site: cross-site")
        assert reply.status == 200


async def test_further_origins_are_allowed_exactly() -> None:
    async with serving(cors_origins=("https://Chat.example/",)) as live:
        assert (await post(live, "Origin: https://chat.example")).status == 200
        for origin in ("http://chat.example", "https://chat.example:444", "https://x.chat.example"):
            assert (await post(live, f"Origin: {origin}")).status == 403


async def test_a_star_lets_in_any_page_that_has_the_token() -> None:
    """Without a token a server does not start like this: `test_running.py`."""
    async with serving(cors_origins=("*",), infer_token=TOKEN) as live:
        assert (await post(live, "Origin: https://any.example")).status == 401
        reply = await post(live, "Origin: https://any.example", "Authorization: Bearer secret")
        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == "https://any.example"
        assert (await post(live, "Origin: null", "Authorization: Bearer secret")).status == 403


async def test_a_page_reads_the_errors_too() -> None:
    """Without CORS headers on a 401 a page would only learn of a network error."""
    async with serving(infer_token=TOKEN) as live:
        reply = await post(live, "Origin: http://localhost:3000")
        assert reply.status == 401
        assert reply.headers["access-control-allow-origin"] == "http://localhost:3000"


async def test_a_preflight_needs_no_token_and_tells_what_sdks_send() -> None:
    async with serving(infer_token=TOKEN) as live:
        reply = await preflight(live, "http://localhost:3000")
        assert reply.status == 204
        allowed = reply.headers["access-control-allow-headers"].split(", ")
        for name in (
            "authorization",
            "content-type",
            "x-api-key",
            "anthropic-version",
            "openai-beta",
            "x-stainless-os",
            "x-stainless-retry-count",
            "x-stainless-runtime-version",
            "x-stainless-timeout",
        ):
            assert name in allowed
        assert "DELETE" in reply.headers["access-control-allow-methods"]


async def test_the_private_network_is_opened_only_to_those_who_may_and_ask() -> None:
    asks = "Access-Control-Request-Private-Network: true"
    name = "access-control-allow-private-network"
    async with serving() as live:
        assert (await preflight(live, "http://localhost", asks)).headers[name] == "true"
        assert name not in (await preflight(live, "http://localhost")).headers
        assert name not in (await preflight(live, "https://evil.example", asks)).headers


@pytest.mark.parametrize("line", ["GET /open", "GET /nothing", "OPTIONS /open", "PUT /open"])
async def test_every_answer_varies_by_origin(line: str) -> None:
    async with serving() as live:
        assert (await live.ask(f"{line} HTTP/1.1")).headers["vary"] == "Origin"


async def test_the_same_origin_may() -> None:
    """A page behind a reverse proxy that serves both it and this server under one allowed name."""
    async with serving(allowed_hosts=("ai.example",)) as live:
        head = "GET /open HTTP/1.1\nHost: ai.example\nOrigin: https://{}\n\n"
        assert (await live.raw(head.format("ai.example"))).status == 200
        assert (await live.raw(head.format("ai.example:99"))).status == 403
        for scheme in ("httpx", "http+unix", "https-evil", "HTTPS", "http://x"):
            foreign = head.replace("https", scheme).format("ai.example")
            assert (await live.raw(foreign)).status == 403, scheme
