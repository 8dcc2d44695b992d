"""How many connections there may be, and how many from one address."""

from __future__ import annotations

from collections import Counter

from npurun_tui.server.config import Limits


class Doors:
    """Counts the connections of one server. On its loop only."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.connections
        self._most_per_peer = limits.connections_per_peer
        self._peers: Counter[str] = Counter()
        self.inside = 0
        """Connections now."""

    def enter(self, peer: str) -> bool:
        """Whether one more from `peer` may come in; it is counted then."""
        if self.inside >= self._most or self._peers[peer] >= self._most_per_peer:
            return False
        self.inside += 1
        self._peers[peer] += 1
        return True

    def leave(self, peer: str) -> None:
        """One that came in has gone."""
        self.inside -= 1
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]
