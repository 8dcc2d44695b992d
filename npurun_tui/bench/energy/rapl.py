"""Linux: the energy counters of Intel's and AMD's processors (RAPL), through the kernel's powercap interface.

`/sys/class/powercap/intel-rapl:N` is a package, `intel-rapl:N:M` a part of it; `name` says which, `energy_uj` counts
microjoules and begins again at 0 after `max_energy_range_uj`
(kernel: Documentation/power/powercap/powercap.rst). AMD's are there under the same name.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from npurun_tui.bench.energy.source import (
    PACKAGE,
    Counter,
    Readings,
    SourceAbsent,
    number_in,
    text_or,
)

_UNREADABLE: Final = (
    "only root may read the energy counters (kernel 5.10 and later, since they give away what other programs "
    "compute); `sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj` lets everybody until the next start"
)


class Rapl:
    """Packages, and their memory where it is counted.

    `core` and `uncore` are parts of a package, and `psys` contains it, so none of them may be added. `psys` alone
    would cover more, but on many boards nobody has calibrated it.
    """

    name = "RAPL"
    covers = PACKAGE

    def __init__(self, root: Path = Path("/")) -> None:
        """`root` is where the file system begins."""
        self._class = root / "sys/class/powercap"
        self._counters: list[tuple[Path, Counter]] = []

    def open(self) -> None:
        """Raises SourceAbsent."""
        zones = [
            (zone, kind)
            for zone in sorted(self._class.glob("intel-rapl:*"))
            if (kind := text_or(zone / "name")).startswith("package") or kind == "dram"
        ]
        if not zones:
            raise SourceAbsent("the kernel shows no energy counters in /sys/class/powercap")
        for zone, _ in zones:
            try:
                number_in(zone / "energy_uj")
                reach = number_in(zone / "max_energy_range_uj")
            except PermissionError as error:
                raise SourceAbsent(_UNREADABLE) from error
            except (OSError, ValueError) as error:
                raise SourceAbsent(f"{zone.name} cannot be read ({error})") from error
            self._counters.append((zone / "energy_uj", Counter(reach)))
        if any(kind == "dram" for _, kind in zones):
            self.covers = f"{PACKAGE} and its memory"

    def read(self, pids: Collection[int]) -> Readings:  # noqa: ARG002 - energy is not counted by process
        """Raises OSError, ValueError."""
        totals = [counter.total(number_in(file)) for file, counter in self._counters]
        known = [total for total in totals if total is not None]
        return Readings(joules=sum(known) / 1e6) if len(known) == len(totals) else Readings()

    def close(self) -> None:
        """Nothing is held open."""
        self._counters.clear()
