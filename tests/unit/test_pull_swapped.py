"""What was unpacked ahead is installed only where it is of the very bytes that were compared."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.pull import PullProgress, pull
from npurun_tui.models.store import ModelStore
from npurun_tui.models.verify import Verdict, verify
from tests.support.index_server import Fault, Handler, Index, pause_after, serve
from tests.support.pulling import QUICK, only_index
from tests.support.tiny_bundle import (
    FOLDER,
    NAME,
    TinyBundle,
    build_tiny_bundle,
    bundle_files,
)
from tests.support.tiny_model import build_tiny_model

BLOCK = 1 << 16
POLICY = replace(QUICK, block=BLOCK, stall_timeout=10)
TOKENIZER = f"{FOLDER}/tokenizer.json"
LAST = f"{FOLDER}/readme.txt"


def _bundle(mark: bytes) -> TinyBundle:
    """A bundle with filler before its last member that is fetched, and never unpacked."""
    return build_tiny_bundle(
        files={
            **bundle_files(weights=100_000),
            TOKENIZER: b'{"a": "%s"}' % mark,
            "__MACOSX/filler": mark * 100_000,
            LAST: mark,
        }
    )


GOOD, EVIL = _bundle(b"good"), _bundle(b"evil")
FILLER = range(EVIL.archive.index(b"__MACOSX/filler") + BLOCK, len(EVIL.archive) - BLOCK)
"""Where a block begins that holds nothing but filler."""


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with serve(build_tiny_model(tensor_bytes=1000)) as server:
        only_index(monkeypatch, server.url)
        server.data, server.etag = EVIL.archive, ""
        yield server


def _entry(index: Index) -> CatalogEntry:
    pinned = hashlib.sha256(GOOD.archive).hexdigest()
    url = f"{index.origin}/files/tiny.zip"
    return GOOD.at(url, sha256=pinned, size=len(GOOD.archive))


def _first(handler: Handler) -> int:
    return int(handler.record.headers["range"].removeprefix("bytes=").partition("-")[0])


def _after_unpacking(store: ModelStore, then: Fault) -> Fault:
    """Filler is answered by `then`, and only when all that is in the archive is unpacked."""
    last = store.layout.partial(NAME) / "unpacked" / "bundle" / LAST

    def fault(handler: Handler) -> None:
        if handler.index.data is not EVIL.archive or _first(handler) not in FILLER:
            handler.serve_file()
            return
        deadline = time.monotonic() + 8
        while not (last.is_file() and last.read_bytes() == b"evil"):
            assert time.monotonic() < deadline, "it was not unpacked ahead"
            time.sleep(0.01)
        then(handler)

    return fault


def _assert_good(store: ModelStore) -> None:
    model = store.get(NAME)
    assert (model.folder / "bundle" / TOKENIZER).read_bytes() == GOOD.files[TOKENIZER]
    assert model.manifest.archive_sha256 == hashlib.sha256(GOOD.archive).hexdigest()
    assert {verdict for _, verdict in verify(model)} == {Verdict.SAME}


async def _pull_all(entry: CatalogEntry, store: ModelStore) -> list[PullProgress]:
    return [step async for step in pull(entry, store, policy=POLICY)]


async def test_a_resumed_archive_that_fails_its_hash_is_not_what_is_installed(
    index: Index, store: ModelStore
) -> None:
    """The other file is served to the end, compared, thrown away, and the right one fetched instead."""
    gate = threading.Event()
    index.faults.append(pause_after(BLOCK // 2, gate))
    alone = replace(POLICY, connections=1)
    async for step in (steps := pull(_entry(index), store, policy=alone)):
        if step.done >= BLOCK // 2:
            break
    await steps.aclose()
    gate.set()
    assert store.partials() == {NAME: BLOCK // 2}

    held = _after_unpacking(store, Handler.serve_file)

    def swapped(handler: Handler) -> None:
        if _first(handler) == 0:  # the beginning is asked for again only when the rest failed
            index.data = GOOD.archive
        held(handler)

    index.always = swapped
    await _pull_all(_entry(index), store)
    assert index.data is GOOD.archive
    _assert_good(store)


async def test_an_archive_that_is_begun_anew_in_the_middle_is_not_what_is_installed(
    index: Index, store: ModelStore
) -> None:
    """Ranges are answered with the whole of another file, when the first one is unpacked already."""

    def whole(handler: Handler) -> None:
        index.data, index.ranges = GOOD.archive, False
        handler.serve_file()

    index.always = _after_unpacking(store, whole)
    await _pull_all(_entry(index), store)
    _assert_good(store)
