"""Archives that lie: each is refused with one sentence, and nothing of it is left, neither here nor elsewhere."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import inflate64
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npurun_tui.errors import NpurunError, PullFailed
from npurun_tui.models.pull.archive import Unfit, read_directory
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.progress import Meter
from npurun_tui.models.pull.unpack import _inflate, unpack
from npurun_tui.models.store import ModelStore
from tests.support.index_server import Index, serve
from tests.support.pulling import only_index
from tests.support.tiny_bundle import FOLDER, NAME, build_tiny_bundle, bundle_files, zipped
from tests.support.tiny_model import build_tiny_model
from tests.unit.test_pull_bundle import address, pull_all

FILES = bundle_files(weights=3000)
CONFIG = f"{FOLDER}/genie_config.json"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "inside" / "models")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with serve(build_tiny_model(tensor_bytes=1000)) as server:
        only_index(monkeypatch, server.url)
        yield server


def extract(archive: bytes, target: Path) -> dict[str, str]:
    """Read and unpack, as a pull does."""
    file = io.BytesIO(archive)
    entries = read_directory(file, "hostile.zip")
    with Worker() as worker:
        return unpack(file, entries, target, "hostile.zip", worker, Meter())


def with_members(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO(zipped(FILES))
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def renamed(old: str, new: str) -> bytes:
    """A name changed in the archive's bytes, which `zipfile` would not write."""
    data = zipped({**FILES, old: b"x"})
    assert len(old) == len(new)
    return data.replace(old.encode(), new.encode())


def bomb() -> bytes:
    return zipped({**FILES, f"{FOLDER}/zeros.bin": bytes(80 << 20)}, zipfile.ZIP_DEFLATED)


def overlapping() -> bytes:
    """Two members of the directory that share one piece of the archive."""
    data = bytearray(zipped({"a.bin": b"same", "b.bin": b"same"}))
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    return bytes(data)


def longer_than_announced() -> bytes:
    """The directory says 10 bytes where the stream inflates to 1000."""
    data = bytearray(zipped({CONFIG: b"z" * 1000}, zipfile.ZIP_DEFLATED))
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 10)
    return bytes(data)


def wrong_checksum() -> bytes:
    data = bytearray(zipped(FILES))
    at = data.index(b"n-vocab")
    data[at] ^= 1
    return bytes(data)


def huge_directory() -> bytes:
    data = bytearray(zipped(FILES))
    end = data.rindex(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", 1 << 31)
    return bytes(data) + bytes(100)


def encrypted() -> bytes:
    data = bytearray(zipped(FILES))
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 8] |= 1
    return bytes(data)


def other_method() -> bytes:
    return zipped(FILES, zipfile.ZIP_BZIP2)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "climbs": lambda: with_members(("../../evil", b"x")),
    "climbs inside": lambda: with_members((f"{FOLDER}/../../../evil", b"x")),
    "absolute": lambda: with_members(("/tmp/evil", b"x")),
    "drive": lambda: renamed("C_evil", "C:evil"),
    "backslash": lambda: renamed("a_.._.._evil", "a\\..\\..\\evil"),
    "reserved": lambda: with_members((f"{FOLDER}/NUL.txt", b"x")),
    "trailing dot": lambda: with_members((f"{FOLDER}/evil.", b"x")),
    "stream": lambda: with_members((f"{FOLDER}/a.txt:evil", b"x")),
    "nul": lambda: renamed("evil_.bin", "evil\0.bin"),
    "case": lambda: with_members((CONFIG.upper(), b"x")),
    "twice": lambda: renamed(f"{FOLDER}/genie_config_json", CONFIG),
    "accents": lambda: with_members(("caf\u00e9", b"x"), ("cafe\u0301", b"x")),
    "file and folder": lambda: with_members((f"{CONFIG}/x", b"x")),
    "symlink": lambda: with_members((special("evil", stat.S_IFLNK | 0o777), b"/etc/passwd")),
    "device": lambda: with_members((special("evil", stat.S_IFCHR | 0o666), b"")),
    "bomb": bomb,
    "overlap": overlapping,
    "longer": longer_than_announced,
    "checksum": wrong_checksum,
    "directory": huge_directory,
    "encrypted": encrypted,
    "method": other_method,
    "truncated": lambda: zipped(FILES)[:-30],
    "no zip": lambda: b"<html>Please log in</html>" * 100,
    "empty zip": lambda: zipped({}),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_archive_is_refused(index: Index, store: ModelStore, kind: str) -> None:
    bundle = build_tiny_bundle(files=FILES, archive=HOSTILE[kind]())
    index.data = bundle.archive
    outside = store.root.parent.parent
    with pytest.raises(PullFailed) as caught:
        await pull_all(bundle.at(address(index)), store)
    assert "\n" not in str(caught.value)
    assert store.scan() == ([], [])
    assert store.partials() == {}
    assert [path.name for path in outside.iterdir()] == ["inside"]
    assert [path.name for path in store.root.iterdir()] == [".partial"]
    assert not store.layout.partial(NAME).exists()


