"""Windows: how busy the NPU is with the engine's processes, and how much memory they have there.

The counters `GPU Engine` and `GPU Process Memory` have an instance for each process and adapter, named
`pid_…_luid_…_phys_…`; `hardware.usage` says which adapter is an NPU. Memory is bytes. An NPU has none of its own, so
what it holds is mostly `Shared Usage`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Final

from npurun_tui.bench.energy.pdh import Counters, PdhFailed
from npurun_tui.bench.energy.source import Readings, SourceAbsent
from npurun_tui.hardware.usage import npu_share

USE: Final = r"\GPU Engine(*)\Utilization Percentage"
MEMORY: Final = (
    r"\GPU Process Memory(*)\Dedicated Usage",
    r"\GPU Process Memory(*)\Shared Usage",
)
RENEWED: Final = 15.0
"""Seconds after which the instances are looked up anew: those of a dialog that was built anew have other names."""

_INSTANCE: Final = re.compile(r"pid_(\d+)_luid_(\w+?_\w+?)_phys_\d+")


class NpuLoad:
    """Use and memory of the NPU. Empty readings where no adapter is an NPU."""

    name = "NPU"
    covers = ""

    def __init__(
        self,
        open_counters: Callable[[list[str]], Counters] = Counters,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`open_counters` and `now` are the system's own, but for tests."""
        self._open = open_counters
        self._now = now
        self._counters: Counters | None = None
        self._next: Counters | None = None
        self._opened = 0.0

    def open(self) -> None:
        """Raises SourceAbsent, PdhFailed."""
        self._counters = self._primed()

    def read(self, pids: Collection[int]) -> Readings:
        """Raises PdhFailed."""
        self._renew()
        if self._counters is None:
            return Readings()
        self._counters.collect()
        share = npu_share(self._counters.values(USE), pids)
        if share is None:
            return Readings()
        rows = (row for path in MEMORY for row in self._counters.values(path))
        used = memory_of(rows, pids, share.adapters)
        # An idle process has instances too, so none at all means that nothing of ours runs there.
        return Readings(npu_percent=min(100.0, share.percent), npu_memory_mb=used / 1e6)

    def close(self) -> None:
        """Let go; also twice."""
        for counters in (self._counters, self._next):
            if counters is not None:
                counters.close()
        self._counters = self._next = None

    def _primed(self) -> Counters:
        self._opened = self._now()
        counters = self._open([USE, *MEMORY])
        try:
            counters.collect()
        except PdhFailed:
            counters.close()
            raise
        return counters

    def _renew(self) -> None:
        """A rate needs two looks, so the new query takes over one reading after it was opened."""
        if self._next is not None:
            if self._counters is not None:
                self._counters.close()
            self._counters, self._next = self._next, None
        elif self._now() - self._opened >= RENEWED:
            # The old one still tells, and the next time comes.
            with suppress(PdhFailed, SourceAbsent):
                self._next = self._primed()


def memory_of(
    rows: Iterable[tuple[str, float]], pids: Collection[int], adapters: Collection[str]
) -> float:
    """Bytes that the processes `pids` have on `adapters`, of instances of `GPU Process Memory` and their values."""
    return sum(
        value
        for name, value in rows
        if (match := _INSTANCE.fullmatch(name)) and int(match[1]) in pids and match[2] in adapters
    )
