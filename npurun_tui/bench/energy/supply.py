"""Linux: what the battery gives, which is what the whole machine takes while the charger is away.

`/sys/class/power_supply`: `power_now` is microwatts, `current_now` microamperes, `voltage_now` microvolts; the sign of
the first two differs between drivers (kernel: Documentation/ABI/testing/sysfs-class-power).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from npurun_tui.bench.energy.source import (
    BATTERY,
    WHOLE_MACHINE,
    Readings,
    SourceAbsent,
    number_in,
    text_of,
    text_or,
)


class Supply:
    """All batteries of the machine together."""

    name = BATTERY
    covers = WHOLE_MACHINE

    def __init__(self, root: Path = Path("/")) -> None:
        """`root` is where the file system begins."""
        self._class = root / "sys/class/power_supply"
        self._batteries: list[Path] = []
        self._chargers: list[Path] = []

    def open(self) -> None:
        """Raises SourceAbsent."""
        for supply in sorted(self._class.glob("*")):
            kind = text_or(supply / "type")
            # A mouse's or a keyboard's battery has the scope Device.
            if kind == "Battery" and text_or(supply / "scope") != "Device":
                self._batteries.append(supply)
            elif kind in ("Mains", "USB", "Wireless") and (supply / "online").exists():
                self._chargers.append(supply)
        if not self._batteries:
            raise SourceAbsent("no battery in /sys/class/power_supply")

    def read(self, pids: Collection[int]) -> Readings:  # noqa: ARG002 - a battery knows no processes
        """Raises SourceAbsent: the battery has gone; OSError, ValueError: it cannot be read this time."""
        if not all(each.exists() for each in self._batteries):
            raise SourceAbsent("the battery was taken out")
        states = [text_of(battery / "status") for battery in self._batteries]
        discharging = "Discharging" in states
        # 2 is a charger whose voltage is negotiated (USB PD's programmable supply).
        charger = any(text_or(each / "online") in ("1", "2") for each in self._chargers)
        found = Readings(on_mains=charger or not discharging)
        if charge := [text for each in self._batteries if (text := text_or(each / "capacity"))]:
            found["battery_percent"] = sum(float(text) for text in charge) / len(charge)
        if not found["on_mains"]:
            # With the charger in, the battery gives only what that lacks.
            givers = [
                each
                for each, state in zip(self._batteries, states, strict=True)
                if state == "Discharging"
            ]
            if watts := sum(_watts(each) for each in givers):
                found["watts"] = watts
        return found

    def close(self) -> None:
        """Nothing is held open."""
        self._batteries, self._chargers = [], []


def _watts(battery: Path) -> float:
    """Raises OSError, ValueError."""
    if (battery / "power_now").exists():
        return abs(number_in(battery / "power_now")) / 1e6
    return abs(number_in(battery / "current_now") * number_in(battery / "voltage_now")) / 1e12
