"""The HTTP client of a pull: redirects, credentials and failures handled in one place, in words.

Redirects are followed by hand, because each one is checked: never from https to plain http, never more than a few,
and credentials go only to the index that they were configured for.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Self
from urllib.parse import urlsplit

import httpx

from npurun_tui import __version__
from npurun_tui.errors import NetworkUnavailable, PullFailed
from npurun_tui.models.catalog_sources import is_safe
from npurun_tui.models.pull.index import IndexConfig
from npurun_tui.models.pull.policy import Policy, Trouble
from npurun_tui.models.pull.proxies import proxy_to
from npurun_tui.models.pull.tls import tls_context
from npurun_tui.text import one_line

MAX_REDIRECTS: Final = 8
_TRANSIENT: Final = {408, 425, 429}
_LASTING: Final = {501, 505}
"""Of the answers from 500 on, those that another attempt does not change."""


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
        except (
            ImportError,
            ValueError,
            httpx.InvalidURL,
        ) as error:  # what httpx makes of a proxy that it cannot use
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
        with _in_words(address, self._proxy):
            response = await self._follow(httpx.URL(address), headers)
            try:
                _check_status(response, public=self._hosts is not None)
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
            raise _lost(shown(request.url), "does not answer in time") from error

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
            with _in_words(index.url):
                yield origin(httpx.URL(index.url)), index.credentials


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """What credentials belong to: scheme, host and port."""
    return url.scheme, ascii_host(url), url.port


def ascii_host(url: httpx.URL) -> str:
    """The host's name as the network knows it, in lower case."""
    return url.raw_host.decode("ascii", "replace").lower()


def check_link(page: str, address: str) -> None:
    """Refuse a file's `address` that is less safe than the `page` that names it. Raises PullFailed."""
    with _in_words(address):
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


def shown(url: httpx.URL) -> str:
    """The server of `url` for people: no path, no query, no credentials.

    A name in another script is shown as it is asked for (`xn--…`): decoded it could look like one that is trusted, and
    not every one can be decoded.
    """
    name = ascii_host(url)
    host = f"[{name}]" if ":" in name else name
    return one_line(f"{host}:{url.port}" if url.port else host, 100)


def _check_status(response: httpx.Response, *, public: bool) -> None:
    """Pass what the caller handles (200, 206, 404, 416); raise for the rest. `public`: none knows credentials."""
    status = response.status_code
    if status in {200, 206, 404, 416}:
        return
    server = shown(response.url)
    if status == 407:
        raise _kept_out(server)
    error = PullFailed(f"{server} answered with {status} ({one_line(response.reason_phrase, 60)}).")
    if status in _TRANSIENT or (status >= 500 and status not in _LASTING):
        wait = _retry_after(response.headers.get("retry-after", ""))
        raise Trouble(error, retry_after=wait, busy=status in {429, 503})
    if status in {401, 403} and public:
        error = PullFailed(
            f"{server} does not offer this file ({status}): it may never have been published, or is gone.",
            mend="`npurun-tui catalog update` may know where it is; `npurun-tui convert export` can make some bundles.",
        )
    elif status in {401, 403}:
        error.mend = "Check the credentials in pip's index-url."
    raise error


def _retry_after(value: str) -> float | None:
    """Seconds to wait: the header holds a number of them, or a date."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        then = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return max(0.0, then - time.time())


@contextmanager
def _in_words(address: str, proxy: str = "") -> Iterator[None]:
    """httpx's exceptions as ours. `proxy` is the one that pip is configured with."""
    try:
        yield
    except httpx.TransportError as error:
        raise _transport_trouble(error, proxy) from error
    except (
        ssl.SSLError
    ) as error:  # httpx lets it through while a body is read; it is an OSError, as a disk's
        raise _lost(shown(httpx.URL(address)), "sent what was damaged on its way") from error
    except (httpx.InvalidURL, UnicodeError) as error:  # the latter for a host that IDNA refuses
        why = one_line(str(error), 100)
        raise PullFailed(f"{one_line(address, 200)} leads to what is no address: {why}.") from error
    except httpx.HTTPError as error:
        raise PullFailed(
            f"{_server(error)} sent an answer that cannot be read: {one_line(str(error))}."
        ) from error


def _server(error: httpx.HTTPError) -> str:
    try:
        return shown(error.request.url)
    except RuntimeError:  # httpx: there was no request yet
        return "The server"


def told(error: httpx.TransportError, proxy: str) -> tuple[str, str]:
    """What is said of `error`, and the mend; none where trying again later is one.

    `proxy` is the one that pip is configured with.
    """
    trouble = _transport_trouble(error, proxy)
    if isinstance(trouble, Trouble):
        return trouble.error.message, ""
    return trouble.message, trouble.mend


def _transport_trouble(error: httpx.TransportError, proxy: str) -> Trouble | PullFailed:
    server, causes = _server(error), list(_causes(error))
    certificate = next((c for c in causes if isinstance(c, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return NetworkUnavailable(
            f"The certificate of {server} is not trusted: {one_line(certificate.verify_message).rstrip('.')}.",
            mend="Where a proxy has its own, name its bundle in SSL_CERT_FILE or in pip's `cert` setting.",
        )
    if isinstance(error, httpx.UnsupportedProtocol):
        return PullFailed(f"{server} is named by an address of a kind that is not supported.")
    if isinstance(error, httpx.ProxyError) and str(error).startswith("407"):
        return _kept_out(server)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return Trouble(_unreachable(error, server, proxy), unreachable=True)
    silent = isinstance(error, httpx.TimeoutException)
    return _lost(server, "fell silent" if silent else "ended the connection early")


def _unreachable(error: httpx.TransportError, server: str, configured: str) -> NetworkUnavailable:
    """No connection. Where a proxy is on the way, it was the proxy's name or port that did not answer."""
    try:
        proxy = proxy_to(error.request.url, configured)
    except RuntimeError:  # httpx: there was no request yet
        proxy = ""
    way = f" through the proxy {proxy}" if proxy else ""
    check = "the network and the proxy (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, pip's `proxy` setting)"
    return NetworkUnavailable(
        f"{server} cannot be reached{way}: {reason(error)}.",
        mend=f"Check {check if proxy else 'the network'} and pull again; it goes on where it stopped.",
    )


def _lost(server: str, why: str) -> Trouble:
    return Trouble(
        NetworkUnavailable(f"{server} {why}.", mend="Pull again; it goes on where it stopped.")
    )


def _kept_out(server: str) -> NetworkUnavailable:
    """The proxy on the way to `server` wants a password, or another one. Asking again would not help."""
    return NetworkUnavailable(
        f"The proxy on the way to {server} wants a name and a password that it knows (407).",
        mend="Put them into the address in HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or pip's `proxy` setting.",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def reason(error: Exception) -> str:
    """Why there was no connection: the operating system's own words where there are any."""
    if isinstance(error, httpx.ConnectTimeout):
        return "it does not answer"
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "its name is not known"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(cause, OSError) and cause.strerror:
            # asyncio puts its own words, with the address as Python writes it, where the system's would be.
            own = cause.strerror.startswith("Connect call failed")
            return one_line(os.strerror(cause.errno or 0) if own else cause.strerror)
    return one_line(str(error), 150) or "the connection failed"
