"""A pull on disks that are full or fail, with few open files, and under its lock; what others may read of it."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.errors import DiskFull, ModelBusy, ModelError, PullFailed
from npurun_tui.models.catalog import CatalogEntry, UrlSource
from npurun_tui.models.lock import model_lock
from npurun_tui.models.prune import leftovers, remove_leftover
from npurun_tui.models.pull.ahead import PartView
from npurun_tui.models.pull.archive import read_directory
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.install import recover
from npurun_tui.models.pull.part import Origin, Part
from npurun_tui.models.pull.progress import Meter
from npurun_tui.models.pull.unpack import unpack
from npurun_tui.models.store import ModelStore
from tests.support.index_server import Index
from tests.support.pulling import pull_entry
from tests.support.tiny_bundle import (
    FOLDER,
    NAME,
    TinyBundle,
    build_tiny_bundle,
    bundle_files,
    zipped,
)


def at(index: Index, bundle: TinyBundle) -> CatalogEntry:
    return bundle.at(f"{index.origin}/files/tiny.zip")


# --- disks that fail ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, DiskFull), (errno.EIO, ModelError), (errno.EDQUOT, DiskFull)]
)
@pytest.mark.parametrize("which", ["member", "folder", "manifest", "state"])
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_sync_that_fails_is_told_and_nothing_is_shown(
    archives: Index,
    bundle: TinyBundle,
    store: ModelStore,
    which: str,
    code: int,
    kind: type[ModelError],
) -> None:
    entry, fsync = at(archives, bundle), os.fsync
    wanted = {"member": "part_1_of_1.bin", "folder": "/bundle", "manifest": "npurun.json"}
    part = wanted.get(which, "download.json")

    def fail(descriptor: int) -> None:
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if part in name and (which != "folder" or name.endswith(part)):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(kind) as caught:
            await pull_entry(entry, store)
    assert "\n" not in str(caught.value)
    assert str(store.root) in str(caught.value)
    assert store.scan() == ([], [])
    assert not (store.layout.partial(NAME) / "unpacked").exists()
    kept = store.partials().get(NAME, 0)
    assert kept == (0 if which == "state" else len(bundle.archive))
    before = archives.sent
    await pull_entry(entry, store)
    assert store.get(NAME)
    assert archives.sent - before == len(bundle.archive) - kept


async def test_a_stop_while_the_disk_syncs_waits_for_it_under_the_lock(
    archives: Index, bundle: TinyBundle, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else may write to the folder as long as a thread of ours still does."""
    entry, fsync = at(archives, bundle), os.fsync
    syncing, gate = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.fstat(descriptor).st_size > 100_000:
            syncing.set()
            gate.wait(8)
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", slow)
    task = asyncio.create_task(pull_entry(entry, store))
    await asyncio.to_thread(syncing.wait, 8)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=0.2)
    assert not done
    with pytest.raises(ModelBusy):
        await pull_entry(entry, store)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (store.layout.partial(NAME) / "unpacked").exists()
    before = archives.sent
    await pull_entry(entry, store)
    assert store.get(NAME)
    assert archives.sent == before


async def test_a_part_that_has_to_go_makes_room_for_the_new_file(
    archives: Index, bundle: TinyBundle, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is here of the old version is thrown away: there need not be room for both."""
    from types import SimpleNamespace

    entry = at(archives, bundle)
    folder, total = store.layout.partial(NAME), len(bundle.archive)
    part = Part(folder, entry.source, 1 << 15)
    with Worker() as worker:
        part.open(worker, Meter())
    part.begin(Origin(entry.source.url, '"old"', '"old"'), total)  # type: ignore[union-attr]
    part.write(0, bytes(total - 100))
    part.close()
    needed = total + total + (1 << 20)  # the archive, what is in it, and some slack

    def usage(_: object) -> SimpleNamespace:
        kept = (
            (folder / "download.part").stat().st_size if (folder / "download.part").exists() else 0
        )
        return SimpleNamespace(free=needed + 1000 - kept)

    monkeypatch.setattr("shutil.disk_usage", usage)
    await pull_entry(entry, store)
    assert store.get(NAME)


async def test_room_that_the_part_takes_already_is_not_asked_for_again(
    archives: Index, bundle: TinyBundle, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On FAT a file has no holes: with its last block first it takes all its room at once."""
    from types import SimpleNamespace

    entry, total = at(archives, bundle), len(bundle.archive)
    part = Part(store.layout.partial(NAME), entry.source, 1 << 15)
    with Worker() as worker:
        part.open(worker, Meter())
    part.begin(Origin(entry.source.url, archives.etag, archives.etag), total)  # type: ignore[union-attr]
    part.write(0, bundle.archive[:1000])
    part.close()
    with part.path.open("r+b") as file:
        file.seek(1000)
        file.write(bytes(total - 1000))
    room = total + (1 << 20) + 8192  # what is unpacked, and some slack
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=room))
    await pull_entry(entry, store)
    assert store.get(NAME)
    assert archives.sent == total - 1000


