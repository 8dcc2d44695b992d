"""Shared libraries made on the spot, for what only a real one can do."""

from __future__ import annotations

import subprocess
from pathlib import Path


def compiled(folder: Path, body: str) -> Path:
    """A libGenie.so of the C text `body`."""
    source = folder / "library.c"
    source.write_text(f"{body}\nint nothing;\n")
    library = folder / "libGenie.so"
    command = ["cc", "-shared", "-fPIC", "-w", "-o", str(library), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return library


def genie_of(major: int, minor: int, patch: int, *, noise: str = "noise") -> str:
    """C text of a library that says its version, prints `noise` while it does, and has nothing else."""
    parts = {"Major": major, "Minor": minor, "Patch": patch}
    getters = "".join(
        f'unsigned Genie_getApi{part}Version(void) {{ puts("{noise}"); fflush(stdout); return {number}; }}\n'
        for part, number in parts.items()
    )
    return f"#include <stdio.h>\n{getters}"
