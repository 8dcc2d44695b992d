"""Whether a model can run on this machine, in one sentence, before gigabytes of it are fetched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.models.catalog import CatalogEntry

if TYPE_CHECKING:
    from npurun_tui.hardware.chips import Chip
    from npurun_tui.hardware.inventory import Inventory
    from npurun_tui.models.store import InstalledModel

_SPARE: Final = 1.1
"""Memory that a model takes, as a multiple of its files: they are held, and the KV cache comes on top."""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What of this machine decides whether a model runs."""

    hexagons: tuple[str, ...]
    """What bundles may be compiled for to run here; empty where no NPU can be used."""
    why_no_npu: str
    """A sentence; empty where there is one."""
    qairt: str
    """The release of the runtime that was found; empty where that is not known."""
    cpu_engine: bool
    """llama.cpp is installed."""
    memory: int
    """All of it, in bytes."""
    npu_known: bool = True
    """False where `hexagons` is what the runtime could serve, and nothing says which of them is here."""


@dataclass(frozen=True, slots=True)
class Fit:
    """`words` is one sentence that says why it runs here or why not."""

    runs: bool
    words: str
    sure: bool = True
    """False where nothing that is known speaks against it, and not enough is known to say that it runs."""


def fit(entry: CatalogEntry, machine: MachineFacts) -> Fit:
    """Whether `entry`, in the variant for this machine, can run on it."""
    entry = entry.suited(machine.hexagons)
    if entry.installed_size * _SPARE > machine.memory:
        return _too_large(entry.installed_size, machine)
    return _on_cpu(machine) if entry.backend == "llama.cpp" else _on_npu(entry, machine)


def fit_of_installed(model: InstalledModel, machine: MachineFacts) -> Fit:
    """As `fit`, for a model that no catalog has: its manifest does not say which Hexagon it was compiled for."""
    if model.size * _SPARE > machine.memory:
        return _too_large(model.size, machine)
    if model.manifest.backend == "llama.cpp":
        return _on_cpu(machine)
    if model.processor != "NPU":
        words = f"It is made for Genie on the {model.processor}; loading it shows whether it runs."
        return Fit(runs=True, words=words, sure=False)
    if not machine.hexagons:
        return Fit(runs=False, words=f"It needs a Snapdragon's NPU. {machine.why_no_npu}".strip())
    have = " or ".join(machine.hexagons)
    return Fit(
        runs=True,
        words=f"The NPU here is a Hexagon {have}; the model does not say which one it is for.",
        sure=False,
    )


def fit_here(
    model: InstalledModel, known: Mapping[str, CatalogEntry], machine: MachineFacts
) -> Fit:
    """As the catalog has it, which knows for which Hexagon its models were compiled; else by the manifest."""
    entry = known.get(model.name)
    return fit_of_installed(model, machine) if entry is None else fit(entry, machine)


def _too_large(size: int, machine: MachineFacts) -> Fit:
    needed = int(size * _SPARE)
    have = units.size(machine.memory)
    words = f"It needs some {units.size(needed)} of memory; this machine has {have}."
    return Fit(runs=False, words=words)


def _on_cpu(machine: MachineFacts) -> Fit:
    if machine.cpu_engine:
        return Fit(runs=True, words="It runs here, on the CPU.")
    return Fit(runs=False, words="llama.cpp, which it runs on, has no build for this machine.")


def _on_npu(entry: CatalogEntry, machine: MachineFacts) -> Fit:
    if not machine.hexagons:
        return Fit(runs=False, words=f"It needs a Snapdragon's NPU. {machine.why_no_npu}".strip())
    have = " or ".join(machine.hexagons)
    if not entry.hexagon:
        words = f"The NPU here is a Hexagon {have}; its catalog does not say which one it is for."
        return Fit(runs=True, words=words, sure=False)
    if entry.hexagon not in machine.hexagons:
        made = " or ".join(entry.hexagons)
        words = f"It is compiled for Hexagon {made}; this machine's NPU is a {have}."
        return Fit(runs=False, words=words)
    if not machine.npu_known:
        words = f"It is compiled for Hexagon {entry.hexagon}; what this machine has ({have}) is not known."
        return Fit(runs=True, words=words, sure=False)
    if older := _older(machine.qairt, entry.qnn_sdk):
        return Fit(
            runs=True,
            words=f"It is made for the NPU here, but with QAIRT {entry.qnn_sdk}, newer than the {older} found.",
            sure=False,
        )
    return Fit(runs=True, words=f"It runs here, on the NPU (Hexagon {entry.hexagon}).")


def _older(runtime: str, made_with: str) -> str:
    """`runtime` where it is older than what the bundle was made with (patch releases aside), else empty."""
    here, there = _minor(runtime), _minor(made_with)
    return runtime if here and there and here < there else ""


def _minor(version: str) -> tuple[int, int] | None:
    parts = version.split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return None
    return int(parts[0]), int(parts[1])


@lru_cache(maxsize=1)
def machine_facts() -> MachineFacts:
    """This machine, asked once. Blocking: half a second on Linux, up to 20 on a busy Windows. Never raises."""
    return examine(os.environ)


def examine(environ: Mapping[str, str]) -> MachineFacts:
    """As `machine_facts`, asking each time."""
    import psutil

    from npurun_tui.hardware.inventory import gather

    return facts_of(gather(environ), psutil.virtual_memory().total)


def facts_of(found: Inventory, memory: int) -> MachineFacts:
    """What `found` means for models; `memory` in bytes."""
    from npurun_tui.hardware.chips import chip_of
    from npurun_tui.hardware.facts import NOT_FOUND

    runtime, hardware = found.runtime, found.hardware
    silent = not found.has_npu and hardware.npu != NOT_FOUND  # the system did not answer
    chip = chip_of(hardware.soc.text, hardware.npu.text)
    hexagons = runtime.archs if runtime else ()
    why = ""
    if not found.has_npu and not (silent and hexagons):
        hexagons = ()
        why = "Whether there is one here is not known." if silent else "None was found here."
    elif runtime is None:
        why = found.unavailable.message if found.unavailable else "No Genie runtime was found here."
    elif not hexagons:
        why = "The Genie runtime that was found has no libraries for an NPU."
    elif chip is not None:
        # With another Hexagon's libraries the runtime would find nothing to load on this one.
        hexagons = (chip.arch,) if chip.arch in hexagons else ()
        why = "" if hexagons else _without(chip)
    return MachineFacts(
        hexagons=hexagons,
        why_no_npu=why,
        qairt=runtime.qairt if runtime else "",
        cpu_engine=found.cpu_engine.found,
        memory=memory,
        npu_known=chip is not None or (found.has_npu and len(hexagons) < 2),
    )


def _without(chip: Chip) -> str:
    return (
        f"The Genie runtime that was found has no libraries for Hexagon {chip.arch}, which a {chip.name} has: "
        "a newer one may."
    )
