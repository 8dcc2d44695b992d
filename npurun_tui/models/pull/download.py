"""Filling the part from a server that may do anything: several ranges at once where it serves them, one stream
where it does not; go on where it stopped, start over where that is not possible, give up with one sentence. What it
sends must be what was asked for, and the hash decides in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

import httpx

from npurun_tui.errors import HashMismatch, NetworkUnavailable, PullFailed
from npurun_tui.models.catalog import Source
from npurun_tui.models.pull.answers import (
    another_file,
    check_encoding,
    differ,
    empty_file,
    is_empty,
    length_of,
    origin_of,
    range_of,
)
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.client import Client
from npurun_tui.models.pull.failures import shown
from npurun_tui.models.pull.lanes import Lanes
from npurun_tui.models.pull.limiter import RateLimiter
from npurun_tui.models.pull.part import LARGEST, Part
from npurun_tui.models.pull.policy import Pace, Patience, Policy, Trouble
from npurun_tui.models.pull.progress import Meter
from npurun_tui.models.pull.writer import Budget, PartWriter

ENOUGH: Final = 1 << 18
"""Bytes of one round that count as progress; a server that dies after every few bytes is given up."""
GROWTH: Final = 64 << 20
"""Bytes of a stream of unknown length after which room and limits are looked at again."""

_FLUKES: Final = 2
"""Times in a row that a server may answer oddly (with a whole file, or another range, for a part of it) before it is
taken at its word. What is here is not touched until then."""


class Download:
    """One file into one part. `run` may be called once."""

    def __init__(  # noqa: PLR0913 - what a pull is made of
        self,
        client: Client,
        part: Part,
        worker: Worker,
        policy: Policy,
        meter: Meter,
        limiter: RateLimiter,
        *,
        pinned: Source,
        sized: Callable[[int | None, int], None],
        ranges: Callable[[], None],
    ) -> None:
        """`sized` is told the file's size as soon as a server says it (where it does not, None and how much has come),
        and may raise where there is no room for it; `ranges` hears that parts of the file are served, and that the part
        has begun."""
        self._client = client
        self._part = part
        self._worker = worker
        self._policy = policy
        self._meter = meter
        self._limiter = limiter
        self._sized = sized
        self._ranges = ranges
        self._patience = Patience(policy, meter)
        self._address = ""
        self._asked = 0
        self._best = 0
        """Bytes that were here at the end of a round, at the most: what comes a second time is no progress."""
        self._pinned = pinned.size or None
        self._hash_known = bool(pinned.sha256)
        self._budget = Budget()
        self._odd = 0
        self._anew = False
        self._plain = False
        """Its ranges cannot be used: the whole is asked for."""
        self._lanes = Lanes(part, self._fetch, policy.connections)

    async def run(self, address: str) -> None:
        """Fetch what is missing; returns when the part is complete (its hash not compared yet).

        Raises:
            PullFailed (NetworkUnavailable): the attempts are used up; the part is kept.
            HashMismatch: the server has a file of another size.
            DiskFull: (from `sized`) the file does not fit; the part is kept.
            OSError: the part could not be written.
        """
        self._address, self._best = address, self._part.size
        while not self._part.complete:
            trouble = await self._round()
            if trouble is None:
                continue
            if self._part.size - self._best >= ENOUGH:
                self._patience.progressed()
            self._best = max(self._best, self._part.size)
            await self._patience.wait(trouble)

    async def _round(self) -> Trouble | None:
        """Have the lanes work until none is left; nobody writes to the part when it is thrown away."""
        try:
            trouble = await self._lanes.run()
        except StartOver as again:
            self._lanes.close_down()
            self._plain = self._plain or self._anew or again.trouble is None
            self._anew, self._best = True, 0
            await self._discard()
            return again.trouble
        except HashMismatch:
            await self._discard()
            raise
        if trouble is not None and self._part.total is None:
            await self._discard()  # without a size there is no telling where it could go on
        return trouble

    async def _discard(self) -> None:
        await self._worker.run(self._part.discard)
        self._meter.done = self._meter.resumed_from = 0

    # --- one request ---------------------------------------------------------------------------

    async def _fetch(self, index: int) -> None:
        """Fetch what is missing of one block (of the whole file, where the server knows no ranges)."""
        part = self._part
        first = index * part.block
        start, stop = first + part.done(index), first + part.length(index)
        end: int | None = stop
        headers = {} if self._plain else {"Range": f"bytes={start}-{stop - 1}"}
        # Without a validator the range is asked for all the same: the hash tells what came of it.
        if headers and part.origin.validator and part.origin.address == self._address:
            headers["If-Range"] = part.origin.validator
        async with self._client.get(self._address, headers) as response:
            check_encoding(response)
            if response.status_code == 206:
                end = await self._continue(response, start, stop)
            elif response.status_code == 200:
                start, end = 0, await self._restart(response)
            else:
                self._refused(response)
            await self._receive(response, start, end, stop)

    async def _continue(self, response: httpx.Response, start: int, end: int) -> int:
        """Check that a 206 brings what was asked for; returns where it ends, in bytes of the file."""
        first, last, total = range_of(response) or (-1, -1, 0)
        if self._plain or first != start or not first <= last < min(end, total):
            self._mistrust(response)
        if not self._part.origin.address and not self._part.size:
            await self._begin(response, total)
        elif self._pinned is not None and total != self._pinned:
            self._foreign(response)
        elif total != self._part.total or self._differs(response):
            raise _newer(response)
        self._odd = 0
        self._lanes.open_up()
        self._ranges()
        return last + 1

    def _differs(self, response: httpx.Response) -> bool:
        """The answer is of another version than what is there; with a pinned hash that decides in the end instead."""
        now = origin_of(response, self._address).seen
        return not self._hash_known and differ(self._part.origin.seen, now)

    async def _restart(self, response: httpx.Response) -> int | None:
        """A 200 brings the whole file: ranges are not served, or it is another version; returns its size if known."""
        total = length_of(response)
        total = self._pinned if total is None else total
        if self._pinned is not None and total != self._pinned:
            self._foreign(response)
        if self._part.origin.address and not self._plain:
            # A cache now and then sends the whole, or a gateway a page of its own; the same answer again is meant.
            self._bear(
                f"{shown(response.url)} sends the whole file where a part of it was asked for."
            )
        self._odd = _FLUKES
        self._lanes.hold_back()
        await self._begin(response, total)
        return total

    def _bear(self, what: str) -> None:
        """Raise Trouble for an odd answer, as long as it may be a fluke."""
        self._odd += 1
        if self._lanes.others or self._odd <= _FLUKES:
            raise Trouble(PullFailed(what), busy=self._odd > _FLUKES)

    def _foreign(self, response: httpx.Response) -> NoReturn:
        """The size is not the pinned one, so this is not our file (a page of a server under maintenance, say), and
        tells nothing of what is here already."""
        if self._part.size:
            raise Trouble(another_file(response, kept=True))
        raise another_file(response)

    async def _begin(self, response: httpx.Response, total: int | None) -> None:
        """Start the part from nothing with the version of the file that `response` brings."""
        if self._pinned is not None and total != self._pinned:
            self._foreign(response)
        if total == 0:
            raise empty_file(response)
        if total is not None and total > LARGEST:
            raise PullFailed(f"{shown(response.url)} offers a file of more than 1 TiB.")
        if total is not None:
            self._sized(total, 0)
        self._meter.done = self._meter.resumed_from = 0
        self._meter.total = total
        origin = origin_of(response, self._address)
        await self._worker.run(self._part.begin, origin, total)

    def _refused(self, response: httpx.Response) -> NoReturn:
        if response.status_code == 404:
            raise PullFailed(
                f"{shown(response.url)} does not have the file (any more).",
                mend="`npurun-tui catalog update` may know where it is now.",
            )
        if is_empty(response):
            raise empty_file(response)
        self._mistrust(response)

    def _mistrust(self, response: httpx.Response) -> NoReturn:
        """The answer fits nothing that was asked for: it is asked again, and then what is there is given up.

        Where nothing is there, it is the server's ranges that cannot be used, and the whole is asked for.
        """
        what = f"{shown(response.url)} answers with a part of the file that was not asked for."
        if self._plain:
            raise PullFailed(what)
        if not self._part.size and not self._part.origin.address:
            raise StartOver(None)
        self._bear(what)
        raise StartOver(Trouble(PullFailed(what)))

    # --- its body ------------------------------------------------------------------------------

    async def _receive(
        self, response: httpx.Response, start: int, end: int | None, stop: int
    ) -> None:
        """Write the body as it comes; what has come is written also where it ends early."""
        at, part = start, self._part
        writer = PartWriter(part, self._worker, start, self._budget)
        pace = Pace(self._policy, shown(response.url))
        try:
            async for chunk in response.aiter_raw():
                at += len(chunk)
                if at > (end or LARGEST):
                    break
                if end is None and at - self._asked >= GROWTH:
                    self._asked = at
                    self._sized(None, at)
                self._meter.done += len(chunk)
                await writer.put(chunk)
                await self._limiter.take(len(chunk))
                pace.check(len(chunk))
        finally:
            await writer.drain()
        if at > (end or LARGEST):
            raise another_file(response)
        if end is None and at == 0:
            raise empty_file(response)
        if end is None:
            await self._worker.run(part.end)
        elif at < end or (end < stop and at - start < ENOUGH):
            server = shown(response.url)
            raise Trouble(
                NetworkUnavailable(
                    f"{server} sent less than it announced.", mend="Pull again; it goes on."
                )
            )


class StartOver(Exception):
    """What is there cannot be gone on with: every lane has to end before it is thrown away."""

    def __init__(self, trouble: Trouble | None) -> None:
        """Without a `trouble` it is done at once, by asking for the whole file."""
        super().__init__(str(trouble))
        self.trouble = trouble


def _newer(response: httpx.Response) -> StartOver:
    """What is here is of an older version than what the server has."""
    what = f"{shown(response.url)} has another version of the file by now."
    return StartOver(Trouble(PullFailed(what)))
