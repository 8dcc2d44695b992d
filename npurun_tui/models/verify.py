"""Comparing a model's files with the hashes in its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from typing import Final

from npurun_tui.models.store import InstalledModel

_BLOCK: Final = 1 << 20


class Verdict(StrEnum):
    """What became of one file."""

    SAME = "same"
    DIFFERS = "differs"
    MISSING = "missing"
    UNREADABLE = "unreadable"


def verify(model: InstalledModel) -> Iterator[tuple[str, Verdict]]:
    """Hash each file that the manifest has a hash of, and compare. Blocking: some 2 s for each GB.

    The Rust program may write a field's name (`model`) where a path is meant; both are understood.
    """
    fields: dict[str, str] = asdict(model.manifest.files)
    for key, expected in model.manifest.sha256.items():
        path = fields.get(key) or key
        yield path, _verdict(model, path, expected)


def _verdict(model: InstalledModel, path: str, expected: str) -> Verdict:
    digest = hashlib.sha256()
    try:
        with (model.folder / path).open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except FileNotFoundError:
        return Verdict.MISSING
    except OSError:
        return Verdict.UNREADABLE
    return Verdict.SAME if digest.hexdigest() == expected else Verdict.DIFFERS
