"""The library with Genie's interface on the CPU, built once for all tests of a machine."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import platformdirs
from filelock import FileLock

import npurun_tui.engine.genie.declarations
import npurun_tui.genie_abi
from npurun_tui.genie_abi.build import build, file_name


def built_library() -> Path:
    """Its path; built where the C part has changed since. `NPURUN_ABI_API` chooses the version that it claims."""
    sources = [
        Path(npurun_tui.engine.genie.declarations.__file__),
        *sorted(Path(npurun_tui.genie_abi.__file__).parent.glob("[bc]*.py")),
    ]
    digest = hashlib.sha256(f"{sys.version} {sys.prefix}".encode())
    for source in sources:
        digest.update(source.read_bytes())
    base = platformdirs.user_cache_path("npurun-tui", appauthor=False) / "test-abi"
    folder = base / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        file = folder / file_name()
        return file if file.exists() else build(folder, "1.21")
