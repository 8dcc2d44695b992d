"""`version`: the program and everything below it that has a version, and where each was found."""

from __future__ import annotations

import platform
import sys
from typing import Any

from npurun_tui import __version__
from npurun_tui.commands.tables import write_facts, write_json
from npurun_tui.hardware.inventory import CPU_ENGINE, Inventory, gather
from npurun_tui.text import one_line


def version(*, json: bool) -> int:
    """Print it; 0 whatever is missing, which the words say."""
    inventory = gather()
    if json:
        write_json(document(inventory))
    else:
        write_facts([(label, one_line(words, 400)) for label, words in facts(inventory)])
    return 0


def facts(inventory: Inventory) -> list[tuple[str, str]]:
    """Labels and words."""
    hardware, runtime, answer = inventory.hardware, inventory.runtime, inventory.answer
    driver = hardware.driver_version.text
    if hardware.driver_date.found:
        driver += f"  ({hardware.driver_date.text})"
    return [
        ("npurun-tui", __version__),
        ("Python", f"{platform.python_version()}, {inventory.machine.words}  ({sys.executable})"),
        ("system", hardware.system.text),
        ("SoC", hardware.soc.text),
        ("NPU", hardware.npu.text),
        ("NPU driver", driver if hardware.npu.found else ""),
        ("Genie API", answer.words if answer else "no runtime on this machine"),
        ("QAIRT", (runtime.qairt or "unknown") if runtime else ""),
        ("library", f"{runtime.library}  ({runtime.source})" if runtime else ""),
        ("Hexagon", ", ".join(runtime.archs) if runtime else ""),
        ("CPU engine", f"{CPU_ENGINE} {inventory.cpu_engine.text}"),
    ]


def document(inventory: Inventory) -> dict[str, Any]:
    """The same for programs."""
    hardware = inventory.hardware
    return {
        "npurun_tui": __version__,
        "python": {
            "version": platform.python_version(),
            "architecture": inventory.machine.python,
            "machine": inventory.machine.native,
            "executable": sys.executable,
        },
        "system": hardware.system.value,
        "soc": hardware.soc.value,
        "npu": hardware.npu.value,
        "driver_version": hardware.driver_version.value,
        "driver_date": hardware.driver_date.value,
        "genie": genie_document(inventory),
        "cpu_engine": {"name": CPU_ENGINE, "version": inventory.cpu_engine.value},
    }


def genie_document(inventory: Inventory) -> dict[str, Any] | None:
    """The runtime for programs; None where there is none."""
    runtime, answer = inventory.runtime, inventory.answer
    if runtime is None or answer is None:
        return None
    return {
        "api": answer.words if answer.version else None,
        "error": answer.error or None,
        "qairt": runtime.qairt or None,
        "library": str(runtime.library),
        "source": runtime.source,
        "hexagon": list(runtime.archs),
        "skels": [str(skel) for skel in runtime.skels],
        "problems": list(runtime.problems),
    }
