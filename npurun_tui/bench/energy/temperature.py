"""Linux: the processor's temperature. Which sensors are the processor's is looked up once; then only those are read,
because others may be slow (a disk's wakes it)."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from npurun_tui.bench.energy.source import Readings, SourceAbsent, number_in, text_or

_CHIPS: Final = re.compile(
    r"coretemp|k10temp|zenpower|k8temp|cpu\w*thermal|soc\w*thermal|macsmc_hwmon"
)
_ZONES: Final = re.compile(r"x86_pkg_temp|TCPU|(cpu|soc|nsp)[\w-]*", re.IGNORECASE)
_MOST: Final = 16
"""Files: a Snapdragon X shows forty zones, and each costs a call of its driver."""
_BELIEVED: Final = range(-40_000, 150_001)
"""Thousandths of a degree: a sensor that is off says 0, -273 or 255 °C."""


class ProcessorTemperature:
    """The hottest of the processor's sensors."""

    name = "Temperature"
    covers = ""

    def __init__(self, root: Path = Path("/")) -> None:
        """`root` is where the file system begins."""
        self._root = root
        self._files: list[Path] = []

    def open(self) -> None:
        """Raises SourceAbsent."""
        files = [
            file
            for chip in sorted((self._root / "sys/class/hwmon").glob("hwmon*"))
            if _CHIPS.fullmatch(text_or(chip / "name"))
            for file in sorted(chip.glob("temp*_input"))
        ] or [
            zone / "temp"
            for zone in sorted((self._root / "sys/class/thermal").glob("thermal_zone*"))
            if _ZONES.fullmatch(text_or(zone / "type"))
        ]
        self._files = [file for file in files if _degrees(file) is not None][:_MOST]
        if not self._files:
            raise SourceAbsent("no sensor of the processor's temperature")

    def read(self, pids: Collection[int]) -> Readings:  # noqa: ARG002 - a sensor knows no processes
        """Empty where none answers any more."""
        degrees = [value for file in self._files if (value := _degrees(file)) is not None]
        return Readings(temperature_c=max(degrees)) if degrees else Readings()

    def close(self) -> None:
        """Nothing is held open."""


def _degrees(file: Path) -> float | None:
    try:
        value = number_in(file)
    except (OSError, ValueError):
        return None
    return value / 1000 if value in _BELIEVED and value else None
