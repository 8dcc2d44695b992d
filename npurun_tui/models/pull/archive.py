"""A zip archive with a whole model in it: looked at before anything is unpacked, then unpacked member by member.

The archive may be hostile. Its directory is checked first: names that lead out of the folder, that Windows reserves or
that differ in case only, links, members that overlap, sizes that no model has. Then each member is held to the size and
CRC that were announced, while it is streamed; no member is ever in memory as a whole.
"""

from __future__ import annotations

import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from npurun_tui.errors import PullFailed
from npurun_tui.models.names import fault_of_relative_path
from npurun_tui.text import one_line

MAX_MEMBERS: Final = 10_000
MAX_DIRECTORY: Final = 8 << 20
"""Bytes of the archive's own directory, which is held in memory."""
MAX_RATIO: Final = 20
"""Unpacked to packed, of the whole: weights hardly shrink, and tokenizers to a fifth."""
SMALL: Final = 64 << 20
"""Bytes below which a ratio is no matter."""

DEFLATE64: Final = 9
METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, DEFLATE64})
_IGNORED: Final = "__MACOSX/"
_LOCAL: Final = 30
"""Bytes of a member's own header, before its name."""


class Readable(Protocol):
    """What is needed of a file with an archive in it."""

    def read(self, count: int = -1, /) -> bytes:
        """At most `count` bytes; fewer only at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As a file's."""

    def tell(self) -> int:
        """As a file's."""


class Unfit(Exception):
    """The archive cannot be used; the text ends the sentence that says so."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive. Sizes and offsets in bytes."""

    path: str
    """Relative, forward slashes; passed `fault_of_relative_path`."""
    size: int
    packed_size: int
    method: int
    crc: int
    offset: int
    """Of its own header in the archive."""
    raw_name: bytes
    """As it stands in the archive, to be compared with the name in that header."""


def read_directory(file: Readable, title: str) -> list[Entry]:
    """The files in the archive, all checked. `title` is how the archive is called to people. Blocking.

    Raises:
        PullFailed: it is no zip archive, is damaged, or holds what no model has.
    """
    try:
        with zipfile.ZipFile(_Bounded(file)) as archive:
            infos, end = archive.infolist(), archive.start_dir
        entries = [_entry(info) for info in _wanted(infos)]
        _check_whole(entries, end)
    except (Unfit, zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        why = one_line(str(error), 200) or "it ends early"
        raise PullFailed(
            f"The archive {one_line(title)} cannot be used: {why}.",
            mend="It was thrown away. Pull again; if it stays so, its publisher has to mend it.",
        ) from error
    return entries


def _wanted(infos: list[zipfile.ZipInfo]) -> Iterator[zipfile.ZipInfo]:
    """The files, without what only describes a folder or is a Mac's own."""
    if len(infos) > MAX_MEMBERS:
        raise Unfit(f"it has more than {MAX_MEMBERS:,} members")
    for info in infos:
        name = info.orig_filename
        if name.startswith(_IGNORED):
            continue
        if name.endswith("/"):
            if fault := fault_of_relative_path(name.rstrip("/")):
                raise Unfit(f"its folder {one_line(repr(name), 80)} {fault}")
            continue
        yield info


def _entry(info: zipfile.ZipInfo) -> Entry:
    # `filename` was cut at a NUL and its separators were changed; what is checked is what stands there.
    name = info.orig_filename
    shown = one_line(repr(name), 80)
    kind = stat.S_IFMT(info.external_attr >> 16)
    faults = {
        fault_of_relative_path(name): True,
        "is not a file": kind not in {0, stat.S_IFREG},
        "is encrypted": bool(info.flag_bits & 0x1),
        f"is compressed with method {info.compress_type}": info.compress_type not in METHODS,
        "is stored with two sizes": info.compress_type == zipfile.ZIP_STORED
        and info.file_size != info.compress_size,
    }
    fault = next((text for text, found in faults.items() if found and text), "")
    if fault:
        raise Unfit(f"its member {shown} {fault}")
    encoding = "utf-8" if info.flag_bits & 0x800 else "cp437"
    return Entry(
        path=name,
        size=info.file_size,
        packed_size=info.compress_size,
        method=info.compress_type,
        crc=info.CRC,
        offset=info.header_offset,
        raw_name=name.encode(encoding, "surrogateescape"),
    )


def _check_whole(entries: list[Entry], end: int) -> None:
    """What only shows when all members are seen together. `end` is where the archive's directory begins."""
    if not entries:
        raise Unfit("it is empty")
    _check_names(entries)
    packed = sum(entry.packed_size for entry in entries)
    size = sum(entry.size for entry in entries)
    if size > SMALL and size > MAX_RATIO * packed:
        raise Unfit(
            f"it would grow to {size // max(1, packed):,} times its size, which no model does"
        )
    before = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset < before:
            raise Unfit("its members overlap")
        before = entry.offset + _LOCAL + len(entry.raw_name) + entry.packed_size
    if before > end:
        raise Unfit("its members overlap its directory")


def _check_names(entries: list[Entry]) -> None:
    """No two names that some file system takes for one, and no file where another needs a folder."""
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for entry in entries:
        key = _folded(entry.path)
        if key in seen:
            raise Unfit(
                f"two of its members are called {one_line(repr(entry.path), 80)}, but for the case"
            )
        seen[key] = entry.path
        parts = key.split("/")
        folders.update("/".join(parts[:count]) for count in range(1, len(parts)))
    if clash := folders & seen.keys():
        raise Unfit(f"its member {one_line(repr(seen[min(clash)]), 80)} is a file and a folder")


def _folded(name: str) -> str:
    """Equal for names that any file system may take for one: some compare in capitals, some in another normal form."""
    for _ in range(4):  # one step may open the way for the next; it comes to rest after two
        name = unicodedata.normalize("NFKC", name.upper().casefold())
    return name


class _Bounded:
    """A file for `zipfile`, which reads an archive's whole directory at once, however large it claims to be."""

    def __init__(self, file: Readable) -> None:
        self._file = file

    def read(self, count: int = -1) -> bytes:
        if count > MAX_DIRECTORY:
            raise Unfit("its directory is too large")
        data = self._file.read(count if count >= 0 else MAX_DIRECTORY + 1)
        if len(data) > MAX_DIRECTORY:
            raise Unfit("its directory is too large")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """The file is its owner's to close."""


def root_of(target: Path, entry: Entry) -> Path:
    """Where `entry` belongs below `target`."""
    return target.joinpath(*entry.path.split("/"))
