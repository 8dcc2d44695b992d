"""Telling those who guess tokens to wait.

What counts is how many *different* wrong tokens an address has tried: a client that is set up with an old token repeats
one, and should read that it is wrong each time. A right token never gets here, so that nobody locks out a neighbour.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

TRIES: Final = 10
WINDOW: Final = 60.0
"""So many different wrong tokens within so many seconds, and the address waits until the window is over."""
PEERS: Final = 1024
"""Addresses that are remembered; the longest unheard-of is forgotten first."""


@dataclass(slots=True)
class _Tries:
    began: float
    digests: set[bytes] = field(default_factory=set)


class Throttle:
    """Counts failures by address; bounded, whoever calls."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._peers: OrderedDict[str, _Tries] = OrderedDict()

    def blocks(self, peer: str) -> bool:
        """Whether `peer` has to wait with another wrong token."""
        tries = self._fresh(_network(peer))
        return tries is not None and len(tries.digests) >= TRIES

    def failed(self, peer: str, digest: bytes) -> None:
        """`peer` has shown a token with this hash, and it was wrong."""
        key = _network(peer)
        tries = self._fresh(key)
        if tries is None:
            tries = self._peers[key] = _Tries(self._now())
        if len(tries.digests) < TRIES:
            tries.digests.add(digest)
        self._peers.move_to_end(key)
        while len(self._peers) > PEERS:
            self._peers.popitem(last=False)

    def _fresh(self, key: str) -> _Tries | None:
        tries = self._peers.get(key)
        if tries is not None and self._now() - tries.began >= WINDOW:
            del self._peers[key]
            return None
        return tries


def _network(peer: str) -> str:
    """An IPv6 client has a whole /64 of addresses to itself."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    return str(ipaddress.ip_network((address, 64), strict=False))
