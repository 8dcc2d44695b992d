"""Unpacking an archive whose directory was checked: streamed, held to what was announced, hashed as it is written."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from npurun_tui.errors import ModelError, PullFailed
from npurun_tui.models.pull.archive import DEFLATE64, Entry, Readable, Unfit, root_of
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.progress import Meter
from npurun_tui.models.pull.syncing import Syncer
from npurun_tui.text import one_line

_BLOCK: Final = 1 << 20
_PIECE: Final = 1 << 14
"""Compressed bytes that are inflated at once where the inflater cannot bound what comes out: some 16 MB at most."""
_SHORT: Final = 248
"""Characters that Windows takes in the path of a folder; 12 more in that of a file."""
_HEADER: Final = struct.Struct("<4s5H3I2H")
_MAGIC: Final = b"PK\x03\x04"
_DAMAGE: Final = (Unfit, zlib.error, EOFError, ValueError, struct.error)


def unpack(
    file: Readable, entries: list[Entry], target: Path, title: str, worker: Worker, meter: Meter
) -> dict[str, str]:
    """Write every entry below the new folder `target`, durably; returns path -> sha256 in hex. Blocking.

    Raises:
        PullFailed: the archive is damaged, or holds something else than its directory announces.
        ModelError: a path is too long for this system.
        OSError: `target` could not be written.
    """
    hashes: dict[str, str] = {}
    target.mkdir()
    with Syncer() as syncer:
        for entry in entries:
            path = root_of(target, entry)
            try:
                with _create(path, entry) as out:
                    blocks = _content(file, entry)
                    hashes[entry.path] = _write(blocks, entry, out, syncer, worker, meter)
            except _DAMAGE as error:
                why = one_line(str(error), 200) or "it ends early"
                member = one_line(repr(entry.path), 80)
                raise PullFailed(
                    f"The archive {one_line(title)} cannot be used: its member {member}: {why}.",
                    mend="It was thrown away. Pull again; if it stays so, its publisher has to mend it.",
                ) from error
    return hashes


def _create(path: Path, entry: Entry) -> BinaryIO:
    """The new file at `path`. Raises ModelError where it is too long for the system: another folder may mend that."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
    except OSError as error:
        length = len(str(path))
        # Windows calls what is too long missing, unless long paths were switched on.
        windows = os.name == "nt" and isinstance(error, FileNotFoundError) and length >= _SHORT
        if error.errno != errno.ENAMETOOLONG and not windows:
            raise
        raise ModelError(
            f"{one_line(repr(entry.path), 80)} would have a path of {length:,} characters, too many for this system.",
            mend="NPURUN_MODELS_DIR can name a folder with a shorter path.",
        ) from error


def _write(
    blocks: Iterator[bytes],
    entry: Entry,
    out: BinaryIO,
    syncer: Syncer,
    worker: Worker,
    meter: Meter,
) -> str:
    digest, crc, done = hashlib.sha256(), 0, 0
    for block in blocks:
        worker.check()
        done += len(block)
        if done > entry.size:
            raise Unfit("it holds more than it announces")
        out.write(block)
        digest.update(block)
        crc = zlib.crc32(block, crc)
        meter.done += len(block)
        syncer.written(out, len(block))
    if done < entry.size:
        raise Unfit("it holds less than it announces")
    if crc != entry.crc:
        raise Unfit("its checksum is wrong")
    syncer.finish(out)
    return digest.hexdigest()


def _content(file: Readable, entry: Entry) -> Iterator[bytes]:
    """What is in `entry`, in blocks."""
    file.seek(_start(file, entry))
    raw = _raw(file, entry.packed_size)
    if entry.method == zipfile.ZIP_STORED:
        yield from raw
    elif entry.method == DEFLATE64:
        yield from _inflate64(raw)
    else:
        yield from _inflate(raw)


def _start(file: Readable, entry: Entry) -> int:
    """Where the entry's bytes begin: behind its own header, which must be of the same member."""
    file.seek(entry.offset)
    fields: tuple[Any, ...] = _HEADER.unpack(file.read(_HEADER.size))
    magic, method, (name_length, extra_length) = fields[0], fields[3], fields[9:]
    if magic != _MAGIC or method != entry.method or file.read(name_length) != entry.raw_name:
        raise Unfit("it differs from what the directory says")
    return entry.offset + _HEADER.size + int(name_length) + int(extra_length)


def _raw(file: Readable, size: int) -> Iterator[bytes]:
    while size:
        block = file.read(min(_BLOCK, size))
        if not block:
            raise EOFError
        size -= len(block)
        yield block


def _inflate(raw: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    ended = False
    for block in raw:
        rest = block
        while rest and not ended:
            yield inflater.decompress(rest, _BLOCK)
            rest, ended = inflater.unconsumed_tail, inflater.eof
        if ended and (rest or inflater.unused_data):
            raise Unfit("it goes on behind its end")
    while not inflater.eof:
        block = inflater.decompress(b"", _BLOCK)
        if not block:
            raise EOFError
        yield block


def _inflate64(raw: Iterator[bytes]) -> Iterator[bytes]:
    import inflate64  # a compiled module: only archives of this kind need it

    inflater = inflate64.Inflater()
    for block in raw:
        for start in range(0, len(block), _PIECE):
            if inflater.eof:
                raise Unfit("it goes on behind its end")
            yield inflater.inflate(block[start : start + _PIECE])
    if not inflater.eof:
        raise EOFError
