"""The Genie runtime in one line, for the workbench: found in a worker thread, once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_INPUTS: Final = ("NPURUN_GENIE_LIB", "QNN_SDK_ROOT")
"""What in the environment can lead to another runtime."""
CPU_ONLY: Final = "CPU only"


@dataclass(frozen=True, slots=True)
class RuntimeSummary:
    """What the status bar and the Models tab say."""

    words: str
    """One line: `NPU: Genie 1.21.0 (QAIRT 2.51.0), Hexagon v73`, or `CPU only: …`."""
    details: tuple[tuple[str, str], ...]
    """Labels and values."""
    ok: bool
    """True where a Genie runtime is there that opens and lacks nothing."""
    short: str
    """A few words for a narrow place: `NPU, Genie 1.21.0`, `CPU only`."""


_known: dict[tuple[str, ...], RuntimeSummary] = {}


async def runtime_summary(environ: Mapping[str, str] = os.environ) -> RuntimeSummary:
    """The runtime on this machine (a second the first time; afterwards at once). Never raises."""
    key = tuple(environ.get(name, "") for name in _INPUTS)
    if key not in _known:
        _known[key] = await asyncio.to_thread(summarise, environ)
    return _known[key]


def forget() -> None:
    """Look again at the next call: something was installed."""
    _known.clear()


def summarise(environ: Mapping[str, str] = os.environ) -> RuntimeSummary:
    """As `runtime_summary`, blocking."""
    from npurun_tui.engine.genie import discovery
    from npurun_tui.errors import EngineUnavailable
    from npurun_tui.hardware.facts import NOT_FOUND
    from npurun_tui.hardware.library import ask_library
    from npurun_tui.hardware.probe import probe
    from npurun_tui.text import one_line

    try:
        runtime = discovery.find_runtime(environ)
    except EngineUnavailable as error:
        # What somebody set by hand and is wrong is worth more than that nothing was found.
        chosen = bool(environ.get("NPURUN_GENIE_LIB"))
        said = one_line(error.message, 120) if chosen else "no Genie runtime on this machine"
        why = (("runtime", error.message), ("mend", error.mend))
        return RuntimeSummary(f"CPU only: {said}", why, ok=False, short=CPU_ONLY)
    answer = ask_library(runtime.library)
    qairt = runtime.qairt or "unknown"
    archs = " or ".join(runtime.archs)
    details: tuple[tuple[str, str], ...] = (
        ("Genie API", answer.words),
        ("QAIRT", qairt),
        ("library", one_line(str(runtime.library), 300)),
        ("found by", runtime.source),
        ("Hexagon", ", ".join(runtime.archs) or "none: stub and skel are not both there"),
        *(("problem", problem) for problem in runtime.problems),
    )
    if answer.version is None:
        return RuntimeSummary(
            "CPU only: the Genie library does not open", details, ok=False, short=CPU_ONLY
        )
    if not runtime.archs:
        words = f"CPU: Genie {answer.words} without an NPU's libraries"
        short = f"CPU, Genie {answer.words}"
        return RuntimeSummary(words, details, ok=not runtime.problems, short=short)
    if probe().npu == NOT_FOUND:
        words = f"CPU only: Genie {answer.words} is here, a Snapdragon NPU is not"
        return RuntimeSummary(words, details, ok=False, short=CPU_ONLY)
    device = f", Hexagon {runtime.arch or archs}" if len(runtime.archs) < 3 else ""
    words = f"NPU: Genie {answer.words} (QAIRT {qairt}){device}"
    short = f"NPU, Genie {answer.words}"
    return RuntimeSummary(words, details, ok=not runtime.problems, short=short)
