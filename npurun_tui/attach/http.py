"""Requests to a server that somebody else runs: its address, the request, and the lines or events that come back.

The server is not trusted: every read is bounded, nothing is followed to another host, and no proxy is asked for what is
on this machine.
"""

from __future__ import annotations

import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from npurun_tui import __version__
from npurun_tui.attach.tls import plain_fault, tls_fault
from npurun_tui.errors import EngineError, NetworkUnavailable, UsageError
from npurun_tui.text import one_line

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT: Final = 5.0
SILENCE: Final = 300.0
"""Seconds without a byte before a server counts as gone: it may be loading a model or prefilling."""

UNREACHED: Final = "Start it, or look at its address."
"""The mend where nobody answers; `run` knows a better one."""

MAX_EVENT: Final = 1_000_000
"""Bytes of one event, or of one line, beyond which a server is not listened to."""
MAX_DOCUMENT: Final = 32 << 20
"""Bytes of an answer that is read whole."""
MAX_REFUSAL: Final = 65_536
"""Bytes read of the body that explains a refusal."""


class ServerRefused(EngineError):
    """It answered with a status that is no success."""

    def __init__(self, message: str, *, mend: str = "", status: int) -> None:
        super().__init__(message, mend=mend)
        self.status = status


def base_url(address: str) -> str:
    """`HOST:PORT` or a URL, as a URL without a path's end.

    Raises:
        UsageError: it is neither.
    """
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        usable = usable and not (parts.query or parts.fragment)
    except ValueError:  # a bracket left open, a port beyond 65535
        usable = False
    if "@" in url:
        raise UsageError("An address holds no password.", mend="Give the token with --auth-token.")
    if not usable:
        shown = one_line(address.partition("?")[0])
        raise UsageError(f"{shown} is not an address.", mend="Give HOST:PORT or an http(s) URL.")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether `url` leads to this machine itself, where no proxy may stand between."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


