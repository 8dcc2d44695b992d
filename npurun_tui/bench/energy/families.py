"""The processes that do the work, with those that they have started: in a virtual environment on Windows, python.exe
starts the real one."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final

from npurun_tui.hardware.usage import family

RENEWED: Final = 5.0
"""Seconds: looking for children goes through all processes of the machine, which costs milliseconds."""


class Families:
    """The processes that `pids` names and their children, looked for anew now and then and when `pids` changes."""

    def __init__(
        self, pids: Callable[[], Collection[int]], now: Callable[[], float] = time.monotonic
    ) -> None:
        """`now` is the system's own, but for tests."""
        self._pids = pids
        self._now = now
        self._looked = 0.0
        self._heads: frozenset[int] = frozenset()
        self._all: frozenset[int] = frozenset()

    def __call__(self) -> frozenset[int]:
        """All of them."""
        heads, now = frozenset(self._pids()), self._now()
        if heads != self._heads or now - self._looked >= RENEWED:
            self._heads, self._looked = heads, now
            self._all = frozenset().union(*(family(pid) for pid in heads))
        return self._all
