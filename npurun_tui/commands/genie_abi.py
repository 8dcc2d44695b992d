"""`genie-abi build`: the library with Genie's interface, for the CPU."""

from __future__ import annotations

from pathlib import Path

from npurun_tui.commands.speaking import say
from npurun_tui.genie_abi.build import build as build_library


def build(out: Path, api: str) -> int:
    """Compile it into `out` and print its path; returns the exit status.

    Raises:
        EngineUnavailable, NpurunError: it cannot be built; the text says why.
    """
    say(f"[compiling for Genie API {api}]")
    print(build_library(out, api))  # noqa: T201 - the path is what scripts read
    return 0
