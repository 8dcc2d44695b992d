"""What lies in the models' folder and could become a model: other programs find files there, so people put some in."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from npurun_tui.files import typed
from npurun_tui.models.bundles import CONFIG
from npurun_tui.models.manifest import FILE_NAME
from npurun_tui.models.names import fault_of_name


@dataclass(frozen=True, slots=True)
class Convertible:
    """A bundle's folder or a GGUF file without a manifest, and the command line that makes a model of it."""

    path: Path
    command: str


def convertible(root: Path) -> list[Convertible]:
    """All of them directly in `root`, by name. Looks at names only; what cannot be read is none. Blocking."""
    found = []
    with suppress(OSError), os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if entry.name.startswith("."):
                continue
            if _is_gguf(entry) or (entry.is_dir() and _may_be_one(Path(entry.path))):
                found.append(Convertible(Path(entry.path), _command(entry)))
    return found


def _is_gguf(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(".gguf") and entry.is_file()


def _may_be_one(folder: Path) -> bool:
    with suppress(OSError), os.scandir(folder) as entries:
        inside = {entry.name: entry for entry in entries}
        if FILE_NAME not in inside:
            return CONFIG in inside or any(_is_gguf(entry) for entry in inside.values())
    return False


def _command(entry: os.DirEntry[str]) -> str:
    """A folder stays where it lies, where its name can be a model's."""
    stays = entry.is_dir() and not fault_of_name(entry.name)
    how = "--in-place" if stays else "--move"
    return f"npurun-tui convert manifest {typed(entry.path)} {how}"
