"""macOS: the processor's name. No Mac has a Hexagon."""

from __future__ import annotations

import platform

from npurun_tui.hardware.facts import NOT_FOUND, Hardware, Silent, ask, fact, unasked


def probe() -> Hardware:
    """Ask this machine (milliseconds)."""
    try:
        soc = fact(ask(("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"), 5))
    except Silent as error:
        soc = unasked(str(error))
    system = fact(f"macOS {platform.mac_ver()[0]}")
    return Hardware(system, soc, NOT_FOUND, NOT_FOUND, NOT_FOUND)
