"""The file that a download grows in, and what is known of it: enough to go on with it after a kill.

`download.part` holds the bytes; `download.json` says which file they are the beginning of (its pinned hash and size)
and which version of it the server sent (ETag or date). All methods block and belong in the worker's thread.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from npurun_tui.files import write_atomic
from npurun_tui.models.catalog import PipIndexSource
from npurun_tui.models.layout import PART
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.progress import Meter

BLOCK: Final = 1 << 20
_TEXT_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class Origin:
    """Which version of the file the bytes are from: its address, and what `If-Range` compares (may be empty)."""

    address: str = ""
    validator: str = ""


class Part:
    """The beginning of one file. `size` is how many bytes of it are there."""

    def __init__(self, folder: Path, source: PipIndexSource) -> None:
        self.path = folder / PART
        self.total = source.size
        self.origin = Origin()
        self.size = 0
        self._sha256 = source.sha256
        self._state = folder / "download.json"
        self._hash = hashlib.sha256()
        self._file: FileIO | None = None

    def open(self, worker: Worker, meter: Meter) -> None:
        """Take up what an earlier pull left, hashing it (some 2 s for each GB); anything else is discarded."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self._load_state():
            self.discard()
            return
        self._file = FileIO(self.path, "ab")
        meter.total = self._file.tell()
        with self.path.open("rb") as existing:
            while block := existing.read(BLOCK):
                worker.check()
                self._hash.update(block)
                self.size += len(block)
                meter.done = self.size

    def _load_state(self) -> bool:
        """Whether there is a part that can be gone on with."""
        try:
            document = json.loads(self._state.read_bytes())
            size = self.path.stat().st_size
        except (OSError, ValueError, RecursionError):
            return False
        if (
            not isinstance(document, dict)
            or document.get("sha256") != self._sha256
            or size > self.total
        ):
            return False
        address, validator = document.get("address"), document.get("validator")
        if isinstance(address, str) and isinstance(validator, str):
            self.origin = Origin(address[:_TEXT_LIMIT], validator[:_TEXT_LIMIT])
        return True

    def begin(self, origin: Origin) -> None:
        """Start from nothing, with the version of the file that `origin` names."""
        self.close()
        self._file = FileIO(self.path, "wb")
        self._hash = hashlib.sha256()
        self.size = 0
        self.origin = origin
        document = {
            "sha256": self._sha256,
            "address": origin.address,
            "validator": origin.validator,
        }
        write_atomic(self._state, json.dumps(document).encode())

    def append(self, data: bytes) -> None:
        """Add `data` to the file and to the hash. Where the disk is full, as much of it as there is room for."""
        if self._file is None:
            self._file = FileIO(self.path, "ab")
        rest = memoryview(data)
        while rest:
            count = self._file.write(rest)
            self._hash.update(rest[:count])
            self.size += count
            rest = rest[count:]

    @property
    def complete(self) -> bool:
        """All bytes are there; whether they are the right ones is `matches`."""
        return self.size == self.total

    @property
    def matches(self) -> bool:
        """The bytes that are there have the pinned hash."""
        return self._hash.hexdigest() == self._sha256

    def sync(self) -> None:
        """Make the file survive a power cut."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def discard(self) -> None:
        """Throw the bytes away."""
        self.close()
        self._state.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        self._hash = hashlib.sha256()
        self.size = 0
        self.origin = Origin()

    def close(self) -> None:
        """Close the file; the bytes stay."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
