"""Windows: what the SoC's own meters count, as the performance counters `Energy Meter` show them to everybody.

`Energy` counts picowatt-hours, `Power` is milliwatts; the meters advance about once a second
(https://learn.microsoft.com/en-us/windows-hardware/drivers/powermeter/energy-meter-interface). Which rails there are
is the platform's affair. A Snapdragon X shows its CPU clusters, the GPU, the charger's input (`PSU_USB`) and the whole
system (`SYS`), an X2 also `SOC`, `MEMORY` and `NPU`; Intel and AMD show RAPL's domains. `_Total` adds what contains
each other, and means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

from npurun_tui.bench.energy.pdh import Counters, PdhFailed
from npurun_tui.bench.energy.source import (
    PACKAGE,
    WHOLE_MACHINE,
    Counter,
    Readings,
    SourceAbsent,
)

ENERGY: Final = r"\Energy Meter(*)\Energy"
JOULES: Final = 3.6e-9
"""In a picowatt-hour."""

_KINDS: Final = (
    # What covers more comes first, since the CPU's rails do not contain the NPU.
    (re.compile(r"sys(tem)?"), re.compile(r"(?!)"), WHOLE_MACHINE),
    (re.compile(r"rapl_package\d+_pkg"), re.compile(r"rapl_package\d+_dram"), PACKAGE),
    (re.compile(r"soc"), re.compile(r"memory"), "the SoC"),
)


class EnergyMeter:
    """The rail of the whole system, or those of the SoC."""

    name = "Energy Meter"
    covers = WHOLE_MACHINE

    def __init__(self, open_counters: Callable[[list[str]], Counters] = Counters) -> None:
        """`open_counters` is the system's own, but for tests."""
        self._open = open_counters
        self._counters: Counters | None = None
        self._rails: dict[str, Counter] = {}

    def open(self) -> None:
        """Raises SourceAbsent."""
        self._counters = self._open([ENERGY])
        rails: dict[str, float] = {}
        # A plain count needs one look; a provider that is only started by the first needs two.
        for _ in range(2):
            self._counters.collect()
            if rails := dict(self._counters.values(ENERGY)):
                break
        chosen = choose(rails)
        if chosen is None:
            names = ", ".join(sorted(name for name in rails if name.lower() != "_total")[:8])
            raise SourceAbsent(
                f"no rail that contains the NPU or the whole processor (there are: {names})"
                if names
                else "this machine has no energy meters that Windows knows"
            )
        names_of, self.covers = chosen
        self._rails = {name: Counter() for name in names_of}

    def read(self, pids: Collection[int]) -> Readings:  # noqa: ARG002 - energy is not counted by process
        """Raises PdhFailed, also where a rail has gone."""
        if self._counters is None:
            return Readings()
        self._counters.collect()
        rails = dict(self._counters.values(ENERGY))
        if missing := [name for name in self._rails if name not in rails]:
            raise PdhFailed(f"no value of {missing[0]}")
        totals = [counter.total(round(rails[name])) for name, counter in self._rails.items()]
        known = [total for total in totals if total is not None]
        return Readings(joules=sum(known) * JOULES) if len(known) == len(totals) else Readings()

    def close(self) -> None:
        """Let go; also twice."""
        if self._counters is not None:
            self._counters.close()
            self._counters = None


def choose(rails: Mapping[str, float]) -> tuple[list[str], str] | None:
    """The rails that are added, and what they cover together; None where none of them covers what a model runs on."""
    keys = {name: re.sub(r"\W", "_", name.lower()) for name in rails}
    for main, beside, covers in _KINDS:
        if chosen := [name for name, key in keys.items() if main.fullmatch(key)]:
            more = [name for name, key in keys.items() if beside.fullmatch(key)]
            return chosen[:1] if covers == WHOLE_MACHINE else chosen + more, (
                f"{covers} and its memory" if more else covers
            )
    return None
