"""The forms that zip archives come in, and the ways in which one may say two things at once."""

from __future__ import annotations

import io
import os
import stat
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from npurun_tui.errors import ModelError, PullFailed
from npurun_tui.models.names import fault_of_relative_path
from npurun_tui.models.pull.archive import read_directory
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.progress import Meter
from npurun_tui.models.pull.unpack import unpack
from tests.support.tiny_bundle import zipped

DATA = b"0123456789" * 50
CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


def extract(archive: bytes | Path, target: Path) -> dict[str, str]:
    """Read and unpack, as a pull does."""
    with archive.open("rb") if isinstance(archive, Path) else io.BytesIO(archive) as file:
        entries = read_directory(file, "x.zip")
        with Worker() as worker:
            return unpack(file, entries, target, "x.zip", worker, Meter())


class Pipe(io.RawIOBase):
    """Where `zipfile` cannot go back, it writes sizes behind the data."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += memoryview(data)  # type: ignore[arg-type]
        return len(memoryview(data))  # type: ignore[arg-type]


# --- what is read ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_sizes_that_follow_the_data(tmp_path: Path, method: int) -> None:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:
        archive.writestr("d/a.bin", DATA)
        archive.writestr("d/b.bin", b"")
        archive.writestr("d/c.bin", DATA)
    assert pipe.data[6] & 0x08
    extract(bytes(pipe.data), tmp_path / "out")
    assert (tmp_path / "out/d/a.bin").read_bytes() == DATA
    assert (tmp_path / "out/d/c.bin").read_bytes() == DATA


def test_a_program_before_the_archive(tmp_path: Path) -> None:
    """A self-extractor whose offsets nobody corrected: they count from where the archive begins."""
    extract(b"MZ a program " * 99 + zipped({"a.bin": DATA, "b.bin": DATA}), tmp_path / "out")
    assert (tmp_path / "out/b.bin").read_bytes() == DATA


def test_a_comment(tmp_path: Path) -> None:
    buffer = io.BytesIO(zipped({"a.bin": DATA}))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"made by hand " * 99
    extract(buffer.getvalue(), tmp_path / "out")
    assert (tmp_path / "out/a.bin").read_bytes() == DATA


@pytest.mark.parametrize("rest", [b"", bytes(18), struct.pack("<4H2IH", 0, 0, 0, 0, 0, 0, 0)])
def test_a_comment_that_looks_like_an_end_is_one_thing_or_refused(
    tmp_path: Path, rest: bytes
) -> None:
    buffer = io.BytesIO(zipped({"a.bin": DATA}))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"see " + END + rest
    try:
        extract(buffer.getvalue(), tmp_path / "out")
    except PullFailed:
        assert not (tmp_path / "out").exists()
    else:
        assert (tmp_path / "out/a.bin").read_bytes() == DATA


@pytest.mark.skipif(sys.platform == "win32", reason="a hole of 4 GiB costs 4 GiB there")
def test_members_behind_four_gib(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.truncate((4 << 30) + 12_345)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d/a.bin", DATA)
        archive.writestr("d/b.bin", DATA[::-1])
    with path.open("rb") as file:
        assert min(entry.offset for entry in read_directory(file, "x")) > 4 << 30
    extract(path, tmp_path / "out")
    assert (tmp_path / "out/d/b.bin").read_bytes() == DATA[::-1]


@pytest.mark.skipif(sys.platform == "win32", reason="a hole of 4 GiB costs 4 GiB there")
def test_a_member_of_more_than_four_gib(tmp_path: Path) -> None:
    """Its sizes stand in the zip64 field; only its beginning is read here, as four GiB take their time."""
    size, name = (4 << 30) + 7, b"big.bin"
    extra = struct.pack("<HHQQ", 1, 16, size, size)
    local = LOCAL + struct.pack("<5H3I2H", 45, 0, 0, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 7, 20)
    central = CENTRAL + struct.pack(
        *("<6H3I5H2I", 45, 45, 0, 0, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF),
        *(len(name), len(extra), 0, 0, 0, 0, 0),
    )
    start = len(local) + len(name) + len(extra)
    record = struct.pack(
        "<4sQ2H2I4Q",
        b"PK\x06\x06",
        44,
        45,
        45,
        0,
        0,
        1,
        1,
        len(central + name + extra),
        start + size,
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, start + size + len(central + name + extra), 1)
    end = END + struct.pack("<4H2IH", 0, 0, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.write(local + name + extra)
        file.seek(start + size)
        file.write(central + name + extra + record + locator + end)
    with path.open("rb") as file:
        (entry,) = read_directory(file, "x")
    assert (entry.size, entry.packed_size, entry.offset) == (size, size, 0)


@pytest.mark.skipif(os.name == "nt", reason="there are no such bits there")
def test_modes_of_the_archive_are_not_taken_over(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("run.sh")
    info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o6777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, DATA)
    extract(buffer.getvalue(), tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out/run.sh").stat().st_mode) & ~0o666 == 0


# --- what is refused ---------------------------------------------------------------------------


def local_changed(offset: int, form: str, value: int) -> bytes:
    """The first member's own header says something else than the directory."""
    data = bytearray(zipped({"a.bin": DATA, "b.bin": DATA}))
    data[offset : offset + struct.calcsize(form)] = struct.pack(form, value)
    return bytes(data)


def of_names(*names: str) -> Callable[[], bytes]:
    def build() -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for number, name in enumerate(names):
                archive.writestr(name, b"%d" % number)
        return buffer.getvalue()

    return build


