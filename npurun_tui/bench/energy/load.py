"""How busy the processor is, and how much memory the engine's processes hold: the same on every system."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from npurun_tui.bench.energy.source import Readings, SourceAbsent

if TYPE_CHECKING:
    import psutil

_SHORTEST: Final = 0.1
"""Seconds: the system counts in ticks of a hundredth, so less says nothing."""


class ProcessorLoad:
    """Use of all cores together, and RSS. Processes that have ended meanwhile hold nothing."""

    name = "Processor and memory"
    covers = ""

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._asked = 0.0

    def open(self) -> None:
        """The first use is since this call."""
        import psutil

        psutil.cpu_percent(None)
        self._asked = time.monotonic()

    def read(self, pids: Collection[int]) -> Readings:
        """Microseconds on Linux, and as many again for each process."""
        import psutil

        found, now = Readings(), time.monotonic()
        if now - self._asked >= _SHORTEST:
            found["cpu_percent"] = min(100.0, psutil.cpu_percent(None))
            self._asked = now
        self._processes = {
            pid: known
            for pid, known in self._processes.items()
            if pid in pids and known.is_running()
        }
        resident = 0
        for pid in pids:
            try:
                process = self._processes.setdefault(pid, psutil.Process(pid))
                resident += process.memory_info().rss
            except psutil.Error:
                continue
        if resident:
            found["rss_mb"] = resident / 1e6
        return found

    def close(self) -> None:
        """Nothing is held."""


class Charge:
    """How full the battery is, and whether the charger is plugged in, where the system tells psutil."""

    name = "Battery's charge"
    covers = ""

    def open(self) -> None:
        """Raises SourceAbsent where there is no battery."""
        if not self.read(()):
            raise SourceAbsent("no battery")

    def read(self, pids: Collection[int]) -> Readings:  # noqa: ARG002 - a battery has no processes
        """Empty where the battery has gone."""
        import psutil

        battery = psutil.sensors_battery()
        if battery is None:
            return Readings()
        found = Readings(battery_percent=float(battery.percent))
        if battery.power_plugged is not None:
            found["on_mains"] = bool(battery.power_plugged)
        return found

    def close(self) -> None:
        """Nothing is held."""
