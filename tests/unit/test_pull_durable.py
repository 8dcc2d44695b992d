"""What a kill leaves of a pull, and in which order things reach the disk."""

from __future__ import annotations

import errno
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.pull.install import recover
from npurun_tui.models.store import ModelStore
from tests.support.index_server import Index, serve
from tests.support.pulling import only_index, pull_all, pull_entry
from tests.support.tiny_bundle import (
    NAME,
    TinyBundle,
)
from tests.support.tiny_model import TinyModel, build_tiny_model


class Killed(BaseException):
    """As a kill: nothing that follows runs."""


def at(index: Index, bundle: TinyBundle) -> CatalogEntry:
    return bundle.at(f"{index.origin}/files/tiny.zip")


def gguf_at(index: Index, tiny: TinyModel, bundle: TinyBundle) -> CatalogEntry:
    index.data = tiny.gguf
    entry = bundle.at(f"{index.origin}/files/m.gguf")
    return replace(entry, backend="llama.cpp", template=None, qnn_sdk="")


# --- the order in which things reach the disk --------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("kind", ["bundle", "wheel", "gguf"])
async def test_everything_is_on_the_disk_before_the_rename_and_the_rename_before_the_end(
    archives: Index,
    bundle: TinyBundle,
    store: ModelStore,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    tiny = build_tiny_model(tensor_bytes=100_000)
    events = list[tuple[str, str]]()
    fsync, rename = os.fsync, os.rename

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        facts = os.fstat(descriptor)
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        events.append(("folder" if stat.S_ISDIR(facts.st_mode) else f"{facts.st_ino}", name))

    def renamed(source: Any, target: Any, **more: Any) -> None:
        rename(source, target, **more)
        if Path(source).name == "unpacked":
            events.append(("rename", str(source)))

    monkeypatch.setattr("os.fsync", synced)
    monkeypatch.setattr("os.rename", renamed)
    if kind == "wheel":
        with serve(tiny) as index:
            only_index(monkeypatch, index.url)
            await pull_all(tiny, store)
    else:
        entry = at(archives, bundle) if kind == "bundle" else gguf_at(archives, tiny, bundle)
        await pull_entry(entry, store)
    moved = next(number for number, event in enumerate(events) if event[0] == "rename")
    before, after = events[:moved], events[moved + 1 :]
    model = next(iter(store.scan()[0])).folder
    unpacked = events[moved][1]
    for path in model.rglob("*"):
        then = unpacked + str(path)[len(str(model)) :]
        if path.is_dir():
            assert ("folder", then) in before
        else:
            assert f"{path.stat().st_ino}" in {kind for kind, _ in before}, path
    assert ("folder", unpacked) in before
    assert ("folder", str(store.root)) in after


# --- kills -------------------------------------------------------------------------------------


def _kill_after_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: Path) -> None:
        raise Killed

    monkeypatch.setattr("npurun_tui.models.pull.install._clear", killed)
    monkeypatch.setattr("npurun_tui.models.pull.pipeline.recover", lambda *_: None)


@pytest.mark.parametrize("force", [False, True])
async def test_a_kill_when_the_model_is_in_place_leaves_its_download_to_the_next_pull(
    archives: Index, bundle: TinyBundle, store: ModelStore, *, force: bool
) -> None:
    entry = at(archives, bundle)
    if force:
        await pull_entry(entry, store)
    with pytest.MonkeyPatch.context() as patch:
        _kill_after_rename(patch)
        with pytest.raises(Killed):
            await pull_entry(entry, store, force=force)
    assert store.get(NAME)
    assert store.partials() == {NAME: len(bundle.archive)}
    asked = len(archives.requests)
    await pull_entry(entry, store)
    assert len(archives.requests) == asked
    assert store.partials() == {}
    assert not store.layout.partial(NAME).exists()


async def test_a_forced_pull_that_was_stopped_keeps_what_it_has(
    archives: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    """It is no leftover: an older model is here, and the new one's download is to go on."""
    entry = at(archives, bundle)
    await pull_entry(entry, store)
    with pytest.MonkeyPatch.context() as patch:

        def killed(*_: object) -> None:
            raise Killed

        patch.setattr("npurun_tui.models.pull.pipeline.install", killed)
        with pytest.raises(Killed):
            await pull_entry(entry, store, force=True)
    await pull_entry(entry, store)  # says that it is here
    assert store.partials() == {NAME: len(bundle.archive)}
    asked = len(archives.requests)
    await pull_entry(entry, store, force=True)
    assert len(archives.requests) == asked
    assert store.partials() == {}


@pytest.mark.parametrize("force", [False, True])
async def test_a_kill_just_before_the_rename_keeps_the_download(
    archives: Index, bundle: TinyBundle, store: ModelStore, *, force: bool
) -> None:
    entry = at(archives, bundle)
    if force:
        await pull_entry(entry, store)
    rename = os.rename

    def killed(source: Any, target: Any, **more: Any) -> None:
        if Path(source).name == "unpacked":
            raise Killed
        rename(source, target, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.rename", killed)
        patch.setattr("npurun_tui.models.pull.pipeline.recover", lambda *_: None)
        with pytest.raises(Killed):
            await pull_entry(entry, store, force=force)
    assert store.partials() == {NAME: len(bundle.archive)}
    asked = len(archives.requests)
    await pull_entry(entry, store, force=True)
    assert store.get(NAME)
    assert len(archives.requests) == asked
    assert not store.layout.partial(NAME).exists()


# --- volumes without hard links ----------------------------------------------------------------


def _no_links(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """As FAT; returns the inodes of the files that were to be linked."""
    inodes = list[int]()

    def refuse(file: Path, target: Path) -> None:
        inodes.append(file.stat().st_ino)
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("os.link", refuse)
    return inodes


async def test_without_links_the_download_becomes_the_model_and_is_not_copied(
    archives: Index, bundle: TinyBundle, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room that was asked for is the file's, once."""
    tiny = build_tiny_model(tensor_bytes=100_000)
    inodes = _no_links(monkeypatch)
    await pull_entry(gguf_at(archives, tiny, bundle), store)
    model = store.get(NAME).folder / "model.gguf"
    assert model.read_bytes() == tiny.gguf
    assert inodes == [model.stat().st_ino]
    assert not store.layout.partial(NAME).exists()


async def test_without_links_a_kill_loses_nothing_that_was_fetched(
    archives: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    tiny = build_tiny_model(tensor_bytes=100_000)
    entry = gguf_at(archives, tiny, bundle)
    with pytest.MonkeyPatch.context() as patch:
        _no_links(patch)

        def killed(*_: object) -> None:
            raise Killed

        patch.setattr("npurun_tui.models.pull.pipeline.install", killed)
        patch.setattr("npurun_tui.models.pull.pipeline.recover", lambda *_: None)
        with pytest.raises(Killed):
            await pull_entry(entry, store)
    assert not (store.layout.partial(NAME) / "download.part").exists()
    asked = len(archives.requests)
    await pull_entry(entry, store)
    assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf
    assert len(archives.requests) == asked


def test_recovering_twice_changes_nothing(store: ModelStore) -> None:
    folder = store.layout.partial(NAME)
    (folder / "unpacked").mkdir(parents=True)
    (folder / "installing").touch()
    recover(store.layout, NAME)
    recover(store.layout, NAME)
    assert list(folder.iterdir()) == []