async def test_what_an_archive_grows_to_is_asked_for_before_any_of_it_is_written(
    archives: Index, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog only guessed, and the archive shrinks far more than such files do."""
    from types import SimpleNamespace

    files = {**bundle_files(), f"{FOLDER}/zeros.bin": bytes(8 << 20)}
    bundle = build_tiny_bundle(files=files, archive=zipped(files, zipfile.ZIP_DEFLATED))
    archives.data = bundle.archive
    entry = replace(at(archives, bundle), download_size=1000, installed_size=1000)
    unpacked = list[object]()

    def unpack_none(*rest: object) -> None:
        unpacked.append(rest)
        raise ModelError("It was unpacked.")

    monkeypatch.setattr("npurun_tui.models.pull.ahead.unpack", unpack_none)
    monkeypatch.setattr("npurun_tui.models.pull.making.unpack", unpack_none)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4 << 20))
    with pytest.raises(DiskFull, match="needs 9"):
        await pull_entry(entry, store)
    assert unpacked == []
    assert store.partials() == {NAME: len(bundle.archive)}


# --- resources ---------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_archive_of_many_files_needs_few_open_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    archive = tmp_path / "many.zip"
    archive.write_bytes(zipped({f"f/{number}": b"x" for number in range(150)}))
    fsync, slow = os.fsync, threading.Event()

    def sync(descriptor: int) -> None:
        slow.wait(0.0005)
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", sync)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    with archive.open("rb") as file, Worker() as worker:
        entries = read_directory(file, "many.zip")
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 60, limits[1]))
            hashes = unpack(file, entries, tmp_path / "out", "many.zip", worker, Meter())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(hashes) == 150


def test_what_is_read_ahead_is_never_what_had_not_come_yet(tmp_path: Path) -> None:
    """A buffer that was filled beyond what had arrived gave zeros for it later on."""
    data, block = os.urandom(1 << 16), 1 << 15
    part = Part(tmp_path, UrlSource("https://models.invalid/x.zip", size=len(data)), block)
    with Worker() as worker:
        part.open(worker, Meter())
        part.begin(Origin(), len(data))
        part.write(block, data[block:])
        part.write(0, data[:30])
        view = PartView(part, worker)
        try:
            assert view.read(30) == data[:30]
            part.write(30, data[30:block])
            assert view.read(1000) == data[30:1030]
            view.seek(0)
            assert view.read() == data
        finally:
            view.close()
            part.close()


# --- the lock ----------------------------------------------------------------------------------


def test_the_lock_of_a_process_that_died_is_nobody_s(tmp_path: Path) -> None:
    (tmp_path / "m.lock").touch()
    (tmp_path / "m.holder").write_text("999999")
    with model_lock(tmp_path, "m"):
        assert (tmp_path / "m.holder").read_text() == str(os.getpid())


def test_a_full_disk_does_not_keep_anybody_from_deleting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds the lock is written down for others to read; there may be no room for that."""
    write: Callable[..., int] = Path.write_text

    def full(self: Path, *rest: Any, **more: Any) -> int:
        if self.suffix == ".holder":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, *rest, **more)

    monkeypatch.setattr(Path, "write_text", full)
    with model_lock(tmp_path, "m"):
        assert not (tmp_path / "m.holder").exists()


@pytest.mark.parametrize("locks", [True, False])
async def test_a_model_is_removed_from_a_disk_without_room_for_a_folder(
    archives: Index, bundle: TinyBundle, store: ModelStore, *, locks: bool
) -> None:
    """As on ext4 when it is really full; the Rust program makes no folder of locks beforehand."""
    await pull_entry(at(archives, bundle), store)
    if not locks:
        shutil.rmtree(store.layout.partial_root)

    def full(path: Any, *_: Any, **__: Any) -> None:
        if not os.path.lexists(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise FileExistsError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.mkdir", full)
        assert store.remove(NAME) >= 300_000
    assert store.scan() == ([], [])
    assert not any(path.name.startswith((".trash", NAME)) for path in store.root.iterdir())


def test_a_deletion_that_was_killed_on_a_full_disk_is_finished(
    store: ModelStore, tmp_path: Path
) -> None:
    dead = store.root / ".trash-0123"
    dead.mkdir(parents=True)
    (dead / "npurun.json").write_text("{}")
    assert store.scan() == ([], [])
    (found,) = leftovers(store, [])
    assert (found.path, found.size) == (dead, 2)
    assert remove_leftover(store, found) == 2
    assert list(store.root.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="there are no such modes there")
async def test_a_models_folder_can_be_shared_as_far_as_the_umask_says(
    archives: Index, bundle: TinyBundle, store: ModelStore
) -> None:
    """Weights that everybody may read are of no use beside a manifest that only their owner may."""
    before = os.umask(0o022)
    try:
        await pull_entry(at(archives, bundle), store)
    finally:
        os.umask(before)
    assert store.get(NAME).manifest.flags  # the config was written anew, too
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in [*store.get(NAME).folder.rglob("*"), store.root / ".recorded.json"]
        if path.is_file()
    }
    assert set(modes.values()) == {0o644}, modes


async def test_what_cannot_be_tidied_up_does_not_hide_why_the_pull_failed(
    archives: Index, bundle: TinyBundle, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[int]()

    def recover_once(layout: Any, name: str) -> None:
        calls.append(1)
        if len(calls) > 1:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        recover(layout, name)

    monkeypatch.setattr("npurun_tui.models.pull.pipeline.recover", recover_once)
    archives.data = bundle.archive[:-30]
    with pytest.raises(PullFailed, match="cannot be used"):
        await pull_entry(at(archives, bundle), store)
    assert len(calls) == 2
    assert store.scan() == ([], [])
