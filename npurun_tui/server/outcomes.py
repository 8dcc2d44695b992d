"""Whether a request ended well: one answer for the counts, the log's lines and the Server tab.

The status alone does not tell: a stream's status line is sent before its end is known.
"""

from __future__ import annotations

from typing import Final

ABORTED_HERE: Final = "aborted here"
STOPPED: Final = "the server was stopped"
CLIENT_LEFT: Final = "client left"

_WELL: Final = frozenset({"", "stop", "length", "tool_calls"})
"""How an answer ends by itself; a route that generates nothing leaves the outcome empty. All others are reasons."""


def succeeded(status: int, outcome: str) -> bool:
    """Whether a request that has ended was answered as it should be; `status` is HTTP's, 0 where there was none."""
    return 0 < status < 400 and outcome in _WELL
