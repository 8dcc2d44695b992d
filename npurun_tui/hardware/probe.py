"""The probe for the system that this runs on."""

from __future__ import annotations

import sys

from npurun_tui.hardware.facts import NOT_FOUND, Hardware, fact


def probe(system: str = sys.platform) -> Hardware:
    """Ask this machine what it is (blocking; up to 20 seconds on a busy Windows, milliseconds elsewhere)."""
    if system == "win32":
        from npurun_tui.hardware.windows import probe as ask_windows

        return ask_windows()
    if system == "linux":
        from npurun_tui.hardware.linux import probe as ask_linux

        return ask_linux()
    if system == "darwin":
        from npurun_tui.hardware.macos import probe as ask_macos

        return ask_macos()
    return Hardware(fact(system), NOT_FOUND, NOT_FOUND, NOT_FOUND, NOT_FOUND)
