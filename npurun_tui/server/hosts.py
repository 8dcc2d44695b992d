"""Which names a client may call this server by.

A web page can have its own name resolve to 127.0.0.1 and then talk to a local server as its own origin (DNS rebinding:
CVE-2024-28224 in Ollama). The browser still writes that name into `Host`: a name that is not ours is refused, on every
route and whatever the server is bound to.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from typing import Final

from npurun_tui.server.address import address_of
from npurun_tui.server.faults import Forbidden
from npurun_tui.server.heads import Head

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
FROM_CONTAINERS: Final = "host.docker.internal"
"""What Docker calls the machine it runs on. Nobody can own it on the internet: `.internal` is reserved."""

_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)


def host_name(header: str) -> str:
    """The name or address in a `Host` header, in lower case, without its port; empty where it is none."""
    found = _HOST.fullmatch(header)
    return (found.group(1) or found.group(2)).lower() if found else ""


class HostList:
    """The names that are ours."""

    def __init__(self, bound: str, allowed: Iterable[str]) -> None:
        """`bound` is the address the server listens on, `allowed` are the names its user adds."""
        own = socket.gethostname().lower()
        names = {bound.lower(), own, f"{own.partition('.')[0]}.local", FROM_CONTAINERS}
        names |= {host_name(name) or name.lower() for name in allowed}
        self._names = (names | LOOPBACK) - {"", "0.0.0.0", "::"}  # noqa: S104 - removed, not bound

    def check(self, head: Head) -> None:
        """Raises Forbidden unless the request's only Host is one of ours."""
        hosts = head.all(b"host")
        name = host_name(hosts[0]) if len(hosts) == 1 else ""
        if name and (name in self._names or name == _plain(head.local)):
            return
        raise Forbidden(
            "This server does not go by the name in the Host header.",
            mend="Call it by its address, or allow the name with --allowed-host.",
        )


def _plain(local: str) -> str:
    """The reached address as a Host header has it."""
    address = address_of(local)
    return str(address) if address is not None else ""
