"""The sections of `doctor`: each looks at one part of the inventory and says what is missing and what mends it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from npurun_tui import units
from npurun_tui.commands.findings import Finding, Section, Sign
from npurun_tui.engine.genie import discovery
from npurun_tui.engine.genie.binary import ARM64
from npurun_tui.engine.genie.machine import NATIVE_PYTHON
from npurun_tui.errors import EngineLoadFailed, ModelError
from npurun_tui.hardware.chips import chip_of
from npurun_tui.hardware.inventory import CPU_ENGINE, Inventory
from npurun_tui.models.store import InstalledModel, ModelStore

NO_NPU: Final = "no Snapdragon NPU here: models run on the CPU"
OLDEST_DRIVER: Final = (30, 0, 140)
"""The oldest NPU driver that Windows' own machine learning runtime supports."""

_UNPACK: Final = (
    "Unpack the QAIRT SDK again, whole, or remove it: then the wheel's library is used."
)
_MENDS_OF_A_SOURCE: Final = {
    discovery.EXPLICIT: "Set NPURUN_GENIE_LIB to another library, or unset it.",
    discovery.WHEEL: "`pip install --force-reinstall onnxruntime-qnn` brings one that opens.",
}
"""What helps where a library does not open."""

_NEWEST_API: Final = (1, 21, 0)
"""What bundles are judged by where no runtime says its version."""


def examine(inventory: Inventory, store: ModelStore) -> tuple[Section, ...]:
    """All sections."""
    sections = [
        Section("machine", "Machine", tuple(_machine(inventory))),
        Section("npu", "NPU", tuple(_npu(inventory))),
        Section("runtime", "Runtime", tuple(_runtime(inventory))),
        Section("defects", "Known defects of this release", tuple(_defects(inventory))),
        Section("cpu_engine", "CPU engine", tuple(_cpu(inventory))),
        Section("models", "Models", tuple(_models(inventory, store))),
    ]
    return tuple(section for section in sections if section.findings)


def _machine(inventory: Inventory) -> Iterator[Finding]:
    hardware, machine = inventory.hardware, inventory.machine
    yield Finding("system", "system", hardware.system.text, _notice_unless(hardware.system.found))
    yield Finding("soc", "processor", hardware.soc.text, _notice_unless(hardware.soc.found))
    words = f"{platform.python_version()} for {machine.words}"
    if machine.emulated:
        yield Finding(
            "python",
            "Python",
            f"{words}: it cannot open the NPU's libraries",
            Sign.FAULT,
            NATIVE_PYTHON,
        )
    else:
        yield Finding("python", "Python", words)


def _npu(inventory: Inventory) -> Iterator[Finding]:
    hardware = inventory.hardware
    if not hardware.npu.found:
        asked = hardware.npu.text == "not found"
        words = NO_NPU if asked else f"it {hardware.npu.text}"
        yield Finding("device", "device", words, Sign.NOTICE)
        return
    chip = chip_of(hardware.npu.text, hardware.soc.text)
    arch = f", by its name a Hexagon {chip.arch}" if chip else ""
    yield Finding("device", "device", f"{hardware.npu.text}{arch}")
    if hardware.npu_blocked:
        yield Finding("access", "access", "it cannot be used", Sign.FAULT, hardware.npu_blocked)
    words = hardware.driver_version.text
    if hardware.driver_date.found:
        words += f"  ({hardware.driver_date.text})"
    old = (
        _version(hardware.driver_version.text) < OLDEST_DRIVER
        and inventory.machine.system == "win32"
    )
    sign = Sign.NOTICE if old or not hardware.driver_version.found else Sign.GOOD
    mend = "Windows Update, Advanced options, Optional updates: the Qualcomm NPU driver."
    yield Finding("driver", "driver", words, sign, mend if old else "")


