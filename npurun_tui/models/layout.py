"""Where things lie below the models' folder. Everything but the models themselves is hidden from `list`.

    <root>/<model>/               an installed model
    <root>/.partial/<model>/      what a pull has fetched so far, its state, and what it unpacks
    <root>/.partial/<model>.lock  the lock of that model
    <root>/.trash/                what is being deleted
    <root>/.trash-*/              the same, where the disk was too full for a folder more

All of it is on one volume, so that a rename is atomic. Names must have passed `names.normalise`.
"""

from __future__ import annotations

import json
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PART: Final = "download.part"
"""In the folder of an unfinished pull: what it has fetched so far, in blocks, with holes between them."""
MAP: Final = "download.map"
"""Beside it: a `CELL` for each block."""
STATE: Final = "download.json"
"""Beside it: which file that is, and how large it will be."""
UNPACKED: Final = "unpacked"
"""Beside it: what is taken out of the download. Every pull begins it anew."""
CELL: Final = struct.Struct("<II")
"""How many of a block's bytes are there, and their CRC-32."""
HIDDEN: Final = ".trash-"
"""What the name begins with of a folder that is deleted where it lies."""
_MOST_STATE: Final = 1 << 16
_MOST_CELLS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one models' folder. Nothing is created by asking for it."""

    root: Path

    @property
    def partial_root(self) -> Path:
        """The folder of unfinished pulls and of the locks."""
        return self.root / ".partial"

    @property
    def trash(self) -> Path:
        """What a removal moves aside before it deletes."""
        return self.root / ".trash"

    def doomed(self) -> list[Path]:
        """The folders whose deletion was cut short, or runs. What cannot be read counts as none."""
        found: list[Path] = []
        for folder, start in ((self.trash, ""), (self.root, HIDDEN)):
            with suppress(OSError), os.scandir(folder) as entries:
                found += [
                    folder / entry.name
                    for entry in entries
                    if entry.name.startswith(start) and entry.is_dir(follow_symlinks=False)
                ]
        return sorted(found)

    def model(self, name: str) -> Path:
        """The folder of an installed model."""
        return self.root / name

    def partial(self, name: str) -> Path:
        """The folder of an unfinished pull."""
        return self.partial_root / name


def kept_bytes(folder: Path) -> int:
    """Bytes that the unfinished pull in `folder` need not fetch again. Raises OSError where there is none."""
    with (folder / MAP).open("rb") as file:
        data = file.read(_MOST_CELLS * CELL.size)
    (folder / PART).stat()
    whole = len(data) - len(data) % CELL.size
    return sum(done for done, _ in CELL.iter_unpack(data[:whole]))


def announced_bytes(folder: Path) -> int:
    """Bytes that the whole download in `folder` has, as its server said; 0 where none has said it yet."""
    try:
        with (folder / STATE).open("rb") as file:
            document = json.loads(file.read(_MOST_STATE))
    except (OSError, ValueError, RecursionError):
        return 0
    total = document.get("total") if isinstance(document, dict) else None
    return total if isinstance(total, int) and not isinstance(total, bool) and total > 0 else 0