def other_local_name() -> bytes:
    data = bytearray(zipped({"a.bin": DATA}))
    data[30:35] = b"z.bin"
    return bytes(data)


def many_small_bombs() -> bytes:
    """Each one is small enough to be no matter."""
    zeros = bytes(1 << 20)
    return zipped({f"z/{number}": zeros for number in range(80)}, zipfile.ZIP_DEFLATED)


def too_many() -> bytes:
    return zipped({f"{number}": b"" for number in range(10_001)})


def directory(archive: bytes | bytearray) -> None:
    """Only look at it: what is refused here is refused before a byte is written."""
    read_directory(io.BytesIO(archive), "x.zip")


def quoted() -> bytes:
    """A bomb without a ratio: the first member's data is the whole second member, header and all."""
    inner = zipped({"b.bin": DATA})
    inner = inner[: inner.index(CENTRAL)]
    outer = zipped({"a.bin": inner, "b.bin": DATA})
    data, second = bytearray(outer), outer.rindex(CENTRAL)
    data[second + 42 : second + 46] = struct.pack("<I", outer.index(inner))
    return bytes(data)


def into_the_directory() -> bytes:
    data = bytearray(zipped({"a.bin": DATA}))
    entry = data.index(CENTRAL)
    data[entry + 20 : entry + 28] = struct.pack("<II", len(DATA) + 9, len(DATA) + 9)
    return bytes(data)


def cut_name() -> bytes:
    return zipped({"evil_.bin": DATA}).replace(b"evil_.bin", b"evil\0.bin")


def large_directory() -> bytes:
    path = "/".join(["n" * 235] * 4)
    return zipped({f"{path}/{number}": b"" for number in range(9_000)})


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (quoted, "its members overlap"),
        (into_the_directory, "its members overlap its directory"),
        (cut_name, "has control characters in it"),
        (large_directory, "its directory is too large"),
    ],
)
def test_what_the_directory_shows_is_refused_before_anything_is_written(
    make: Callable[[], bytes], why: str
) -> None:
    with pytest.raises(PullFailed, match=rf"{why}\. It was thrown away"):
        directory(make())


def test_a_member_that_ends_before_its_size_is_told_though_its_checksum_fits(
    tmp_path: Path,
) -> None:
    data = bytearray(zipped({"a.bin": DATA}, zipfile.ZIP_DEFLATED))
    entry = data.index(CENTRAL)
    data[entry + 24 : entry + 28] = struct.pack("<I", len(DATA) + 1)
    with pytest.raises(PullFailed, match="holds less than it announces"):
        extract(bytes(data), tmp_path / "out")


REFUSED: dict[str, Callable[[], bytes]] = {
    "method differs": lambda: local_changed(8, "<H", 8),
    "name differs": other_local_name,
    "name is longer": lambda: local_changed(26, "<H", 4000),
    "extra is longer": lambda: local_changed(28, "<H", 4000),
    "sharp s": of_names("straße.bin", "STRASSE.bin"),
    "dotless i": of_names("ı.bin", "I.bin"),
    "dotted I": of_names("İ.bin", "i̇.bin"),
    "kelvin": of_names("K.bin", "k.bin"),
    "ligature": of_names("ﬁle", "file"),
    "composed in a folder": of_names("é/a", "e\u0301/A"),
    "iota below": of_names("\u1fb3", "\u1fbc"),
    "file in a file": of_names("A", "a/b"),
    "device with a space": of_names("nul .txt"),
    "device and stream": of_names("con:x"),
    "stream": of_names("weights.bin::$DATA"),
    "drive": of_names("C:/x"),
    "share": of_names("//server/share/x"),
    "current folder": of_names("./x"),
    "folder above": of_names("a/../b"),
    "trailing space": of_names("a /b"),
    "name of 256 bytes": of_names("é" * 128),
    "path of 1,001": of_names("/".join(["abcdefghi"] * 101)),
    "folder that climbs": of_names("../x/", "a"),
    "small bombs": many_small_bombs,
    "too many": too_many,
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_says_two_things_is_refused(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "in" / "out"
    target.parent.mkdir()
    with pytest.raises(PullFailed, match=r"^The archive x\.zip cannot be used: [^\n]+$"):
        extract(REFUSED[kind](), target)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.skipif(os.name == "nt", reason="its limit is another one, and can be switched off")
def test_a_path_that_the_system_does_not_take(tmp_path: Path) -> None:
    """The archive is as it should be; the models' folder lies too deep for it."""
    deep = tmp_path.joinpath(*["d" * 250] * 13)
    deep.mkdir(parents=True)
    with pytest.raises(
        ModelError, match=r"^'[^\n]+ would have a path of 4,\d+ characters"
    ) as caught:
        extract(of_names("/".join(["n" * 240] * 4))(), deep / "out")
    assert not isinstance(caught.value, PullFailed)


def test_names_that_are_like_but_not_the_same(tmp_path: Path) -> None:
    names = ["a.bin", "b.bin", "com10", "nulls", "con-fig", ".hidden", "a..b", "é" * 127]
    extract(of_names(*names)(), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(names)


@pytest.mark.parametrize("name", ["com1", "COM1.txt", "lpt9 .x", "aux  ", "CONIN$", "com¹.bin"])
def test_devices_of_windows(name: str) -> None:
    assert fault_of_relative_path(f"a/{name}")