@asynccontextmanager
async def post(url: str, token: str, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
    """The answer to the chat completion `body`, of which nothing is read yet; raises what `send` raises."""
    async with send("POST", url, "/v1/chat/completions", token, body) as response:
        yield response


@asynccontextmanager
async def send(
    method: str,
    url: str,
    path: str,
    token: str,
    body: object | None = None,
    on_sending: Callable[[], None] | None = None,
) -> AsyncIterator[httpx.Response]:
    """The answer to one request, of which nothing is read yet. `path` begins with a slash.

    `on_sending` is called when the connection stands and the request's first byte is about to go: who times an answer
    leaves out what connecting took.

    Raises:
        UsageError: `token` cannot be sent.
        NetworkUnavailable: no connection, also where it is lost inside the context.
        ServerRefused: the server refuses.
        EngineError: it compresses its answer.
    """
    import httpx

    answered = False
    try:
        async with (
            _client(url, token) as client,
            client.stream(
                method, f"{url}{path}", json=body, extensions=_traced(on_sending)
            ) as response,
        ):
            answered = True
            if not response.is_success:
                raise await _refusal(url, response)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise EngineError(f"The server at {url} compresses its answer, unasked.")
            yield response
    except httpx.TimeoutException as error:
        raise NetworkUnavailable(f"The server at {url} does not answer.") from error
    except (httpx.ReadError, httpx.RemoteProtocolError) as error:
        if not answered and (fault := await plain_fault(url)) is not None:
            raise fault from error
        raise NetworkUnavailable(
            f"The server at {url} broke off in the middle ({one_line(str(error)) or 'no reason given'}).",
            mend="Ask again when it is back.",
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        # The last is what the system's name lookup makes of a host that can be none.
        if (fault := tls_fault(url, error)) is not None:
            raise fault from error
        raise NetworkUnavailable(
            f"The server at {url} cannot be reached ({one_line(str(error)) or type(error).__name__}).",
            mend=UNREACHED,
        ) from error


def _traced(on_sending: Callable[[], None] | None) -> dict[str, Any]:
    """httpcore's trace (its documentation, "Request Extensions"); behind a proxy the last such event is the request's
    own."""
    if on_sending is None:
        return {}
    told = on_sending

    async def trace(name: str, _info: dict[str, Any]) -> None:
        if name == "http11.send_request_headers.started":
            told()

    return {"trace": trace}


async def fetch(
    method: str, url: str, path: str, token: str, body: object | None = None
) -> dict[str, Any]:
    """The JSON object that the server answers with; `{}` for an empty body.

    Raises:
        EngineError: also where it is something else, or longer than MAX_DOCUMENT.
    """
    data = bytearray()
    async with send(method, url, path, token, body) as response:
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > MAX_DOCUMENT:
                raise EngineError(f"The server at {url} answers without end.")
    if not data:
        return {}
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise EngineError(f"The server at {url} answers {path} with something that is not JSON.")
    return document


def _client(url: str, token: str) -> httpx.AsyncClient:
    """Redirects are not followed: they could carry the token to another host."""
    import httpx

    if not (token.isascii() and token.isprintable()):
        raise UsageError("The token holds characters that HTTP cannot carry.")
    headers = {
        "Accept-Encoding": "identity",  # a small body must not become a large one here
        "User-Agent": f"npurun-tui/{__version__}",
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        return httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(SILENCE, connect=CONNECT_TIMEOUT),
            trust_env=not is_loopback(url),
            verify=_certificates(url),
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise NetworkUnavailable(
            "The proxy that is configured cannot be used: it has to be an http or https address.",
            mend="Look at HTTP_PROXY, HTTPS_PROXY and ALL_PROXY.",
        ) from error


def _certificates(url: str) -> ssl.SSLContext:
    """What is trusted. Plain http needs nothing, which saves 20 ms of reading."""
    if not url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    from npurun_tui.models.pull.tls import tls_context

    return tls_context(None)


async def _refusal(url: str, response: httpx.Response) -> ServerRefused:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_REFUSAL:
            break
    text = body[:MAX_REFUSAL].decode("utf-8", "replace")
    if response.status_code == 404 and '"model_not_found"' in text:
        # Its words tell of its own machine, and what to do there.
        return ServerRefused(
            f"The server at {url} has no such model.",
            mend=f"`npurun-tui --addr {url}` shows those that it has, and pulls others there.",
            status=response.status_code,
        )
    mends = {
        401: "Give its token with --auth-token.",
        403: "Give its admin token with --auth-token." if "token" in text else "",
        404: "See which models it has with GET /v1/models.",
        429: "It is busy: try again in a moment.",
        503: "It has no model loaded, or is starting.",
    }
    reason = (one_line(error_text(text)) or "no reason given").rstrip(".")
    return ServerRefused(
        f"The server at {url} refused with status {response.status_code}: {reason}.",
        mend=mends.get(response.status_code, ""),
        status=response.status_code,
    )


def error_text(text: str) -> str:
    """The message in an error's JSON, or `text` as it is where there is none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    error = document.get("error", document) if isinstance(document, dict) else document
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else text


async def lines_of(response: httpx.Response) -> AsyncIterator[str]:
    """The lines of a body as they come, each at most MAX_EVENT bytes and a network read long."""
    rest = bytearray()
    after_return = False
    async for chunk in response.aiter_raw():
        whole = chunk[1:] if after_return and chunk.startswith(b"\n") else chunk
        after_return = chunk.endswith(b"\r")
        head, *more = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest += head
        for line in more:
            yield rest.decode("utf-8", "replace")
            rest = bytearray(line)
        if len(rest) > MAX_EVENT:
            raise EngineError("The server sends a line without end.")
    if rest:
        yield rest.decode("utf-8", "replace")


async def events(
    response: httpx.Response, heard: Callable[[str], None] = lambda _comment: None
) -> AsyncIterator[str]:
    """The `data` of each server-sent event; `heard` is told the comments, other fields are skipped."""
    lines: list[str] = []
    size = 0
    async for line in lines_of(response):
        if line.startswith("data:"):
            lines.append(line[5:].removeprefix(" "))
            size += len(line)
            if size > MAX_EVENT:
                raise EngineError("The server sends an event without end.")
        elif line.startswith(":"):
            heard(line[1:].removeprefix(" "))
        elif not line and lines:
            yield "\n".join(lines)
            lines, size = [], 0
    if lines:
        yield "\n".join(lines)
