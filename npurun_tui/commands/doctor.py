"""`doctor`: what is here, what is missing, and the exact command that mends it."""

from __future__ import annotations

import sys
from typing import Any

from npurun_tui import __version__, units
from npurun_tui.commands.examination import NO_NPU, examine
from npurun_tui.commands.findings import Section, Sign, write_sections
from npurun_tui.commands.measurable import measurable
from npurun_tui.commands.tables import write_json, write_line
from npurun_tui.commands.version import document as version_document
from npurun_tui.hardware.inventory import Inventory, gather
from npurun_tui.models.store import ModelStore
from npurun_tui.settings import Paths, Settings

STRICT_STATUS = 1


def doctor(paths: Paths, settings: Settings, *, json: bool, strict: bool, prove: str) -> int:
    """Print the examination and, with `prove`, whether that model runs on the NPU.

    The status is 0; with `strict` it is 1 unless the NPU can be used, nothing is at fault, and the proof succeeded.

    Raises:
        ModelError, EngineError: the model to prove cannot be loaded.
    """
    store = ModelStore(paths.models)
    model = store.get(prove) if prove else None
    inventory = gather()
    sections = [*examine(inventory, store), measurable()]
    if not json:
        write_sections(sections)
    proof = None
    if model is not None:
        from npurun_tui.commands import proving
        from npurun_tui.engine.engine import Engine

        if not json and sys.stderr.isatty():
            sys.stderr.write(f"\nLoading {model.name} ({units.size(model.size)}) ...\n")
        proof = proving.prove(
            model,
            store,
            inventory,
            lambda: Engine(
                log=paths.engine_log,
                load_timeout=settings.load_timeout,
                answer_timeout=settings.answer_timeout,
            ),
        )
    good = usable(inventory, sections) and (proof is None or proof.proven)
    if json:
        document = report(inventory, sections)
        document["proof"] = proof.to_json() if proof else None
        write_json(document)
    elif proof is not None:
        write_line()
        write_sections([proof.section()])
    else:
        write_line(f"\n{conclusion(inventory, sections)}")
    return STRICT_STATUS if strict and not good else 0


def usable(inventory: Inventory, sections: list[Section]) -> bool:
    """True where there is an NPU and nothing is at fault."""
    return inventory.has_npu and not faults(sections)


def faults(sections: list[Section]) -> int:
    """How many lines are faults."""
    return sum(f.sign is Sign.FAULT for section in sections for f in section.findings)


def conclusion(inventory: Inventory, sections: list[Section]) -> str:
    """The last line."""
    count = faults(sections)
    found = f"{units.count(count, 'fault')} found" if count else "Nothing is at fault"
    if inventory.has_npu:
        return f"{found}."
    return f"{found}; {NO_NPU if inventory.hardware.npu.text == 'not found' else 'the NPU is not known'}."


def report(inventory: Inventory, sections: list[Section]) -> dict[str, Any]:
    """The examination for programs."""
    return {
        "npurun_tui": __version__,
        "usable_npu": usable(inventory, sections),
        "faults": faults(sections),
        "machine": version_document(inventory),
        "sections": {
            section.key: [finding.to_json() for finding in section.findings] for section in sections
        },
    }
