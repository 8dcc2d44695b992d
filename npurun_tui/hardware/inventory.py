"""Everything that `version` and `doctor` report, gathered once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata

from npurun_tui.engine.genie import discovery
from npurun_tui.engine.genie.discovery import Candidate, Runtime
from npurun_tui.engine.genie.machine import Machine, this_machine
from npurun_tui.errors import EngineUnavailable
from npurun_tui.hardware.facts import Fact, Hardware
from npurun_tui.hardware.library import Answer, ask_library
from npurun_tui.hardware.probe import probe

CPU_ENGINE = "xllamacpp"


@dataclass(frozen=True, slots=True)
class Inventory:
    """This machine and what runs models on it."""

    machine: Machine
    hardware: Hardware
    candidates: tuple[Candidate, ...]
    runtime: Runtime | None
    unavailable: EngineUnavailable | None
    """Why there is no runtime."""
    answer: Answer | None
    """What the runtime's library says of itself; None where there is no runtime."""
    cpu_engine: Fact
    """The version of xllamacpp, or that it is not installed."""

    @property
    def has_npu(self) -> bool:
        """True where an NPU was seen."""
        return self.hardware.npu.found


def gather(environ: Mapping[str, str] = os.environ) -> Inventory:
    """Ask the machine (blocking: half a second on Linux, up to 20 on a busy Windows). Never raises."""
    machine = this_machine()
    looked = discovery.candidates(environ, machine)
    runtime, unavailable = None, None
    try:
        runtime = discovery.find_runtime(environ, machine)
    except EngineUnavailable as error:
        unavailable = error
    with ThreadPoolExecutor(1) as pool:
        hardware = pool.submit(probe)
        answer = ask_library(runtime.library) if runtime else None
        return Inventory(
            machine, hardware.result(), looked, runtime, unavailable, answer, cpu_engine()
        )


def cpu_engine() -> Fact:
    """The installed llama.cpp; it is not imported, which takes a second."""
    try:
        return Fact(metadata.version(CPU_ENGINE))
    except metadata.PackageNotFoundError:
        return Fact("not installed", found=False)
