"""The hands of the TUF client: one file at a time over HTTP, with a bound on bytes, on silence, and on all of it.

It runs on an event loop of its own, because only a cancelled task ends for certain at its deadline: a server that sends
one byte of a header every few seconds never trips a read timeout.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final, Self

import httpx
from tuf.api.exceptions import DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient import FetcherInterface

from npurun_tui import __version__
from npurun_tui.models.catalog_json import MAX_DOCUMENT
from npurun_tui.models.catalog_sources import fault_of_address
from npurun_tui.models.pull.failures import reason, shown, told
from npurun_tui.models.pull.index import configured
from npurun_tui.models.pull.tls import tls_context
from npurun_tui.models.remote.faults import CatalogOffline, CatalogTampered

MAX_REDIRECTS: Final = 5
_LATER: Final = "Try again later."


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient an update is: seconds and bytes."""

    connect: float = 10.0
    stall: float = 15.0
    """Silence on an open connection."""
    whole: float = 120.0
    """All of one source's files together."""
    metadata: int = 1_000_000
    """Of one file of metadata whose length nobody has signed (root.json: half of it)."""
    largest: int = MAX_DOCUMENT
    """Of any file, whatever length was signed: who steals a key for snapshots could ask for all memory."""


class Fetcher(FetcherInterface):
    """Use it as a context, in a thread without an event loop. Making it reads certificates: blocking, some 20 ms."""

    def __init__(self, limits: Limits) -> None:
        config = configured()
        self.last = ""
        """The name of the file that was asked for last."""
        self._server = "The server"
        """Who is being asked: after a redirect that is another one."""
        self._proxy = config.proxy
        self._limits = limits
        self._deadline = time.monotonic() + limits.whole
        try:
            self._http = httpx.AsyncClient(
                verify=tls_context(config.certificates),
                proxy=config.proxy or None,
                headers={"User-Agent": f"npurun-tui/{__version__}", "Accept-Encoding": "identity"},
                timeout=httpx.Timeout(limits.stall, connect=limits.connect),
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise CatalogOffline(
                "The proxy that is configured cannot be used: it has to be an http or https address.",
                mend="Look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and pip's `proxy` setting.",
            ) from error
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._runner.run(self._http.aclose())
        finally:
            self._runner.close()

    def _fetch(self, url: str) -> Iterator[bytes]:
        return iter((self._get(url, self._limits.metadata),))

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """The file at `url` in memory: TUF's own way would read it through a temporary file.

        Raises:
            DownloadLengthMismatchError: it is longer than `max_length` bytes, or than the limits have it.
            DownloadHTTPError: the server refuses it.
            CatalogOffline, CatalogTampered: it cannot be had, or not safely.
        """
        yield io.BytesIO(self._get(url, min(max_length, self._limits.largest)))

    def _get(self, url: str, most: int) -> bytes:
        self.last = url.rpartition("/")[2]
        try:
            return self._runner.run(self._within_deadline(url, most))
        except httpx.TransportError as error:
            message, mend = told(error, self._proxy)
            raise CatalogOffline(message, mend=mend or _LATER) from error
        except TimeoutError as error:
            raise CatalogOffline(f"{self._server} is too slow.", mend=_LATER) from error
        except UnicodeError as error:  # httpx lets through what IDNA says of a host's name
            raise CatalogOffline(
                f"{self._server} cannot be reached: its name, or the one that it leads to, is none.",
                mend=_LATER,
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise CatalogOffline(
                f"{self._server} cannot be reached: {reason(error)}.", mend=_LATER
            ) from error

    async def _within_deadline(self, url: str, most: int) -> bytes:
        async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
            return await self._follow(httpx.URL(url), most)

    async def _follow(self, url: httpx.URL, most: int) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            self._server = shown(url)
            async with self._http.stream("GET", url) as response:
                if not response.has_redirect_location:
                    return await _body(response, most)
                url = _next(url, response.headers["location"])
        raise CatalogTampered(f"{shown(url)} redirects in a circle.", mend=_LATER)


def _next(here: httpx.URL, location: str) -> httpx.URL:
    there = here.join(location)
    if here.scheme == "https" and there.scheme != "https":
        fault = "is not https"
    elif fault_of_address(str(there)):
        fault = "cannot be used"
    else:
        return there
    raise CatalogTampered(
        f"{shown(here)} leads to an address that {fault}, so it is not followed.", mend=_LATER
    )


async def _body(response: httpx.Response, most: int) -> bytes:
    if response.status_code != 200:
        raise DownloadHTTPError(
            f"{shown(response.url)} answered with {response.status_code}", response.status_code
        )
    received = bytearray()
    async for chunk in response.aiter_raw():
        received += chunk
        if len(received) > most:
            raise DownloadLengthMismatchError(f"more than {most:,} bytes")
    return bytes(received)
