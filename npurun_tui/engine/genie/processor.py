"""What a bundle runs on, read from its config without opening anything else: a folder of models is looked through
often."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

CPU: Final = "CPU"
PROCESSORS: Final = {"QnnHtp": "NPU", "QnnGpu": "GPU"}
"""What a backend runs on; every other one is the CPU, and is called so."""

_LARGEST: Final = 1 << 20
"""Bytes: a config has a few thousand."""


def processor_of(config: Path) -> str:
    """`NPU`, `GPU` or `CPU` by the `genie_config.json` in `config`; NPU where it cannot be read, as for most bundles.

    Loading says what is wrong with such a file; a list need not.
    """
    try:
        if config.stat().st_size > _LARGEST:
            return "NPU"
        engine = json.loads(config.read_bytes())["dialog"]["engine"]
        first = engine[0] if isinstance(engine, list) else engine
        return PROCESSORS.get(first["backend"]["type"], CPU)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return "NPU"
