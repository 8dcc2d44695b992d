"""Which sources this system may have, and which of them this machine has."""

from __future__ import annotations

import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from npurun_tui.bench.energy.source import BATTERY, Readings, Source, SourceAbsent
from npurun_tui.text import one_line


class Nowhere:
    """What a system does not tell, so that people who look for it learn why."""

    def __init__(self, name: str, covers: str, why: str) -> None:
        """`why` is shown."""
        self.name = name
        self.covers = covers
        self._why = why

    def open(self) -> None:
        """Raises SourceAbsent, always."""
        raise SourceAbsent(self._why)

    def read(self, pids: Collection[int]) -> Readings:  # noqa: ARG002 - nothing is read
        """Nothing."""
        return Readings()

    def close(self) -> None:
        """Nothing is held."""


def sources_here(root: Path = Path("/"), platform: str = sys.platform) -> list[Source]:
    """All that this system may have, none of them opened. Of those that tell power the first is preferred.

    What counts the energy of the parts at work comes before a battery: a counter misses nothing between two readings,
    goes on with the charger in, and a battery's gauge is slow. `root` is where Linux's file system begins.
    """
    from npurun_tui.bench.energy.load import Charge, ProcessorLoad

    if platform == "linux":
        from npurun_tui.bench.energy.hwmon import HwmonPower
        from npurun_tui.bench.energy.rapl import Rapl
        from npurun_tui.bench.energy.supply import Supply
        from npurun_tui.bench.energy.temperature import ProcessorTemperature

        return [
            ProcessorLoad(),
            Rapl(root),
            HwmonPower(root),
            Supply(root),
            ProcessorTemperature(root),
            Nowhere("NPU", "", "Linux has no counter of its use"),
        ]
    if platform == "win32":
        from npurun_tui.bench.energy.discharge import Discharge
        from npurun_tui.bench.energy.npu import NpuLoad
        from npurun_tui.bench.energy.rails import EnergyMeter
        from npurun_tui.bench.energy.zones import ThermalZones

        return [ProcessorLoad(), EnergyMeter(), Discharge(), Charge(), NpuLoad(), ThermalZones()]
    root_only = "this system tells power and temperature to root only"
    return [ProcessorLoad(), Charge(), Nowhere("Power", "the processor", root_only)]


class Told(NamedTuple):
    """What a source says of itself."""

    name: str
    words: str
    """What it measures here, or why it cannot be read."""
    readable: bool
    covers: str
    """What its power is that of; empty where it tells none."""


def describe(sources: list[Source] | None = None) -> list[Told]:
    """Each source, in their order. Blocks: milliseconds on Linux, up to a second on Windows."""
    return [_told(source) for source in (sources if sources is not None else sources_here())]


def _told(source: Source) -> Told:
    why = ""
    try:
        source.open()
    except Exception as error:  # noqa: BLE001 - as in a bench: a source's fault is that source's alone
        why = one_line(str(error), 300) or type(error).__name__
    finally:
        with suppress(Exception):
            source.close()
    if why:
        return Told(source.name, f"not measurable here: {why}", False, source.covers)
    away = " while the charger is away" if source.name == BATTERY and source.covers else ""
    words = f"the power of {source.covers}{away}" if source.covers else "can be read"
    return Told(source.name, words, True, source.covers)
