"""The HTTP client of a pull: redirects, credentials and failures (in the words of `failures`) in one place.

Redirects are followed by hand, because each one is checked: never from https to plain http, never more than a few,
and credentials go only to the index that they were configured for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self
from urllib.parse import urlsplit

import httpx

from npurun_tui import __version__
from npurun_tui.errors import NetworkUnavailable, PullFailed
from npurun_tui.models.catalog_sources import is_safe
from npurun_tui.models.pull.failures import ascii_host, check_status, in_words, lost, shown
from npurun_tui.models.pull.index import IndexConfig
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.pull.tls import tls_context

MAX_REDIRECTS: Final = 8


class Client:
    """Use it as an async context. Making it reads the trusted certificates: blocking, some 20 ms."""

    def __init__(
        self, config: IndexConfig, policy: Policy, *, hosts: Sequence[str] | None = None
    ) -> None:
        """`hosts` are the only ones that are asked (`.suffix` for a whole domain); None allows every host."""
        self._hosts = hosts
        self._proxy = config.proxy
        self._answer_timeout = policy.answer_timeout
        self._credentials = dict(_credentials(config))
        try:
            self._http = httpx.AsyncClient(
                verify=tls_context(config.certificates),
                proxy=config.proxy or None,
                headers={"User-Agent": f"npurun-tui/{__version__}", "Accept-Encoding": "identity"},
                timeout=httpx.Timeout(policy.stall_timeout, connect=policy.connect_timeout),
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            # What httpx makes of a proxy that it cannot use.
            raise NetworkUnavailable(
                "The proxy that is configured cannot be used: it has to be an http or https address.",
                mend="Look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and pip's `proxy` setting.",
            ) from error

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def get(self, address: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """The answer to GET, after redirects, its body not read yet; it is closed when the context ends.

        Raises (also for what happens while the body is read inside the context):
            Trouble: worth another attempt: no connection, a stall, an early end, a busy server.
            PullFailed: not worth one: redirects that are not followed, an answer of refusal.
        """
        with in_words(address, self._proxy):
            response = await self._follow(httpx.URL(address), headers)
            try:
                check_status(response, public=self._hosts is not None)
                yield response
            finally:
                await response.aclose()

    async def _follow(self, url: httpx.URL, headers: Mapping[str, str]) -> httpx.Response:
        for _ in range(MAX_REDIRECTS + 1):
            url = url.copy_with(username=None, password=None)
            auth = self._credentials.get(origin(url))
            request = self._http.build_request("GET", url, headers=dict(headers))
            response = await self._answer(request, auth)
            if not response.has_redirect_location:
                return response
            await response.aclose()
            target = url.join(response.headers["location"])
            _check_step(url, target)
            self._check_host(url, target)
            url = target
        raise PullFailed(f"{shown(url)} redirects in a circle.")

    async def _answer(self, request: httpx.Request, auth: tuple[str, str] | None) -> httpx.Response:
        try:
            async with asyncio.timeout(self._answer_timeout):
                return await self._http.send(request, auth=auth, stream=True)
        except TimeoutError as error:
            raise lost(shown(request.url), "does not answer in time") from error

    def _check_host(self, here: httpx.URL, there: httpx.URL) -> None:
        """Raises PullFailed where a redirect leads to a host that the catalog does not name, or away from https."""
        if self._hosts is None:
            return
        host = ascii_host(there)
        if not is_safe(urlsplit(str(there)), host):  # from http to this machine, which is allowed
            raise _not_https(here)
        if host == ascii_host(here):
            return
        if not any(host == one or (one[:1] == "." and host.endswith(one)) for one in self._hosts):
            raise PullFailed(
                f"{shown(here)} redirects to {shown(there)}, which the catalog does not name, so it is not followed."
            )


def _credentials(
    config: IndexConfig,
) -> Iterator[tuple[tuple[str, str, int | None], tuple[str, str]]]:
    for index in config.indexes:
        if index.credentials:
            with in_words(index.url):
                yield origin(httpx.URL(index.url)), index.credentials


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """What credentials belong to: scheme, host and port."""
    return url.scheme, ascii_host(url), url.port


def check_link(page: str, address: str) -> None:
    """Refuse a file's `address` that is less safe than the `page` that names it. Raises PullFailed."""
    with in_words(address):
        _check_step(httpx.URL(page), httpx.URL(address))


def _check_step(here: httpx.URL, there: httpx.URL) -> None:
    if not there.raw_host or not 0 <= (there.port or 0) <= 0xFFFF:
        raise PullFailed(f"{shown(here)} leads to an address that is none.")
    if there.scheme not in {"http", "https"} or (here.scheme, there.scheme) == ("https", "http"):
        raise _not_https(here)


def _not_https(here: httpx.URL) -> PullFailed:
    return PullFailed(
        f"{shown(here)} leads to an address that is not https, which is not followed.",
        mend="Check the network, the catalog, and which index pip is configured with.",
    )