def _runtime(inventory: Inventory) -> Iterator[Finding]:
    runtime, answer = inventory.runtime, inventory.answer
    if runtime is None or answer is None:
        yield _no_runtime(inventory)
    else:
        opens = answer.version is not None
        mend = "" if opens else _MENDS_OF_A_SOURCE.get(runtime.source, _UNPACK)
        yield Finding("genie", "Genie API", answer.words, _fault_unless(opens), mend)
        yield Finding(
            "qairt",
            "QAIRT",
            runtime.qairt or "unknown: nothing beside the library says it",
            _notice_unless(bool(runtime.qairt)),
        )
        yield Finding("library", "library", str(runtime.library))
        yield Finding("source", "found by", runtime.source)
        if runtime.archs:
            places = dict.fromkeys(str(skel.parent) for skel in runtime.skels)
            words = f"{', '.join(runtime.archs)} (stub and skel)  {', '.join(places)}"
            yield Finding("hexagon", "Hexagon", words)
        for problem in runtime.problems:
            words, _, mend = problem.partition(". ")
            yield Finding("problem", "missing", words, Sign.FAULT, mend)
    said = inventory.unavailable.message if inventory.unavailable else ""
    for candidate in inventory.candidates:
        if candidate.runtime is None:
            wanted = inventory.has_npu or candidate.source != discovery.WHEEL
            if wanted and candidate.reason != said:
                yield Finding("looked", candidate.source, candidate.reason, Sign.NOTICE)
        elif candidate.runtime != runtime:
            yield Finding("also", "also here", f"{candidate.runtime.library}  ({candidate.source})")


def _no_runtime(inventory: Inventory) -> Finding:
    error = inventory.unavailable
    if not inventory.has_npu and inventory.machine.python != ARM64 and not _named():
        return Finding("genie", "Genie", "not here, and not needed without an NPU")
    message, mend = (error.message, error.mend) if error else ("not found", "")
    return Finding("genie", "Genie", message, Sign.FAULT, mend)


def _named() -> bool:
    return bool(os.environ.get("NPURUN_GENIE_LIB"))


def _defects(inventory: Inventory) -> Iterator[Finding]:
    if inventory.answer is None or inventory.answer.version is None or inventory.runtime is None:
        return
    from npurun_tui.engine.genie.rules import known_defects

    for rule in known_defects(inventory.answer.version, inventory.runtime.qairt):
        if inventory.runtime.archs or not rule.htp_only:
            yield Finding(rule.id, rule.id, rule.title, Sign.NOTICE, rule.workaround)


def _cpu(inventory: Inventory) -> Iterator[Finding]:
    found = inventory.cpu_engine.found
    words, mend = f"{CPU_ENGINE} {inventory.cpu_engine.text}", ""
    if not found:
        mend = "`pip install xllamacpp` brings it."
        if inventory.machine.system == "win32" and inventory.machine.python == ARM64:
            mend = "Nothing to do: it is not published for Windows on ARM64; models for the NPU run without it."
    yield Finding("llama_cpp", "llama.cpp", words, _notice_unless(found), mend)


def _models(inventory: Inventory, store: ModelStore) -> Iterator[Finding]:
    try:
        installed, broken = store.scan()
    except ModelError as error:
        yield Finding("folder", "folder", error.message, Sign.FAULT, error.mend)
        return
    words = f"{store.root}  ({units.count(len(installed), 'model')})"
    yield Finding("folder", "folder", words)
    if not installed and not broken:
        mend = "`npurun-tui list` shows what can be pulled."
        yield Finding("none", "none", "no model is installed", Sign.NOTICE, mend)
    version = (inventory.answer and inventory.answer.version) or _NEWEST_API
    for model in installed:
        if (finding := _model(model, version)) is not None:
            yield finding
    for damaged in broken:
        mend = f"`npurun-tui rm {damaged.name}`, then `npurun-tui pull {damaged.name}`."
        yield Finding(f"model:{damaged.name}", damaged.name, damaged.reason, Sign.FAULT, mend)
    for name, size in store.partials().items():
        words = f"an unfinished download ({units.size(size)} are here)"
        mend = f"`npurun-tui pull {name}` goes on with it."
        yield Finding(f"partial:{name}", name, words, Sign.NOTICE, mend)


def _model(model: InstalledModel, version: tuple[int, int, int]) -> Finding | None:
    """What is wrong with a bundle; None where nothing is, and for GGUF files, which `scan` has looked at."""
    if model.manifest.backend != "genie":
        return None
    from npurun_tui.engine.genie.bundle import read_bundle

    try:
        read_bundle(Path(model.folder / model.manifest.files.main).absolute(), version)
    except (ModelError, EngineLoadFailed) as error:
        return Finding(f"model:{model.name}", model.name, error.message, Sign.FAULT, error.mend)
    return None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isascii() and part.isdigit())


def _notice_unless(good: bool) -> Sign:
    return Sign.GOOD if good else Sign.NOTICE


def _fault_unless(good: bool) -> Sign:
    return Sign.GOOD if good else Sign.FAULT
