"""Filling the part from a server that may do anything: several ranges at once where it serves them, one stream
where it does not; go on where it stopped, start over where that is not possible, give up with one sentence. What it
sends must be what was asked for, and the hash decides in the end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final, NoReturn

import httpx

from npurun_tui.errors import HashMismatch, NetworkUnavailable, PullFailed
from npurun_tui.models.catalog import Source
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.client import Client, shown
from npurun_tui.models.pull.lanes import Lanes
from npurun_tui.models.pull.limiter import RateLimiter
from npurun_tui.models.pull.part import LARGEST, Origin, Part
from npurun_tui.models.pull.policy import Patience, Policy, Trouble
from npurun_tui.models.pull.progress import Meter
from npurun_tui.models.pull.writer import Budget, PartWriter

ENOUGH: Final = 1 << 18
"""Bytes of one round that count as progress; a server that dies after every few bytes is given up."""
GROWTH: Final = 64 << 20
"""Bytes of a stream of unknown length after which room and limits are looked at again."""

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_NUMBER: Final = re.compile(r"\d{1,18}")


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
        sized: Callable[[int], None],
        ranges: Callable[[], None],
    ) -> None:
        """`sized` is told the file's size as soon as a server says it, and may raise where there is no room for it;
        `ranges` hears that parts of the file are served, and that the part has begun."""
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
        self._pinned = pinned.size or None
        self._hash_known = bool(pinned.sha256)
        self._budget = Budget()
        self._lanes = Lanes(part, self._fetch, policy.connections)

    async def run(self, address: str) -> None:
        """Fetch what is missing; returns when the part is complete (its hash not compared yet).

        Raises:
            PullFailed (NetworkUnavailable): the attempts are used up; the part is kept.
            HashMismatch: the server has a file of another size; the part was thrown away.
            DiskFull: (from `sized`) the file does not fit; the part is kept.
            OSError: the part could not be written.
        """
        self._address = address
        while not self._part.complete:
            before = self._part.size
            trouble = await self._round()
            if trouble is None:
                continue
            if self._part.size - before >= ENOUGH:
                self._patience.progressed()
            await self._patience.wait(trouble)

    async def _round(self) -> Trouble | None:
        """Have the lanes work until none is left; nobody writes to the part when it is thrown away."""
        try:
            trouble = await self._lanes.run()
        except StartOver as again:
            self._lanes.close_down()
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
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        # Without a validator the range is asked for all the same: the hash tells what came of it.
        if part.origin.validator and part.origin.address == self._address:
            headers["If-Range"] = part.origin.validator
        async with self._client.get(self._address, headers) as response:
            server = shown(response.url)
            _check_encoding(response, server)
            if response.status_code == 206:
                end = await self._continue(response, start, stop)
            elif response.status_code == 200:
                start, end = 0, await self._restart(response)
            else:
                self._refused(response, server)
            await self._receive(response, start, end, stop)

    async def _continue(self, response: httpx.Response, start: int, end: int) -> int:
        """Check that a 206 brings what was asked for; returns where it ends, in bytes of the file."""
        match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
        first, last, total = map(int, match.groups()) if match else (-1, -1, 0)
        if first != start or not first <= last < min(end, total):
            self._mistrust(response)
        if not self._part.origin.address and not self._part.size:
            await self._begin(response, total)
        elif total != self._part.total or self._differs(response):
            self._mistrust(response)
        self._lanes.open_up()
        self._ranges()
        return last + 1

    def _differs(self, response: httpx.Response) -> bool:
        """The answer is of another version than what is there; with a pinned hash that decides in the end instead."""
        known, now = self._part.origin.validator, _validator(response)
        return bool(not self._hash_known and known and now and known != now)

    async def _restart(self, response: httpx.Response) -> int | None:
        """A 200 brings the whole file: ranges are not served, or it is another version; returns its size if known."""
        if self._lanes.others:
            server = shown(response.url)
            raise StartOver(
                Trouble(PullFailed(f"{server} has another version of the file by now."))
            )
        length = response.headers.get("content-length", "")
        total = int(length) if _NUMBER.fullmatch(length) else self._pinned
        await self._begin(response, total)
        return total

    async def _begin(self, response: httpx.Response, total: int | None) -> None:
        """Start the part from nothing with the version of the file that `response` brings."""
        if self._pinned is not None and total != self._pinned:
            raise _another_file(response)
        if total is not None and not 0 < total <= LARGEST:
            raise PullFailed(f"{shown(response.url)} offers an empty file.")
        if total is not None:
            self._sized(total)
        self._meter.done = self._meter.resumed_from = 0
        self._meter.total = total
        origin = Origin(self._address, _validator(response))
        await self._worker.run(self._part.begin, origin, total)

    def _refused(self, response: httpx.Response, server: str) -> NoReturn:
        if response.status_code == 404:
            raise PullFailed(
                f"{server} does not have the file (any more).",
                mend="`npurun-tui catalog update` may know where it is now.",
            )
        self._mistrust(response)

    def _mistrust(self, response: httpx.Response) -> NoReturn:
        """The answer fits nothing that was asked for: what is there may be of another file."""
        server = shown(response.url)
        error = PullFailed(f"{server} answers with a part of the file that was not asked for.")
        if not self._part.size:
            raise error
        raise StartOver(Trouble(error))

    # --- its body ------------------------------------------------------------------------------

    async def _receive(
        self, response: httpx.Response, start: int, end: int | None, stop: int
    ) -> None:
        """Write the body as it comes; what has come is written also where it ends early."""
        at, part = start, self._part
        writer = PartWriter(part, self._worker, start, self._budget)
        pace = _Pace(self._policy)
        try:
            async for chunk in response.aiter_raw():
                at += len(chunk)
                if at > (end or LARGEST):
                    break
                if end is None and at - self._asked >= GROWTH:
                    self._asked = at
                    self._sized(at)
                self._meter.done += len(chunk)
                await writer.put(chunk)
                await self._limiter.take(len(chunk))
                pace.check(len(chunk), response)
        finally:
            await writer.drain()
        if at > (end or LARGEST):
            raise _another_file(response)
        if end is None and at == 0:
            raise PullFailed(f"{shown(response.url)} offers an empty file.")
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

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


class _Pace:
    """Tells a connection that drips from one that is slow: the first is given up for a new one."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._since = time.monotonic()
        self._received = 0

    def check(self, count: int, response: httpx.Response) -> None:
        """`count` bytes more have come. Raises Trouble where that is next to nothing for a long time."""
        self._received += count
        now = time.monotonic()
        if now - self._since < self._policy.drip_window:
            return
        if self._received < self._policy.drip_bytes:
            raise Trouble(
                NetworkUnavailable(
                    f"{shown(response.url)} sends next to nothing.",
                    mend="Pull again later; it goes on where it stopped.",
                )
            )
        self._since, self._received = now, 0


def _check_encoding(response: httpx.Response, server: str) -> None:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise PullFailed(
            f"{server} sends the file compressed though it was asked not to.",
            mend="A proxy may do that; try another network or index.",
        )


def _another_file(response: httpx.Response) -> HashMismatch:
    return HashMismatch(
        f"{shown(response.url)} has another file than the one that is expected: its size differs.",
        mend="It was thrown away. Check where it is pulled from.",
    )


def _validator(response: httpx.Response) -> str:
    """What `If-Range` may compare: a strong ETag, else the date."""
    etag: str = response.headers.get("etag", "").strip()[:500]
    if etag and not etag.startswith("W/"):
        return etag
    modified: str = response.headers.get("last-modified", "").strip()[:500]
    return modified
