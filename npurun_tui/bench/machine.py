"""The machine that something is measured on, in words."""

from __future__ import annotations

import functools
import os
import threading
from typing import Final

from npurun_tui import __version__
from npurun_tui.bench.records import Machine

_lock: Final = threading.Lock()


def machine_facts() -> Machine:
    """This machine (blocking: milliseconds on Linux, up to 20 seconds on a busy Windows, the first time; then at once).
    What it cannot tell is empty. Only the power is asked for anew."""
    from dataclasses import replace

    with _lock:  # two callers at once would ask the system twice
        known = _lasting()
    return replace(known, power=power())


@functools.cache
def _lasting() -> Machine:
    import psutil

    from npurun_tui.hardware.probe import probe

    hardware = probe()
    driver = (hardware.driver_version.value, hardware.driver_date.value)
    return Machine(
        system=hardware.system.value or "",
        soc=hardware.soc.value or "",
        npu=hardware.npu.value or "",
        driver=" of ".join(part for part in driver if part),
        cores=psutil.cpu_count() or os.cpu_count() or 0,
        memory_mb=round(psutil.virtual_memory().total / 1e6),
        program=__version__,
    )


def power() -> str:
    """`battery`, `mains`, or empty where the machine does not say: a machine without a battery says nothing."""
    import psutil

    sensors = getattr(psutil, "sensors_battery", None)  # not there on every system
    try:
        battery = sensors() if sensors else None
    except (OSError, RuntimeError, psutil.Error):
        return ""
    if battery is None or battery.power_plugged is None:
        return ""
    return "mains" if battery.power_plugged else "battery"