# --- archives that are as they should be -------------------------------------------------------


def as_deflate64(archive: bytes, data: bytes) -> bytes:
    """An archive with one member, `data` in deflate64, made from one in which it is stored."""
    deflater = inflate64.Deflater()
    packed: bytes = deflater.deflate(data) + deflater.flush()
    start, directory = archive.index(data), archive.rindex(b"PK\x01\x02")
    local = bytearray(archive[:start])
    local[8:10] = struct.pack("<H", 9)
    local[18:22] = struct.pack("<I", len(packed))
    central = bytearray(archive[directory:])
    central[10:12] = struct.pack("<H", 9)
    central[20:24] = struct.pack("<I", len(packed))
    end = central.rindex(b"PK\x05\x06")
    central[end + 16 : end + 20] = struct.pack("<I", len(local) + len(packed))
    return bytes(local) + packed + bytes(central)


@pytest.mark.parametrize("count", [1, 6_250, 187_500])
def test_deflate64(tmp_path: Path, count: int) -> None:
    data = (b"abcdefgh" + os.urandom(8)) * count
    plain = zipped({"a/b.bin": data})
    extract(as_deflate64(plain, data), tmp_path / "out")
    assert (tmp_path / "out" / "a" / "b.bin").read_bytes() == data


def test_deflate64_that_is_cut(tmp_path: Path) -> None:
    data = os.urandom(5000)
    archive = bytearray(as_deflate64(zipped({"a.bin": data}), data))
    archive[60:3000] = bytes(2940)
    with pytest.raises(PullFailed):
        extract(bytes(archive), tmp_path / "out")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip64_and_folders_and_what_a_mac_adds(tmp_path: Path, method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("d/", b"")
        with archive.open("d/x.bin", "w", force_zip64=True) as member:
            member.write(b"x" * 100_000)
        archive.writestr("__MACOSX/d/._x.bin", b"junk")
        archive.writestr("d/empty", b"")
    hashes = extract(buffer.getvalue(), tmp_path / "out")
    assert set(hashes) == {"d/x.bin", "d/empty"}
    assert (tmp_path / "out/d/x.bin").read_bytes() == b"x" * 100_000
    assert not (tmp_path / "out/__MACOSX").exists()


# --- fuzzing -----------------------------------------------------------------------------------

NAMES = st.one_of(
    st.sampled_from(["a", "A", "a/b", "../x", "/x", "C:x", "a\\b", "nul", "x.", "é", "e\u0301"]),
    st.text(max_size=12),
)
MEMBERS = st.lists(
    st.tuples(NAMES, st.binary(max_size=300), st.sampled_from([0, 8])), min_size=1, max_size=5
)
EDITS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6)


def build(members: list[tuple[str, bytes, int]], edits: list[tuple[int, int]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data, method in members:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name or "_"
            info.compress_type = method
            archive.writestr(info, data)
    archived = bytearray(buffer.getvalue())
    for place, value in edits:
        archived[place % len(archived)] = value
    return bytes(archived)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(members=MEMBERS, edits=EDITS, cut=st.integers(0, 40))
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_whatever_comes_nothing_is_written_outside(
    tmp_path_factory: pytest.TempPathFactory,
    members: list[tuple[str, bytes, int]],
    edits: list[tuple[int, int]],
    cut: int,
) -> None:
    home = tmp_path_factory.mktemp("fuzz")
    target = home / "inside" / "out"
    target.parent.mkdir()
    try:
        archive = build(members, edits)
    except (ValueError, UnicodeError, struct.error):
        return  # not even `zipfile` writes such a name
    try:
        hashes = extract(archive[: len(archive) - cut], target)
    except NpurunError as error:
        said = str(error)
    else:
        said = ""
        there = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
        assert there == set(hashes)
    assert "\n" not in said
    assert [path.name for path in home.iterdir()] == ["inside"]
    assert {path.name for path in target.parent.iterdir()} <= {"out"}
    assert not any(path.is_symlink() for path in home.rglob("*"))


def test_what_follows_a_stream_that_ends_with_a_block_is_noticed() -> None:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = packer.compress(b"data") + packer.flush()
    assert b"".join(_inflate(iter([stream]))) == b"data"
    with pytest.raises(Unfit, match="behind its end"):
        list(_inflate(iter([stream, b"more"])))
