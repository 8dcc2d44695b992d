"""Method, route, size, media, errors and headers of the answers: what the guard and the app say, over real sockets."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from npurun_tui.server.config import Limits
from tests.server.test_site import whole
from tests.support.live_server import Live, Reply, serving, until

HI = b'{"text":"hi"}'


async def post(live: Live, path: str, body: bytes, *lines: str) -> Reply:
    head = "\n".join((f"POST {path} HTTP/1.1", f"Content-Length: {len(body)}", *lines))
    return await live.ask(head, body)


@pytest.mark.parametrize(
    ("line", "status", "kind"),
    [
        ("GET /nothing", 404, "object"),
        ("GET /v1/nothing", 404, "object"),
        ("GET /api/nothing", 404, "string"),
        ("GET /v1/messages/nothing", 404, "typed"),
        ("POST /v1/audio/speech", 501, "object"),
        ("POST /api/push", 501, "string"),
        ("POST /api/create", 501, "string"),
        ("HEAD /api/blobs/sha256:0", 501, "none"),
        ("GET /v1/echo", 405, "object"),
        ("GET /api/echo", 405, "string"),
        ("GET /v1/messages", 405, "typed"),
        ("TRACE /open", 405, "object"),
        ("GET /v1/../open", 404, "object"),
        ("GET /%2e%2e/open", 404, "object"),
        ("GET /OPEN", 404, "object"),
        ("GET /open/", 404, "object"),
        ("GET //open", 404, "object"),
    ],
)
async def test_refusals_speak_the_paths_dialect(line: str, status: int, kind: str) -> None:
    async with serving() as live:
        reply = await live.ask(f"{line} HTTP/1.1\nContent-Length: 0")
        assert reply.status == status
        if kind == "none":
            return
        error = reply.json["error"]
        if kind == "string":
            assert isinstance(error, str)
        elif kind == "typed":
            assert reply.json["type"] == "error"
            assert reply.json["request_id"] == reply.headers["x-request-id"]
        else:
            assert set(error) == {"message", "type", "param", "code"}
        if status == 405:
            assert "OPTIONS" in reply.headers["allow"]


async def test_head_and_options() -> None:
    async with serving() as live:
        raw = await live.connect()
        await raw.send(b"HEAD /open HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await raw.head()).headers["content-length"] == "4"
        reply = await live.ask("OPTIONS /open HTTP/1.1")
        assert (reply.status, reply.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
        assert (await live.ask("OPTIONS /nothing HTTP/1.1")).status == 404


async def test_ids_may_have_colons_and_slashes() -> None:
    async with serving() as live:
        reply = await live.ask("GET /v1/models/org/model:7b HTTP/1.1")
        assert reply.body == b"org/model:7b"


async def test_sizes_depend_on_the_route() -> None:
    limits = Limits(body=2000, body_text=1000)
    async with serving(limits=limits) as live:
        large = json.dumps({"text": "x" * 1500}).encode()
        assert (await post(live, "/api/pictures", large)).status == 200
        reply = await post(live, "/api/echo", large)
        assert reply.status == 413
        assert "1,000 bytes" in reply.json["error"]


async def test_a_length_that_is_announced_is_refused_before_it_comes() -> None:
    async with serving() as live:
        raw = await live.connect()
        await raw.send(
            b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n"
        )
        assert (await raw.reply()).status == 413
        await raw.close()


async def test_a_length_that_is_not_announced_is_counted() -> None:
    async with serving(limits=Limits(body_text=1000)) as live:
        chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
        reply = await live.ask("POST /v1/echo HTTP/1.1\nTransfer-Encoding: chunked", chunk * 3)
        assert reply.status == 413


async def test_all_bodies_together_are_limited_and_their_memory_comes_back() -> None:
    async with serving(limits=Limits(bodies=3000)) as live:
        held = []
        for _ in range(2):
            raw = await live.connect()
            await raw.send(
                b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1500\r\n\r\n"
                + b" " * 1400
            )
            held.append(raw)
        await until(lambda: live.app._budget.taken == 2800)
        reply = await post(live, "/v1/echo", b'{"text":"' + b"x" * 500 + b'"}')
        assert (reply.status, reply.headers["retry-after"]) == (429, "1")
        for raw in held:
            await raw.close()
        await until(lambda: live.app._budget.taken == 0)
        assert (await post(live, "/v1/echo", HI)).status == 200


@pytest.mark.parametrize("coding", ["gzip", "zstd", "deflate", "br", "identity, gzip"])
async def test_compressed_bodies_are_refused(coding: str) -> None:
    async with serving() as live:
        assert (await post(live, "/v1/echo", HI, f"Content-Encoding: {coding}")).status == 415


async def test_multipart_is_refused_and_no_other_type_is_asked_for() -> None:
    async with serving() as live:
        reply = await post(live, "/v1/echo", HI, "Content-Type: multipart/form-data; boundary=x")
        assert reply.status == 415
        for line in (
            "X: y",
            "Content-Type: application/x-www-form-urlencoded",
            "Content-Type: text/plain",
            "Content-Type: application/json",
            "Content-Encoding: identity",
        ):
            assert (await post(live, "/v1/echo", HI, line)).status == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "missing request body"),
        (b"  \n", "missing request body"),
        (b"{", "not JSON"),
        (b'{"text": "\xff"}', "not JSON"),
        (b'{"text": 1}', "`text` must be a string, not a number"),
        (b'{"text": "a\\u0000b"}', "NUL"),
        (b'{"count": 1}', "`text` is required"),
        (b'{"text":"x","y":' + b"[" * 65 + b"]" * 65 + b"}", "64 levels"),
        (b'{"text":"x","y":' + b'{"a":' * 65 + b"1" + b"}" * 65 + b"}", "64 levels"),
        (b'{"text":"x","y":' + b"[" * 24_000 + b"]" * 24_000 + b"}", "64 levels"),
        (b'{"text":"x","y":' + b"[" * 49_000, "not JSON|64 levels"),
        (b'{"text":"x","y":' + b"[" * 50_001, "too many parts"),
        (b'{"text":"x","y":[' + b"1," * 200_000 + b"1]}", "too many parts"),
        (b'{"text":"x","y":NaN}', "not JSON"),
    ],
)
async def test_bodies_that_are_not_taken(body: bytes, words: str) -> None:
    async with serving() as live:
        reply = await post(live, "/v1/echo", body)
        assert reply.status == 400
        assert re.search(words, reply.json["error"]["message"])


@pytest.mark.parametrize(
    "body",
    [
        b'{"text":"x","y":' + b"[" * 63 + b"]" * 63 + b"}",
        b'{"text":"' + b"[{" * 1000 + b'\\"}"}',
        b'{"text":"\\\\u0000"}',
        b'{"text":"x","y":' + b",".join([b"[]"] * 500).join((b"[", b"]")) + b"}",
        b'{"text":"\\ud83d\\ude00","unknown":{"a":null}}',
    ],
)
async def test_bodies_that_are_taken(body: bytes) -> None:
    async with serving() as live:
        assert (await post(live, "/v1/echo", body)).status == 200


async def test_the_field_at_fault_is_named() -> None:
    async with serving() as live:
        error = (await post(live, "/v1/echo", b'{"text":"x","count":"y"}')).json["error"]
        assert error["param"] == "count"
        assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("overflow", 400, "context_length_exceeded"),
        ("crash", 500, "engine_crashed"),
        ("bug", 500, "engine_error"),
    ],
)
async def test_faults_of_routes_are_answers(kind: str, status: int, code: str) -> None:
    async with serving() as live:
        reply = await live.ask(f"GET /v1/fault/{kind} HTTP/1.1")
        assert (reply.status, reply.json["error"]["code"]) == (status, code)
        assert (reply.headers.get("x-should-retry") == "false") == (status == 500)
        assert "secret" not in reply.body.decode()
        assert (await live.ask("GET /open HTTP/1.1")).status == 200


@pytest.mark.parametrize("line", ["GET /open", "GET /nothing", "POST /v1/echo", "OPTIONS /open"])
async def test_every_answer_has_the_security_headers(line: str) -> None:
    async with serving() as live:
        headers = (await live.ask(f"{line} HTTP/1.1\nContent-Length: 0")).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert parsedate_to_datetime(headers["date"]).tzinfo is UTC
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert re.fullmatch(r"npurun-tui/[0-9.a-z+]+", headers["server"])


async def test_strangers_do_not_learn_the_version() -> None:
    async with serving(host="0.0.0.0", insecure=True) as live:
        reply = await live.ask("GET /open HTTP/1.1")
        assert reply.headers["server"] == "npurun-tui"


async def test_nothing_of_a_request_gets_into_the_answers_headers() -> None:
    async with serving() as live:
        mark = "zq9mark"
        reply = await live.ask(
            f"GET /v1/models/{mark}?{mark} HTTP/1.1\nUser-Agent: {mark}\nX-Request-Id: {mark}\n"
            f"X-{mark}: {mark}\nCookie: {mark}"
        )
        assert reply.status == 200
        assert mark not in str(reply.headers)


async def test_the_record_tells_of_the_request() -> None:
    async with serving() as live:
        reply = await post(
            live, "/v1/echo", HI, "User-Agent: " + "Jörgs client".encode().decode("latin-1")
        )
        await until(lambda: bool(live.seen.records))
        record = live.seen.records[0]
        assert (record.method, record.path, record.route) == ("POST", "/v1/echo", "/v1/echo")
        assert (record.status, record.dialect, record.peer) == (200, "openai", "127.0.0.1")
        assert record.request_bytes == len(HI)
        assert record.body_sha256 == hashlib.sha256(HI).hexdigest()
        assert record.body is None
        assert record.client == "Jörgs client"
        assert record.total_ms
        assert record.id == reply.headers["x-request-id"]
        assert record.cancel is None


async def test_bodies_are_kept_only_where_the_user_asks(tmp_path: Path) -> None:
    """Elsewhere nothing of them is: neither in a record nor in any file, the request log's database among them."""
    mark = b"zq9 a private question"
    ask = {"model": "small", "messages": [{"role": "user", "content": mark.decode()}]}
    for kept in (True, False):
        async with serving(log_prompts=kept) as live:
            await post(live, "/v1/echo", HI)
            await until(lambda: bool(live.seen.records))
            assert live.seen.records[0].body == (HI if kept else None)
        home = tmp_path / str(kept)
        async with whole(home, log_prompts=kept) as client:
            assert (await client.post("/v1/chat/completions", json=ask)).status_code == 200
        files = [file for file in home.rglob("*") if file.is_file()]
        assert any(b"/v1/chat/completions" in file.read_bytes() for file in files), "it was logged"
        assert any(mark in file.read_bytes() for file in files) == kept


@pytest.mark.parametrize("text", ["a\x00b", "\x1b[31mred", "a\x7fb", "a\rb"])
async def test_a_control_character_in_a_header_is_not_a_request(text: str) -> None:
    async with serving() as live:
        assert (await live.ask(f"GET /open HTTP/1.1\nUser-Agent: {text}")).status == 400


async def test_counts() -> None:
    async with serving() as live:
        for line in ("GET /open", "GET /nothing", "PUT /open"):
            await live.ask(f"{line} HTTP/1.1")
        await until(lambda: live.app.flights.counts.total == 3)
        assert live.app.flights.counts.failed == 2
        assert live.app.flights.counts.active == 0
