"""Windows: the hottest of the firmware's thermal zones, in tenths of a kelvin."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from npurun_tui.bench.energy.pdh import Counters
from npurun_tui.bench.energy.source import Readings, SourceAbsent

ZONES: Final = r"\Thermal Zone Information(*)\High Precision Temperature"
_BELIEVED: Final = (2331, 4231)
"""-40 to 150 °C; a zone that is not wired up says 0 or 2732."""
_NOWHERE: Final = 2732


class ThermalZones:
    """Which zone is whose Windows does not say, so the hottest stands for the processor's."""

    name = "Temperature"
    covers = ""

    def __init__(self, open_counters: Callable[[list[str]], Counters] = Counters) -> None:
        """`open_counters` is the system's own, but for tests."""
        self._open = open_counters
        self._counters: Counters | None = None

    def open(self) -> None:
        """Raises SourceAbsent."""
        self._counters = self._open([ZONES])
        if not self.read(()):
            raise SourceAbsent("the firmware shows no thermal zone")

    def read(self, pids: Collection[int]) -> Readings:  # noqa: ARG002 - a zone knows no processes
        """Raises PdhFailed."""
        if self._counters is None:
            return Readings()
        self._counters.collect()
        low, high = _BELIEVED
        tenths = [
            value
            for name, value in self._counters.values(ZONES)
            if name.lower() != "_total" and low <= value <= high and round(value) != _NOWHERE
        ]
        return Readings(temperature_c=max(tenths) / 10 - 273.15) if tenths else Readings()

    def close(self) -> None:
        """Let go; also twice."""
        if self._counters is not None:
            self._counters.close()
            self._counters = None
