"""The file that a download grows in, and what is known of it: enough to go on with it after a kill or a power cut.

The file is filled in blocks, in any order, so that several connections can work on it. `download.part` holds the bytes.
`download.json` says which file they are of: its address, size, and version (ETag or date). `download.map` has two
numbers for each block: how many of its bytes are there, and their CRC-32. The map is written after the bytes, and each
block is compared with it when a pull goes on: what a power cut lost or damaged is fetched again, and nothing else.

The sha256 of the whole follows the bytes that are there without a gap. All methods block and belong in the worker's
thread.
"""

from __future__ import annotations

import hashlib
import json
import threading
import zlib
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, Final

from npurun_tui.files import patiently, write_atomic
from npurun_tui.models.catalog import Source
from npurun_tui.models.fields import MAX_ADDRESS
from npurun_tui.models.layout import CELL, MAP, PART, STATE
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.progress import Meter, Phase
from npurun_tui.models.pull.sparse import allow_holes, taken

BLOCK: Final = 16 << 20
"""Bytes of a block: what one request asks for. Large enough that the pause between two requests does not count."""
LEAST: Final = 1 << 12
LARGEST: Final = 1 << 40
"""Bytes that a file may have."""
_READ: Final = 1 << 20
_PATIENCE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Origin:
    """Which version of the file the bytes are from: its address, and what `If-Range` compares (may be empty).

    `seen` is what tells two versions apart where both are seen; it may be too weak for `If-Range`.
    """

    address: str = ""
    validator: str = ""
    seen: str = ""


