"""Where a server listens, as people write it."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from npurun_tui.errors import UsageError
from npurun_tui.server.config import DEFAULT_PORT
from npurun_tui.text import one_line

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_ADDRESS: Final = f"{DEFAULT_HOST}:{DEFAULT_PORT}"

_NAME: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)


def parse_bind(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `HOST`, `:PORT`, `PORT`, `[::1]:PORT` or a bare IPv6 address.

    Raises:
        UsageError: it is none of these.
    """
    host, port = _split(text.strip())
    if not is_host(host):
        raise _fault(text)
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise _fault(text)
    return host, int(port)


def _split(text: str) -> tuple[str, str]:
    default = str(DEFAULT_PORT)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _fault(text)
        return host, rest[1:] or default
    if text.count(":") > 1:
        return text, default
    if text.isdigit():
        return DEFAULT_HOST, text
    host, _, port = text.partition(":")
    return host or DEFAULT_HOST, port or default


def is_host(host: str) -> bool:
    """Whether `host` is an address or could be a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _NAME.fullmatch(host.lower()) is not None
    return True


_ORIGIN: Final = re.compile(
    r"\*|[a-z][a-z0-9+.-]*://(?:[A-Za-z0-9._-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?/?"
)


def web_origin(text: str) -> str:
    """An origin as a browser writes it, or `*`; raises ValueError, whose text says what it has to be."""
    if _ORIGIN.fullmatch(text) is None:
        raise ValueError("is no web origin such as https://app.example, nor *")
    return text


def host_or_name(text: str) -> str:
    """A name or an address by which clients call this machine; raises ValueError where it can be none."""
    name, _, port = text.rpartition(":")
    plain = name if port.isdigit() and name.count(":") == 0 else text
    if not is_host(plain.replace("_", "-")):  # underscores: what containers are called
        raise ValueError("is not a host's name, such as laptop.local")
    return text


def _fault(text: str) -> UsageError:
    return UsageError(
        f"{one_line(text, 60)} is not an address to listen on.",
        mend=f"Give HOST:PORT, such as {DEFAULT_ADDRESS}.",
    )


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is only reached from this machine. Names but `localhost` are not."""
    if host == "localhost":
        return True
    address = address_of(host)
    return address is not None and address.is_loopback


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """`host` as an address, an IPv4 one out of its IPv6 wrapping; None where it is a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def url_host(host: str) -> str:
    """`host` as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
