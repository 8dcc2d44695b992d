"""Why a bundle was not loaded: Genie's own text, and the mend that belongs to it.

`GenieDialog_create` answers everything with -1. What is wrong stands on stderr, where Genie and QNN below it print
numbers that mean one thing each (published device reports, and the real library's own texts as it was asked).
"""

from __future__ import annotations

import re
from typing import Final

from npurun_tui.engine.dialog import GenieError, Status
from npurun_tui.errors import EngineLoadFailed
from npurun_tui.text import one_line

OTHER_CONFIG: Final = (
    "Correct the bundle's genie_config.json: it was changed, or made for another version of Genie."
)
_OTHER_CHIP: Final = (
    "The bundle was compiled for another chip, or for a newer runtime: `npurun-tui doctor` shows this machine's; "
    "pull the variant for it, or `pip install --upgrade onnxruntime-qnn` and update the NPU driver."
)
_MENDS: Final[tuple[tuple[str, str], ...]] = (
    (
        r"runs on the CPU only",
        "The bundle is made for the NPU: unset NPURUN_GENIE_LIB, which names a library for the CPU, or choose a model "
        "for the CPU.",
    ),
    (r"\b(5005|30001)\b|create context from binary", _OTHER_CHIP),
    (
        r"\b14001\b|\b4000\b",
        "The DSP's part of the runtime (the skel) was not found or does not fit this chip: `npurun-tui doctor` says "
        "where it was looked for.",
    ),
    (
        r"\b1002\b|\b1007\b|[Mm]emory alloc",
        "The NPU is out of memory: end other programs that use it, or choose a smaller model.",
    ),
    (
        r"system interface|QnnSystem",
        "QnnSystem must lie beside the Genie library: `pip install --force-reinstall onnxruntime-qnn` puts it there.",
    ),
    (
        r"QnnHtp|backend library|[Uu]nable to load (backend|library)",
        "A library of the runtime is missing beside Genie: `npurun-tui doctor` names it.",
    ),
    (
        r"[Uu]nknown .*key|[Ii]nvalid .*config|schema",
        OTHER_CONFIG,
    ),
    (
        r"must be number",
        "The bundle's genie_config.json lacks `kv-dim` (the head size) in QnnHtp.",
    ),
    (
        r"[Cc]an't access model file|[Ff]ailed to open",
        "A file of the bundle is missing; put it back, or pull the model again with --force.",
    ),
)

_CONFIG: Final = frozenset(
    {Status.ERROR_JSON_FORMAT, Status.ERROR_JSON_SCHEMA, Status.ERROR_JSON_VALUE}
)


def load_failed(name: str, error: GenieError) -> EngineLoadFailed:
    """The failure to load the model `name`, in Genie's words and with the mend."""
    words = one_line(error.detail.removeprefix(f"{error.call}: "), 400).rstrip(". ")
    words = words or f"status {error.status.value} without a reason"
    mend = next(
        (mend for pattern, mend in _MENDS if re.search(pattern, error.detail)),
        "`npurun-tui doctor` checks runtime, driver and bundle; the engine log has all of it.",
    )
    if error.status in _CONFIG:
        return EngineLoadFailed(
            f"Genie refuses the config of {one_line(name)}: {words} ({error.status.value}).",
            mend=OTHER_CONFIG,
        )
    return EngineLoadFailed(f"Genie could not load {one_line(name)}: {words}.", mend=mend)
