"""What Windows does to a pull: open files cannot be moved or deleted, and others open what was just written."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from npurun_tui import files
from npurun_tui.models.pull import pull
from npurun_tui.models.store import ModelStore
from npurun_tui.models.trees import remove_tree
from tests.support.index_server import Handler, Index, pause_after
from tests.support.pulling import QUICK, assert_installed, pull_all
from tests.support.tiny_bundle import FOLDER, NAME, build_tiny_bundle, bundle_files
from tests.support.tiny_model import TinyModel
from tests.support.windows_sharing import share_as_windows

BLOCKS = replace(QUICK, block=1 << 15, stall_timeout=10)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="acts Windows' rule with Linux's /proc"
)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """This system is one where a file that is open cannot be moved."""
    monkeypatch.setattr(files, "OTHERS_BLOCK", True)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch, patient: None) -> None:
    share_as_windows(monkeypatch)


@pytest.mark.usefixtures("windows")
async def test_a_pull_closes_what_it_moves_and_deletes(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await pull_all(tiny, store)
    await pull_all(tiny, store, force=True)
    assert_installed(tiny, store)


@pytest.mark.usefixtures("windows")
async def test_an_archive_that_is_begun_anew_while_it_is_unpacked(
    archives: Index, store: ModelStore
) -> None:
    """The thread that unpacks has the download open when it is thrown away."""
    good, bad = (
        build_tiny_bundle(
            files={**bundle_files(), f"{FOLDER}/tokenizer.json": b'{"a": "%s"}' % mark}
        )
        for mark in (b"good", b"evil")
    )
    index = archives
    index.data, index.etag = bad.archive, ""
    unpacked = store.layout.partial(NAME) / "unpacked" / "bundle" / FOLDER / "tokenizer.json"

    def change(handler: Handler) -> None:
        if index.data is bad.archive and handler.record.headers["range"].startswith(
            f"bytes={5 << 15}-"
        ):
            deadline = time.monotonic() + 5
            while not unpacked.is_file():
                assert time.monotonic() < deadline, "it was not unpacked ahead"
                time.sleep(0.01)
            index.data, index.ranges = good.archive, False  # nothing but the whole of it tells
        handler.serve_file()

    index.always = change
    pinned = hashlib.sha256(good.archive).hexdigest()
    entry = good.at(f"{index.origin}/files/tiny.zip", sha256=pinned, size=len(good.archive))
    async for _ in pull(entry, store, policy=BLOCKS):
        pass
    folder = store.get(NAME).folder / "bundle"
    assert (folder / FOLDER / "tokenizer.json").read_bytes() == b'{"a": "good"}'
    assert not store.layout.partial(NAME).exists()


@pytest.mark.usefixtures("windows")
async def test_a_pull_that_is_stopped_and_gone_on_with(archives: Index, store: ModelStore) -> None:
    bundle, gate = build_tiny_bundle(), threading.Event()
    archives.data = bundle.archive
    archives.faults.append(pause_after(1000, gate))
    entry = bundle.at(f"{archives.origin}/files/tiny.zip")
    async for step in (steps := pull(entry, store, policy=BLOCKS)):
        if step.done >= 1000:
            break
    await steps.aclose()
    gate.set()
    async for _ in pull(entry, store, policy=BLOCKS):
        pass
    assert store.get(NAME)
    assert not store.layout.partial(NAME).exists()
    assert store.remove(NAME) > 0


@pytest.mark.usefixtures("windows")
async def test_a_file_that_is_the_model_itself(
    archives: Index, tiny: TinyModel, store: ModelStore
) -> None:
    """It is a second name of the download, and stuck where that one is open."""
    archives.data = tiny.gguf
    entry = build_tiny_bundle().at(f"{archives.origin}/files/m.gguf")
    entry = replace(entry, backend="llama.cpp", template=None, qnn_sdk="")
    for force in (False, True):
        async for _ in pull(entry, store, policy=BLOCKS, force=force):
            pass
        assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf
        assert not store.layout.partial(NAME).exists()


@pytest.mark.usefixtures("windows")
async def test_a_scanner_that_looks_at_what_was_written_is_waited_for(
    index: Index, tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens the model's file just before the folder is moved, and has it for a moment."""
    unpacked, rename = store.layout.partial(tiny.entry.name) / "unpacked", os.rename
    tries = 0

    def scanned(source: Any, target: Any, **more: Any) -> None:
        nonlocal tries
        if Path(source) == unpacked:
            tries += 1
            if tries == 1:
                file = next(unpacked.glob("*.gguf")).open("rb")
                threading.Timer(0.2, file.close).start()
        rename(source, target, **more)

    monkeypatch.setattr("os.rename", scanned)
    await pull_all(tiny, store)
    assert tries > 1
    assert_installed(tiny, store)


async def test_what_cannot_be_cleared_up_is_no_failure(
    index: Index,
    tiny: TinyModel,
    store: ModelStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The model is in place; a scanner has the download open for longer than anybody waits."""
    share_as_windows(monkeypatch)
    part = store.layout.partial(tiny.entry.name) / "download.part"
    stop, opened = threading.Event(), threading.Event()

    def hold() -> None:
        deadline = time.monotonic() + 8
        while not part.is_file():
            if time.monotonic() > deadline:
                return
            time.sleep(0.001)
        with part.open("rb"):
            opened.set()
            stop.wait(8)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    await pull_all(tiny, store)
    assert opened.is_set()
    installed = store.get(tiny.entry.name)
    assert (installed.folder / installed.manifest.files.model).read_bytes() == tiny.gguf
    stop.set()
    holder.join()
    await pull_all(tiny, store)  # it is here already, and what was left goes
    assert store.partials() == {}
    assert not store.layout.partial(tiny.entry.name).exists()


@pytest.mark.usefixtures("windows")
def test_a_folder_goes_when_the_scanner_has_left_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"x")
    reading = threading.Event()

    def scan() -> None:
        with (folder / "weights.bin").open("rb"):
            reading.set()
            time.sleep(0.2)

    scanner = threading.Thread(target=scan, daemon=True)
    scanner.start()
    assert reading.wait(5)
    remove_tree(folder)
    scanner.join()
    assert not folder.exists()
