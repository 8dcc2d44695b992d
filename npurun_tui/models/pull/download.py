"""Filling the part from a server that may do anything: go on where it stopped, start over where that is not possible,
give up with one sentence. Nothing is trusted of what the server says; the pinned size and hash decide."""

from __future__ import annotations

import re
from typing import Final

import httpx

from npurun_tui.errors import HashMismatch, NetworkUnavailable, PullFailed
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.client import Client, shown
from npurun_tui.models.pull.part import Origin, Part
from npurun_tui.models.pull.policy import Patience, Policy, Trouble
from npurun_tui.models.pull.progress import Meter
from npurun_tui.models.pull.writer import PartWriter

ENOUGH: Final = 1 << 18
"""Bytes of one attempt that count as progress; a server that dies after every few bytes is given up."""

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class Download:
    """One file into one part. `run` may be called once."""

    def __init__(
        self, client: Client, part: Part, worker: Worker, policy: Policy, meter: Meter
    ) -> None:
        self._client = client
        self._part = part
        self._worker = worker
        self._meter = meter
        self._patience = Patience(policy, meter)

    async def run(self, address: str) -> None:
        """Fetch what is missing; returns when the part is complete (its hash not compared yet).

        Raises:
            PullFailed (NetworkUnavailable): the attempts are used up; the part is kept.
            HashMismatch: the server has a file of another size; the part was thrown away.
            OSError: the part could not be written.
        """
        while not self._part.complete:
            before = self._part.size
            try:
                await self._attempt(address)
            except Trouble as trouble:
                if self._part.size - before >= ENOUGH:
                    self._patience.progressed()
                await self._patience.wait(trouble)

    async def _attempt(self, address: str) -> None:
        headers = {}
        if self._part.size:
            headers["Range"] = f"bytes={self._part.size}-"
            # Without a validator the range is asked for all the same: the pinned hash tells what came of it.
            if self._part.origin.validator and self._part.origin.address == address:
                headers["If-Range"] = self._part.origin.validator
        async with self._client.get(address, headers) as response:
            await self._prepare(address, response)
            await self._receive(response)
        if not self._part.complete:
            server = shown(response.url)
            raise Trouble(
                NetworkUnavailable(
                    f"{server} sent less than it announced.", mend="Pull again; it goes on."
                )
            )

    async def _prepare(self, address: str, response: httpx.Response) -> None:
        """Bring the part to where the body of `response` begins."""
        server = shown(response.url)
        if response.status_code == 404:
            raise PullFailed(f"{server} does not have the file any more.", mend="Pull again later.")
        if response.headers.get("content-encoding", "identity").strip().lower() not in {
            "",
            "identity",
        }:
            raise PullFailed(
                f"{server} sends the file compressed though it was asked not to.",
                mend="A proxy may do that; try another network or index.",
            )
        if response.status_code == 200:
            await self._begin(address, response)
        elif response.status_code != 206 or not self._continues(response):
            resumed = self._part.size > 0
            await self._worker.run(self._part.discard)
            self._meter.done = self._meter.resumed_from = 0
            error = PullFailed(f"{server} answers with a part of the file that was not asked for.")
            raise Trouble(error) if resumed else error

    def _continues(self, response: httpx.Response) -> bool:
        """Whether a 206 brings exactly what was asked for."""
        match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
        size, total = self._part.size, self._part.total
        return match is not None and tuple(map(int, match.groups())) == (size, total - 1, total)

    async def _begin(self, address: str, response: httpx.Response) -> None:
        length = response.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:19]) != self._part.total:
            await self._worker.run(self._part.discard)
            raise _another_file(response)
        self._meter.done = self._meter.resumed_from = 0
        await self._worker.run(self._part.begin, Origin(address, _validator(response)))

    async def _receive(self, response: httpx.Response) -> None:
        """Write the body as it comes; what has come is written also where it ends early."""
        room = self._part.total - self._part.size
        writer = PartWriter(self._part, self._worker)
        try:
            async for chunk in response.aiter_raw():
                room -= len(chunk)
                if room < 0:
                    break
                self._meter.done += len(chunk)
                await writer.put(chunk)
        finally:
            await writer.drain()
        if room < 0:
            await self._worker.run(self._part.discard)
            raise _another_file(response)


def _another_file(response: httpx.Response) -> HashMismatch:
    return HashMismatch(
        f"{shown(response.url)} has another file than the one that is expected: its size differs.",
        mend="It was thrown away. Check which index pip is configured with.",
    )


def _validator(response: httpx.Response) -> str:
    """What `If-Range` may compare: a strong ETag, else the date."""
    etag: str = response.headers.get("etag", "").strip()
    if etag and not etag.startswith("W/"):
        return etag
    modified: str = response.headers.get("last-modified", "").strip()
    return modified
