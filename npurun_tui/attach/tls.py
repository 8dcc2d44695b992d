"""TLS that fails, in words: a certificate nobody here trusts, and plain HTTP where TLS is spoken, or the other way."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final
from urllib.parse import urlsplit

from npurun_tui.errors import NetworkUnavailable
from npurun_tui.text import one_line

PATIENCE: Final = 3.0
"""Seconds that a server has to show that it speaks TLS."""

_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
"""What OpenSSL makes of an answer in plain HTTP, by its release."""


def tls_fault(url: str, error: BaseException) -> NetworkUnavailable | None:
    """Why no TLS connection was made, where that is what `error` comes from; else None."""
    cause = _ssl_error(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = one_line(cause.verify_message, 200).rstrip(".")
        return NetworkUnavailable(
            f"The certificate of the server at {url} is not trusted here: {reason}.",
            mend="Where it is your own, name its file in SSL_CERT_FILE.",
        )
    if cause is not None and cause.reason in _NO_TLS:
        return NetworkUnavailable(
            f"The server at {url} speaks no TLS.", mend=f"Give http{url.removeprefix('https')}."
        )
    return None


def _ssl_error(error: BaseException | None) -> ssl.SSLError | None:
    """httpx and httpcore wrap it twice."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


async def plain_fault(url: str) -> NetworkUnavailable | None:
    """Why the server hung up without an answer to plain HTTP, where it is because it speaks TLS; else None.

    It is asked: a server tells nothing of it in words. What its certificate says is not looked at, and nothing is sent.
    """
    parts = urlsplit(url)
    if parts.scheme != "http":
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or 80, ssl=context, server_hostname=""
            )
    except (OSError, ValueError, TimeoutError):
        return None
    writer.transport.abort()
    return NetworkUnavailable(
        f"The server at {url} speaks TLS.", mend=f"Give https{url.removeprefix('http')}."
    )
