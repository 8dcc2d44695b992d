"""Comparing a model's files with the hashes in its manifest."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

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
    found = {fields.get(key) or key: value for key, value in model.manifest.sha256.items()}
    if model.manifest.hash_origin:  # ours
        return found
    # The Rust program's pull keeps the hash of the archive, which it deletes, under a name that is no file's.
    return {path: value for path, value in found.items() if _names_a_file(model, path)}


def _names_a_file(model: InstalledModel, path: str) -> bool:
    """False for a bare word that is neither a file of the model nor one that its manifest says it has."""
    return (
        "/" in path
        or path in asdict(model.manifest.files).values()
        or os.path.lexists(model.folder / path)
    )


def covers_main(model: InstalledModel) -> bool:
    """Whether the file that the engine opens first is among those that the manifest has a hash of."""
    return model.manifest.files.main in hashed_files(model)


def _open(path: Path) -> BinaryIO:
    """The file at `path`, if it is one: opening a named pipe would wait for ever. Raises OSError."""
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError("it is not a file")
    return file


class _Hashing:
    """One run over a model's files."""

    def __init__(self, progress: Callable[[int], None], check: Callable[[], None]) -> None:
        self._progress = progress
        self._check = check
        self._done = 0

    def verdict(self, model: InstalledModel, path: str, expected: str) -> Verdict:
        digest = hashlib.sha256()
        try:
            with _open(model.folder / path) as file:
                while block := self._next(file.read):
                    digest.update(block)
        except FileNotFoundError:
            return Verdict.MISSING
        except (OSError, ValueError):
            return Verdict.UNREADABLE
        return Verdict.SAME if digest.hexdigest() == expected else Verdict.DIFFERS

    def _next(self, read: Callable[[int], bytes]) -> bytes:
        self._check()
        block = read(_BLOCK)
        self._done += len(block)
        self._progress(self._done)
        return block
