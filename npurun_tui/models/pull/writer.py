"""From the socket to the part: what arrives is written in blocks, and never waits long in memory.

A piece is written when it is large enough or a tenth of a second old, also where the server falls silent, so that a
kill loses next to nothing. The socket is read on while the thread writes.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.part import Part

PIECE: Final = 1 << 19
LIMIT: Final = 1 << 21
"""Bytes that may wait for a slow disk before the socket is left alone."""
OLDEST: Final = 0.1
"""Seconds."""


class PartWriter:
    """Writes one response's body from `offset` on. `drain` must be called at its end, however that comes."""

    def __init__(self, part: Part, worker: Worker, offset: int) -> None:
        self._part = part
        self._worker = worker
        self._offset = offset
        self._buffer = bytearray()
        self._enough = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def put(self, chunk: bytes) -> None:
        """Have `chunk` written soon. Raises OSError where an earlier one could not be."""
        self._buffer += chunk
        if len(self._buffer) >= PIECE:
            self._enough.set()
        if self._task is not None and (self._task.done() or len(self._buffer) >= LIMIT):
            await asyncio.wait({self._task})  # a cancellation here must not end the writing
            task, self._task = self._task, None
            task.result()
        if self._task is None and self._buffer:
            self._task = asyncio.create_task(self._write())

    async def drain(self) -> None:
        """Return when all is written, also when this is cancelled. Raises OSError where it could not be."""
        cancelled = False
        while self._task is not None and not self._task.done():
            self._enough.set()
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                cancelled = True
        task, self._task = self._task, None
        if task is not None:
            task.result()
        if cancelled:
            raise asyncio.CancelledError

    async def _write(self) -> None:
        while self._buffer:
            with suppress(TimeoutError):
                async with asyncio.timeout(OLDEST):
                    await self._enough.wait()
            data, self._buffer = self._buffer, bytearray()
            self._enough.clear()
            offset, self._offset = self._offset, self._offset + len(data)
            await self._worker.run(self._part.write, offset, bytes(data))
