"""Comparing a model's files with the hashes in its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
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


def _unwatched(_count: int) -> None:
    """Nobody wants to know how far it is."""


def _unstopped() -> None:
    """Nobody wants to stop it."""


def verify(
    model: InstalledModel,
    *,
    progress: Callable[[int], None] = _unwatched,
    check: Callable[[], None] = _unstopped,
) -> Iterator[tuple[str, Verdict]]:
    """Hash each file that the manifest has a hash of, and compare. Blocking: some 2 s for each GB.

    `progress` hears how many bytes have been hashed in all; `check` is called before each block, and what it raises
    ends the work. The Rust program may write a field's name (`model`) where a path is meant; both are understood.
    """
    hashing = _Hashing(progress, check)
    for path, expected in hashed_files(model).items():
        yield path, hashing.verdict(model, path, expected)


def hashed_files(model: InstalledModel) -> dict[str, str]:
    """Path inside the model's folder -> the hash that it should have, for all that the manifest has one of."""
    fields: dict[str, str] = asdict(model.manifest.files)
    return {fields.get(key) or key: value for key, value in model.manifest.sha256.items()}


class _Hashing:
    """One run over a model's files."""

    def __init__(self, progress: Callable[[int], None], check: Callable[[], None]) -> None:
        self._progress = progress
        self._check = check
        self._done = 0

    def verdict(self, model: InstalledModel, path: str, expected: str) -> Verdict:
        digest = hashlib.sha256()
        try:
            with (model.folder / path).open("rb") as file:
                while block := self._next(file.read):
                    digest.update(block)
        except FileNotFoundError:
            return Verdict.MISSING
        except OSError:
            return Verdict.UNREADABLE
        return Verdict.SAME if digest.hexdigest() == expected else Verdict.DIFFERS

    def _next(self, read: Callable[[int], bytes]) -> bytes:
        self._check()
        block = read(_BLOCK)
        self._done += len(block)
        self._progress(self._done)
        return block
