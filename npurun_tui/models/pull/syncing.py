"""Writing to the disk in good time: what is written is synced while more is computed, not all of it at the end."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Final, Self

EVERY: Final = 64 << 20
"""Bytes between two syncs of one file."""
_MOST: Final = 16
"""Files that wait to be synced, each of which is open; macOS gives a process 256."""


class Syncer:
    """One thread that syncs files in their order. When the context ends well, everything is on the disk."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "sync")
        self._pending: deque[Future[None]] = deque()
        self._since = 0

    def written(self, file: BinaryIO, count: int) -> None:
        """`count` bytes more are in `file`. Raises OSError where an earlier sync failed."""
        self._since += count
        if self._since >= EVERY and all(sync.done() for sync in self._pending):
            self._begin(file)

    def finish(self, file: BinaryIO) -> None:
        """`file` is complete; it may be closed at once. Raises OSError where an earlier sync failed."""
        self._begin(file)

    def _begin(self, file: BinaryIO) -> None:
        self._collect(_MOST - 1)
        file.flush()
        self._since = 0
        self._pending.append(self._pool.submit(_sync, os.dup(file.fileno())))

    def _collect(self, most: int) -> None:
        """Take the results of those that are done, and wait until no more than `most` are not."""
        while self._pending and (self._pending[0].done() or len(self._pending) > most):
            self._pending.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.shutdown(
            wait=True
        )  # also after a failure: nobody writes to a folder that is being deleted
        if kind is None:
            self._collect(0)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
