"""Linux: sensors of power and energy that drivers show through hwmon.

`energyN_input` counts microjoules, `powerN_input` is microwatts now and `powerN_average` over the driver's interval
(kernel: Documentation/ABI/testing/sysfs-class-hwmon). What a channel measures only its driver knows: a graphics card,
a fan or a disk may have one too. So only channels whose meaning is known here count.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from npurun_tui.bench.energy.source import (
    PACKAGE,
    WHOLE_MACHINE,
    Counter,
    Readings,
    SourceAbsent,
    number_in,
    text_or,
)

_KNOWN: Final = (
    # Driver, channel's label, what it is the power of. The ones that cover more come first.
    (re.compile(r"power_meter"), re.compile(r".*"), WHOLE_MACHINE),  # ACPI power meter, of servers
    (re.compile(r"qcom_pld_power"), re.compile(r"SYS"), WHOLE_MACHINE),  # Snapdragon X laptops
    (re.compile(r"macsmc_hwmon"), re.compile(r"Total System Power"), WHOLE_MACHINE),  # Apple
    (re.compile(r"ibmpowernv"), re.compile(r"System"), WHOLE_MACHINE),
    (re.compile(r"ina3221"), re.compile(r"VDD_IN"), "the whole module"),  # NVIDIA Jetson
    (re.compile(r"amd_energy"), re.compile(r"Esocket\d+"), PACKAGE),
)
_CHANNEL: Final = re.compile(r"(energy|power)(\d+)_(input|average)")
_SLOWEST: Final = 5000
"""Milliseconds: a mean over more smears rest and work into each other (some ACPI meters have five minutes)."""


class HwmonPower:
    """All channels of the first kind that is known here."""

    name = "hwmon"
    covers = WHOLE_MACHINE

    def __init__(self, root: Path = Path("/")) -> None:
        """`root` is where the file system begins."""
        self._class = root / "sys/class/hwmon"
        self._counters: list[tuple[Path, Counter]] = []
        self._gauges: list[Path] = []

    def open(self) -> None:
        """Raises SourceAbsent."""
        found = _channels(self._class)
        for driver, label, covers in _KNOWN:
            channels = {
                (file.parent, file.name.split("_")[0]): file
                for chip, name, file in found
                if driver.fullmatch(chip) and label.fullmatch(name) and _usable(file)
            }
            if channels:
                self.covers = covers
                self._take(list(channels.values()))
                return
        if found:
            others = ", ".join(sorted({f"{chip} {name}".strip() for chip, name, _ in found})[:6])
            raise SourceAbsent(
                "no channel that is known to measure the machine, and that often enough "
                f"(there are: {others})"
            )
        raise SourceAbsent("no sensor of power in /sys/class/hwmon")

    def _take(self, files: list[Path]) -> None:
        energies = [file for file in files if file.name.startswith("energy")]
        self._counters = [(file, Counter()) for file in energies]
        self._gauges = [] if energies else files

    def read(self, pids: Collection[int]) -> Readings:  # noqa: ARG002 - a sensor knows no processes
        """Raises OSError, ValueError."""
        if not self._counters:
            return Readings(watts=sum(number_in(file) for file in self._gauges) / 1e6)
        totals = [counter.total(number_in(file)) for file, counter in self._counters]
        known = [total for total in totals if total is not None]
        return Readings(joules=sum(known) / 1e6) if len(known) == len(totals) else Readings()

    def close(self) -> None:
        """Nothing is held open."""
        self._counters, self._gauges = [], []


def _channels(folder: Path) -> list[tuple[str, str, Path]]:
    """Driver, label and file of each; of one channel's files the best comes last."""
    found = []
    for chip in sorted(folder.glob("hwmon*")):
        driver = text_or(chip / "name")
        for file in sorted(chip.glob("*_*")):
            if match := _CHANNEL.fullmatch(file.name):
                label = text_or(chip / f"{match[1]}{match[2]}_label")
                found.append((driver, label, file))
    return found


def _usable(file: Path) -> bool:
    try:
        number_in(file)
    except (OSError, ValueError):
        return False
    over = text_or(file.with_name(f"{file.name}_interval"))
    return not (over.isdecimal() and int(over) > _SLOWEST)
