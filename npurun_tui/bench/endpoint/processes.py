"""Which processes of this machine are behind an endpoint: what they load the machine with belongs to its runs."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from npurun_tui.attach.http import is_loopback

_PORTS: Final = {"http": 80, "https": 443}


def processes_behind(url: str) -> frozenset[int]:
    """The process that listens at `url` and those that it has started; none where it is another machine's, or where the
    system does not tell (another user's; on macOS anybody's). Blocks, for some tens of milliseconds."""
    import psutil

    if not is_loopback(url):
        return frozenset()
    parts = urlsplit(url)
    port = parts.port or _PORTS[parts.scheme]
    try:
        listening = {
            each.pid
            for each in psutil.net_connections("tcp")
            if each.status == psutil.CONN_LISTEN and each.pid and each.laddr
            if each.laddr.port == port
        }
        found = set(listening)
        for pid in listening:
            found |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    except (psutil.Error, OSError):
        return frozenset()
    return frozenset(found)
