"""From the socket to the part: what arrives is written in blocks, and never waits long in memory.

A piece is written when it is large enough or a twentieth of a second old, also where the server falls silent, so that
a kill loses next to nothing; while the disk is busy larger ones gather by themselves. The socket is read on while the
thread writes, as far as a lane's and the pull's limits go.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.part import Part

PIECE: Final = 1 << 17
LIMIT: Final = 1 << 21
"""Bytes of one lane that may wait for a slow disk before its socket is left alone; as many are being written."""
MOST: Final = 1 << 24
"""Bytes of all lanes of a pull, waiting or being written. Four lanes cannot reach it; more share it."""
OLDEST: Final = 0.05
"""Seconds."""


@dataclass(slots=True)
class Budget:
    """What the lanes of one pull may hold in memory together."""

    most: int = MOST
    held: int = 0
    """Bytes that have arrived and are not on the disk yet."""

    @property
    def spent(self) -> bool:
        """No lane may read on before what it has itself is written."""
        return self.held >= self.most


class PartWriter:
    """Writes one response's body from `offset` on. `drain` must be called at its end, however that comes."""

    def __init__(self, part: Part, worker: Worker, offset: int, budget: Budget) -> None:
        self._part = part
        self._worker = worker
        self._offset = offset
        self._budget = budget
        self._buffer = bytearray()
        self._enough = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failed = False

    async def put(self, chunk: bytes) -> None:
        """Have `chunk` written soon. Raises OSError where an earlier one could not be."""
        self._buffer += chunk
        self._budget.held += len(chunk)
        full = len(self._buffer) >= LIMIT or self._budget.spent
        if len(self._buffer) >= PIECE or full:
            self._enough.set()
        # Each lane waits for its own bytes only: they are written whatever the others do, so nobody waits for ever.
        if self._task is not None and (self._task.done() or full):
            await asyncio.wait({self._task})  # a cancellation here must not end the writing
            task, self._task = self._task, None
            task.result()
        if self._task is None and self._buffer:
            self._task = asyncio.create_task(self._write())

    async def drain(self) -> None:
        """Return when all is written, also when this is cancelled. Raises OSError where it could not be."""
        cancelled = False
        while not self._failed and (self._task is not None or self._buffer):
            # A cancellation may have come just when one task had ended and the next was not begun.
            self._task = self._task or asyncio.create_task(self._write())
            self._enough.set()
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                cancelled = True
            if self._task.done() and not self._failed:
                self._task = None
        # Nothing, unless the disk refused what came before it.
        self._budget.held -= len(self._buffer)
        self._buffer.clear()
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
            try:
                await self._worker.run(self._part.write, offset, data)
            except BaseException:
                self._failed = True  # what follows would leave a hole
                raise
            finally:
                self._budget.held -= len(data)
