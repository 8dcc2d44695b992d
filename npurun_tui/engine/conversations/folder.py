"""The snapshots on the disk: a private folder of this process, within a limit, the longest unused going first.

What is in it are people's conversations. So its name has the process id in it, it goes with the engine, and what a
killed process left goes when the next one begins. All names in it are made here.
"""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from npurun_tui.engine import leftovers
from npurun_tui.engine.held import Held

log = logging.getLogger(__name__)

RESERVE: Final = 1 << 30
"""Bytes of the volume that are left free for others."""

MOST: Final = 256
"""Snapshots: each is compared with each prompt."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A cache on the disk."""

    folder: Path
    model: str
    """The dialog's `snapshots_of`: what it can be restored into."""
    held: Held
    size: int
    """Bytes."""


class SnapshotFolder:
    """Keeps the account of what is in the folder. Its methods touch the disk: call them in a thread, one at a time."""

    def __init__(self, base: Path, limit: int) -> None:
        """Nothing is made yet. `limit` is in bytes."""
        self._base = base
        self._limit = limit
        self._folder: Path | None = None
        self._snapshots: list[Snapshot] = []
        """The longest unused first."""

    @property
    def size(self) -> int:
        """Bytes that the snapshots take."""
        return sum(snapshot.size for snapshot in self._snapshots)

    def of(self, model: str) -> list[Snapshot]:
        """The snapshots that can be restored into `model`. No disk access."""
        return [snapshot for snapshot in self._snapshots if snapshot.model == model]

    def sweep(self) -> None:
        """Remove what killed processes left."""
        leftovers.sweep(self._base)

    def new_place(
        self, size: int, dispensable: Sequence[Snapshot], kept: Snapshot | None
    ) -> Path | None:
        """Where a snapshot of about `size` bytes can be written; None where there is no room for it.

        Others go for it, `dispensable` ones first, but never `kept`.

        Raises:
            OSError: the folder cannot be made.
        """
        if self._folder is None:
            self._base.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = leftovers.own_folder(self._base)
            folder.mkdir(mode=0o700)
            self._folder = folder
        free = shutil.disk_usage(self._folder).free
        limit = min(self._limit, self.size + free - RESERVE)
        if size + (kept.size if kept else 0) > limit:
            return None
        self._make_room(limit - size, MOST - 1, dispensable, kept)
        return self._folder / secrets.token_hex(8)

    def add(self, path: Path, model: str, held: Held) -> Snapshot:
        """Take what was written at `path` into the account.

        Raises:
            OSError: it is not there.
        """
        size = sum(file.stat().st_size for file in path.iterdir())
        snapshot = Snapshot(path, model, held, size)
        self._snapshots.append(snapshot)
        return snapshot

    def clean(self, dispensable: Sequence[Snapshot]) -> None:
        """Remove `dispensable`, and more where a snapshot became larger than it was taken for."""
        self.remove(dispensable)
        self._make_room(self._limit, MOST, (), None)

    def used(self, snapshot: Snapshot) -> None:
        """It was restored just now. No disk access."""
        if snapshot in self._snapshots:
            self._snapshots.remove(snapshot)
            self._snapshots.append(snapshot)

    def remove(self, snapshots: Sequence[Snapshot]) -> None:
        """Remove these."""
        for snapshot in snapshots:
            if snapshot in self._snapshots:
                self._snapshots.remove(snapshot)
            shutil.rmtree(snapshot.folder, ignore_errors=True)

    def tidy(self) -> None:
        """Remove what a save that failed left."""
        if self._folder is None:
            return
        known = {snapshot.folder for snapshot in self._snapshots}
        try:
            strays = [path for path in self._folder.iterdir() if path not in known]
        except OSError as error:
            log.info("the folder of snapshots cannot be read: %s", error)
            return
        for path in strays:
            shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        self._snapshots.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _make_room(
        self, limit: int, most: int, dispensable: Sequence[Snapshot], kept: Snapshot | None
    ) -> None:
        """Have at most `limit` bytes in at most `most` snapshots."""
        order = [*dispensable, *(one for one in self._snapshots if one not in dispensable)]
        for snapshot in order:
            if self.size <= limit and len(self._snapshots) <= most:
                return
            if snapshot is not kept:
                self.remove([snapshot])
