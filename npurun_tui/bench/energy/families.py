"""The processes that do the work, with those that they have started: in a virtual environment on Windows, python.exe
starts the real one."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final

from npurun_tui.hardware.usage import family

FIRST: Final = 1.0
"""Seconds after which children are looked for again: the launcher has started the real process by then. Each wait is
twice the one before, because the search goes through all processes of the machine, which costs milliseconds."""
LONGEST: Final = 60.0


class Families:
    """The processes that `pids` names and their children, looked for anew now and then and when `pids` changes."""

    def __init__(
        self, pids: Callable[[], Collection[int]], now: Callable[[], float] = time.monotonic
    ) -> None:
        """`now` is the system's own, but for tests."""
        self._pids = pids
        self._now = now
        self._due = 0.0
        self._wait = FIRST
        self._heads: frozenset[int] = frozenset()
        self._all: frozenset[int] = frozenset()

    def __call__(self) -> frozenset[int]:
        """All of them."""
        heads, now = frozenset(self._pids()), self._now()
        if heads != self._heads:
            self._heads, self._due, self._wait = heads, now, FIRST
        if now >= self._due:
            self._due, self._wait = now + self._wait, min(LONGEST, 2 * self._wait)
            self._all = frozenset().union(*(family(pid) for pid in heads))
        return self._all
