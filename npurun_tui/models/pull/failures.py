"""What went wrong on the way to a server, or was answered by it, in words; and whether asking again may help."""

from __future__ import annotations

import email.utils
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx

from npurun_tui.errors import NetworkUnavailable, PullFailed
from npurun_tui.models.pull.policy import Trouble
from npurun_tui.models.pull.proxies import proxy_to
from npurun_tui.text import one_line

_TRANSIENT: Final = {408, 425, 429}
_LASTING: Final = {501, 505}
"""Of the answers from 500 on, those that another attempt does not change."""


def ascii_host(url: httpx.URL) -> str:
    """The host's name as the network knows it, in lower case."""
    return url.raw_host.decode("ascii", "replace").lower()


def shown(url: httpx.URL) -> str:
    """The server of `url` for people: no path, no query, no credentials.

    A name in another script is shown as it is asked for (`xn--…`): decoded it could look like one that is trusted, and
    not every one can be decoded.
    """
    name = ascii_host(url)
    host = f"[{name}]" if ":" in name else name
    return one_line(f"{host}:{url.port}" if url.port else host, 100)


def check_status(response: httpx.Response, *, public: bool) -> None:
    """Pass what the caller handles (200, 206, 404, 416); raise for the rest. `public`: none knows credentials."""
    status = response.status_code
    if status in {200, 206, 404, 416}:
        return
    server = shown(response.url)
    if status == 407:
        raise _kept_out(server)
    error = PullFailed(f"{server} answered with {status} ({one_line(response.reason_phrase, 60)}).")
    if status in _TRANSIENT or (status >= 500 and status not in _LASTING):
        wait = _retry_after(response.headers)
        raise Trouble(error, retry_after=wait, busy=status in {429, 503})
    if status in {401, 403} and public:
        error = PullFailed(
            f"{server} does not offer this file ({status}): it may never have been published, or is gone.",
            mend="`npurun-tui catalog update` may know where it is; `npurun-tui convert export` can make some bundles.",
        )
    elif status in {401, 403}:
        error.mend = "Check the credentials in pip's index-url."
    raise error


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: the header holds a number of them, or a date, by the server's clock: this one may be wrong."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    then, now = _seconds(value), _seconds(headers.get("date", ""))
    if then is None:
        return None
    return max(0.0, then - (time.time() if now is None else now))


def _seconds(date: str) -> float | None:
    """A header's date in seconds since 1970; None where it is none."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


@contextmanager
def in_words(address: str, proxy: str = "") -> Iterator[None]:
    """httpx's exceptions as ours. `proxy` is the one that pip is configured with."""
    try:
        yield
    except httpx.TransportError as error:
        raise _transport_trouble(error, proxy) from error
    except ssl.SSLError as error:
        # httpx lets it through while a body is read; it is an OSError, as a disk's.
        raise lost(shown(httpx.URL(address)), "sent what was damaged on its way") from error
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
    return lost(server, "fell silent" if silent else "ended the connection early")


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


def lost(server: str, why: str) -> Trouble:
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
