"""What a pull holds in memory: bounded for all its connections together, however slow the disk is."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from npurun_tui.models.catalog import UrlSource
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.part import Origin, Part
from npurun_tui.models.pull.progress import Meter
from npurun_tui.models.pull.writer import Budget, PartWriter

LANES = 16
BLOCK = 1 << 20
CHUNK = 1 << 16
TOTAL = LANES * BLOCK
SOURCE = UrlSource("https://models.invalid/x.zip", size=TOTAL)
DATA = random.Random(5).randbytes(TOTAL)  # noqa: S311 - bytes that differ, not a secret


class Slow(Part):
    """The disk takes nothing before `gate` is set."""

    gate: threading.Event

    def write(self, offset: int, data: bytes | bytearray) -> None:
        self.gate.wait(20)
        super().write(offset, data)


class Full(Part):
    """The disk has no room."""

    def write(self, offset: int, data: bytes | bytearray) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as thread:
        yield thread


def lane(part: Part, worker: Worker, budget: Budget, index: int) -> asyncio.Task[None]:
    """What a connection does for one block."""

    async def work() -> None:
        start = index * BLOCK
        writer = PartWriter(part, worker, start, budget)
        try:
            for at in range(start, start + BLOCK, CHUNK):
                await writer.put(DATA[at : at + CHUNK])
        finally:
            await writer.drain()

    return asyncio.create_task(work())


async def begun(kind: type[Part], folder: Path, worker: Worker) -> Part:
    part = kind(folder, SOURCE, BLOCK)
    await worker.run(part.open, worker, Meter())
    await worker.run(part.begin, Origin(SOURCE.url), TOTAL)
    return part


async def settled(budget: Budget) -> None:
    """Return when no lane reads on."""
    held = -1
    while budget.held != held:
        held = budget.held
        await asyncio.sleep(0.2)


async def test_lanes_share_one_budget(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slow, "gate", threading.Event(), raising=False)
    part, budget = await begun(Slow, tmp_path, worker), Budget(most=BLOCK)
    lanes = [lane(part, worker, budget, index) for index in range(LANES)]
    await settled(budget)
    # Each lane may begin its writing, and meets the limit with what comes next.
    assert BLOCK <= budget.held <= BLOCK + LANES * 2 * CHUNK
    Slow.gate.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*lanes)
    assert budget.held == 0
    assert part.complete
    assert part.sha256 == hashlib.sha256(DATA).hexdigest()
    part.close()


async def test_a_disk_that_is_full_stops_every_lane_and_frees_the_budget(
    tmp_path: Path, worker: Worker
) -> None:
    part, budget = await begun(Full, tmp_path, worker), Budget(most=BLOCK)
    lanes = [lane(part, worker, budget, index) for index in range(LANES)]
    async with asyncio.timeout(20):
        ends = await asyncio.gather(*lanes, return_exceptions=True)
    assert [type(end) for end in ends] == [OSError] * LANES
    assert budget.held == 0
    part.close()


async def test_lanes_that_are_cancelled_write_what_they_have(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slow, "gate", threading.Event(), raising=False)
    part, budget = await begun(Slow, tmp_path, worker), Budget(most=BLOCK)
    lanes = [lane(part, worker, budget, index) for index in range(LANES)]
    await settled(budget)
    for each in lanes:
        each.cancel()
    Slow.gate.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*lanes, return_exceptions=True)
    assert budget.held == 0
    assert part.size >= BLOCK
    part.close()


async def test_a_stop_between_two_writes_loses_nothing_that_came(
    tmp_path: Path, worker: Worker
) -> None:
    part = await begun(Part, tmp_path, worker)
    writer = PartWriter(part, worker, 0, budget := Budget())
    await writer.put(DATA[:10])
    while part.size < 10:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.01)  # the task that wrote them has ended, and nobody has looked at it yet
    reading = asyncio.create_task(writer.put(DATA[10:20]))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await writer.drain()
    assert (part.size, budget.held) == (20, 0)
    part.close()
    assert part.path.read_bytes()[:20] == DATA[:20]
