"""Taking one member out of a zip archive: streamed, hashed while it is written, and held to the size that is known.

The archive may be hostile. Nothing of it decides where something is written: the target is ours, the member is named
by the catalog, and a member that turns out larger than announced ends the extraction.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final

from npurun_tui.errors import HashMismatch, PullFailed
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.progress import Meter
from npurun_tui.text import one_line

_BLOCK: Final = 1 << 20
_METHODS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What `zipfile` raises for archives that are damaged, encrypted, or of a newer kind."""


@dataclass(frozen=True, slots=True)
class Member:
    """What is taken out of which archive, and what it must turn out to be."""

    archive: Path
    title: str
    """How the archive is called to people; `archive` may have a name of our own."""
    name: str
    size: int
    sha256: str


def extract_member(member: Member, target: Path, worker: Worker, meter: Meter) -> None:
    """Write `member` to the new file `target`, durably. Blocking.

    Raises:
        HashMismatch: its hash is not the pinned one; the target is gone.
        PullFailed: the archive is damaged, or of a kind that is not read; the target is gone.
        OSError: the target could not be written.
    """
    title = one_line(member.title)
    try:
        with zipfile.ZipFile(member.archive) as file:
            info = _single(file, member)
            with file.open(info) as source, target.open("xb") as out:
                digest = _copy(source, out, member.size, worker, meter)
    except _DAMAGE as error:
        target.unlink(missing_ok=True)
        why = one_line(str(error)) or "it ends early"
        raise PullFailed(
            f"The archive {title} cannot be used: {why}.", mend="Pull again."
        ) from error
    if member.sha256 and digest != member.sha256:
        target.unlink(missing_ok=True)
        raise HashMismatch(
            f"The model file in {title} is not the one that is expected: its sha256 differs.",
            mend="It was thrown away.",
        )


def _single(file: zipfile.ZipFile, member: Member) -> zipfile.ZipInfo:
    """The one entry of that name, if it is what it must be."""
    name = one_line(member.name)
    found = [info for info in file.infolist() if info.filename == member.name]
    if len(found) != 1:
        raise zipfile.BadZipFile(f"{name} is in it {len(found)} times")
    info = found[0]
    if stat.S_IFMT(info.external_attr >> 16) not in {0, stat.S_IFREG}:
        raise zipfile.BadZipFile(f"{name} is not a file")
    if info.compress_type not in _METHODS:
        raise zipfile.BadZipFile(f"{name} is compressed with method {info.compress_type}")
    if info.file_size != member.size:
        raise zipfile.BadZipFile(f"{name} has {info.file_size:,} bytes, not {member.size:,}")
    return info


def _copy(source: IO[bytes], out: BinaryIO, size: int, worker: Worker, meter: Meter) -> str:
    digest, done = hashlib.sha256(), 0
    while block := source.read(_BLOCK):
        worker.check()
        done += len(block)
        if done > size:
            raise zipfile.BadZipFile("it holds more than it announces")
        out.write(block)
        digest.update(block)
        meter.done = done
    if done < size:
        raise zipfile.BadZipFile("it holds less than it announces")
    out.flush()
    os.fsync(out.fileno())
    return digest.hexdigest()