class Part:
    """One file, as far as it is here. `total` is its size in bytes, None until a server has said it."""

    def __init__(self, folder: Path, source: Source, block: int = BLOCK) -> None:
        self.path = folder / PART
        self.block = block
        self.total: int | None = source.size or None
        self.origin = Origin()
        self._pinned_total = self.total
        self._key = source.sha256 or str(source)
        self._state = folder / STATE
        self._map_path = folder / MAP
        self._blocks: list[tuple[int, int]] = []
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._file: FileIO | None = None
        self._map: FileIO | None = None
        self._grown = threading.Condition()
        self.generation = 0
        """Counts how often the file was begun anew."""

    # --- what is there -------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return sum(done for done, _ in self._blocks)

    def done(self, index: int) -> int:
        """Bytes of block `index` that are there, from its beginning on."""
        return self._blocks[index][0] if index < len(self._blocks) else 0

    def length(self, index: int) -> int:
        """Bytes that block `index` has when it is complete; a whole block's while `total` is not known."""
        if self.total is None:
            return self.block
        return max(0, min(self.block, self.total - index * self.block))

    @property
    def missing(self) -> list[int]:
        """The blocks that are not complete, in their order; [0] while nothing is known of the file."""
        if self.total is None:
            return [0]
        count = -(-self.total // self.block)
        return [index for index in range(count) if self.done(index) < self.length(index)]

    @property
    def total_missing(self) -> int:
        """Bytes that are still to come, as far as that is known."""
        return max(0, (self.total or 0) - self.size)

    @property
    def on_disk(self) -> int:
        """Bytes of the disk that it takes already, and that a download need not ask for once more. Blocking."""
        return max(self.size, min(taken(self.path), self.total or 0))

    def ends_with(self, index: int) -> bool:
        """Block `index` is the file's last one."""
        return self.total is not None and (index + 1) * self.block >= self.total

    @property
    def complete(self) -> bool:
        """All bytes are there; whether they are the right ones is another question."""
        return self.total is not None and self._hashed == self.total

    @property
    def sha256(self) -> str:
        """Of the bytes that are there without a gap, in hex; of the file where it is complete."""
        return self._hash.hexdigest()

    def wait_for(self, offset: int, count: int, generation: int, seconds: float = 0.1) -> bool:
        """Whether `count` bytes from `offset` on are there, after waiting for them for some `seconds`.

        True too where the part is no longer of that `generation`. For another thread than the writing one.
        """
        with self._grown:
            return self._grown.wait_for(
                lambda: self.generation != generation or self._has(offset, count), seconds
            )

    def _has(self, offset: int, count: int) -> bool:
        while count > 0:
            index, inside = divmod(offset, self.block)
            here = min(count, self.length(index) - inside)
            if here <= 0 or self.done(index) < inside + here:
                return False
            offset += here
            count -= here
        return True

    # --- taking up what an earlier pull left ---------------------------------------------------

    def open(self, worker: Worker, meter: Meter) -> None:
        """Take up what an earlier pull left, reading it once (about a second for each GB)."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        document = self._load_state()
        if document is None:
            self.discard()
            return
        total, block = document["total"], document["block"]
        self.total, self.block = total or self._pinned_total, block
        validator = document["validator"]
        self.origin = Origin(document["address"], validator, document.get("seen", validator))
        claimed = self._load_map()
        meter.enter(Phase.VERIFYING, sum(done for done, _ in claimed))
        with self.path.open("rb") as file:
            for index, (done, crc) in enumerate(claimed):
                self._blocks.append(self._examine(file, index, done, crc, worker, meter))
        self._open_files("r+b")
        self._save_map()

    def _load_state(self) -> dict[str, Any] | None:
        """What is known of a part that can be gone on with; None where there is none."""
        try:
            document = json.loads(self._state.read_bytes())
            there = self.path.is_file() and self._map_path.is_file()
        except (OSError, ValueError, RecursionError):
            return None
        if not there or not isinstance(document, dict) or document.get("key") != self._key:
            return None
        texts = [document.get("address"), document.get("validator"), document.get("seen", "")]
        total, block = document.get("total"), document.get("block")
        if not all(isinstance(text, str) and len(text) <= MAX_ADDRESS for text in texts):
            return None
        if not isinstance(total, int) or not isinstance(block, int):
            return None
        fits = not self._pinned_total or total == self._pinned_total
        return document if fits and 0 < total <= LARGEST and LEAST <= block <= LARGEST else None

    def _load_map(self) -> list[tuple[int, int]]:
        with self._map_path.open("rb") as file:
            data = file.read(CELL.size * len_of(self.total or 0, self.block))
        whole = len(data) - len(data) % CELL.size
        cells = CELL.iter_unpack(data[:whole])
        return [(min(done, self.length(index)), crc) for index, (done, crc) in enumerate(cells)]

    def _examine(
        self, file: Any, index: int, done: int, crc: int, worker: Worker, meter: Meter
    ) -> tuple[int, int]:
        """The block as it really is: what the map says of it where its bytes bear that out, else nothing."""
        start, at = index * self.block, 0
        before = self._hash.copy() if self._hashed == start else None
        actual = 0
        file.seek(start)
        while at < done:
            worker.check()
            data = file.read(min(_READ, done - at))
            if not data:
                break
            actual = zlib.crc32(data, actual)
            if before is not None:
                before.update(data)
            at += len(data)
            meter.done += len(data)
        if at != done or actual != crc:
            return (0, 0)
        if before is not None:
            self._hash, self._hashed = before, start + done
        return (done, crc)

    # --- filling it ----------------------------------------------------------------------------

    def begin(self, origin: Origin, total: int | None) -> None:
        """Start from nothing, with the version of the file that `origin` names; `total` None is not known yet."""
        self.discard()
        self.total = total
        self.origin = origin
        cells = self._open_files("w+b")
        if self._file is not None:
            allow_holes(self._file)
        # The whole map now: a disk that is full later cannot keep it from being written.
        count = len_of(total or self.block, self.block)
        cells.write(bytes(count * CELL.size))
        self._save_state()

    def write(self, offset: int, data: bytes | bytearray) -> None:
        """Put `data` at `offset`, which must be where its block ends so far; it may run on into the next blocks.

        Where the disk is full, as much of it as there is room for is kept, and OSError is raised.
        """
        rest = memoryview(data)
        while rest:
            index, inside = divmod(offset, self.block)
            if self.done(index) != inside:
                raise ValueError("a download may not leave holes in a block")
            piece = rest[: self.block - inside]
            self._put(index, offset, piece)
            offset += len(piece)
            rest = rest[len(piece) :]

    def _put(self, index: int, offset: int, piece: memoryview) -> None:
        assert self._file is not None  # noqa: S101 - `open` or `begin` came before
        while piece:
            self._file.seek(offset)
            count = self._file.write(piece)
            written = piece[:count]
            while len(self._blocks) <= index:
                self._blocks.append((0, 0))
            done, crc = self._blocks[index]
            cell = (done + count, zlib.crc32(written, crc))
            with self._grown:
                self._blocks[index] = cell
                self._grown.notify_all()
            self._save_cell(index)
            self._follow(offset, written)
            offset += count
            piece = piece[count:]

    def _follow(self, offset: int, written: memoryview) -> None:
        """Take what came into the hash, and what lies behind it already."""
        if offset != self._hashed:
            return
        self._hash.update(written)
        self._hashed += len(written)
        while (ready := self._ready()) > 0:
            assert self._file is not None  # noqa: S101
            self._file.seek(self._hashed)
            data = self._file.read(min(_READ, ready))
            if not data:
                raise OSError("the download's file was cut by another program")
            self._hash.update(data)
            self._hashed += len(data)

    def _ready(self) -> int:
        """Bytes of the block where the hash stands that are there and not hashed."""
        index, inside = divmod(self._hashed, self.block)
        return self.done(index) - inside

    def end(self) -> None:
        """What is there is all there is: for a server that does not say beforehand how much it sends."""
        self.total = self._hashed
        self._save_state()

    # --- keeping it ----------------------------------------------------------------------------

    def discard(self) -> None:
        """Throw the bytes away."""
        self.close()
        # First: who reads them has the file open, which Windows does not delete then.
        with self._grown:
            self.generation += 1
            self._blocks.clear()
            self._grown.notify_all()
        for path in (self._state, self._map_path, self.path):
            patiently(partial(path.unlink, missing_ok=True), seconds=_PATIENCE)
        self._hash = hashlib.sha256()
        self._hashed = 0
        self.origin = Origin()
        self.total = self._pinned_total

    def close(self) -> None:
        """Close the files; the bytes stay."""
        for file in (self._file, self._map):
            if file is not None:
                file.close()
        self._file = self._map = None

    def _open_files(self, mode: str) -> FileIO:
        """Open both files; the map is returned."""
        self._file, self._map = FileIO(self.path, mode), FileIO(self._map_path, mode)
        return self._map

    def _save_state(self) -> None:
        document = {
            "key": self._key,
            "address": self.origin.address,
            "validator": self.origin.validator,
            "seen": self.origin.seen,
            "total": self.total or 0,
            "block": self.block,
        }
        write_atomic(self._state, json.dumps(document).encode())

    def _save_cell(self, index: int) -> None:
        assert self._map is not None  # noqa: S101
        self._map.seek(index * CELL.size)
        self._map.write(CELL.pack(*self._blocks[index]))

    def _save_map(self) -> None:
        for index in range(len(self._blocks)):
            self._save_cell(index)


def len_of(total: int, block: int) -> int:
    """Blocks that a file of `total` bytes has."""
    return -(-total // block)
