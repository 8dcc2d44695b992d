"""Bringing a model's files to where they are hashed and kept: copied, or linked where they lie on the same volume.

A source folder is somebody else's, so nothing in it is followed: a symbolic link could bring any file of this machine
into the model, a pipe would never end.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from npurun_tui.errors import ModelError, ModelFileDamaged
from npurun_tui.files import sync_folder
from npurun_tui.models.names import fault_of_relative_path
from npurun_tui.text import one_line

BLOCK: Final = 1 << 20
_MOST: Final = 9_000
"""Files; a manifest takes 10,000 hashes."""
_DEEPEST: Final = 16
_LINKED: Final = 1 << 20
"""Bytes from which a file is linked; smaller ones are copied, as configs may be changed here or there."""
_SURROGATE: Final = 0x20000000
"""The bit of a reparse tag that says so (`IsReparseTagNameSurrogate` in the Windows SDK)."""
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Item:
    """One file of the source. `name` is its path below the source, forward slashes; `size` is in bytes."""

    name: str
    path: Path
    size: int
    changed: int = 0
    """When it was last written to, in ns since 1970, as it was listed."""
    linked: bool = False
    """The source named a link to it."""

    @property
    def untouched(self) -> bool:
        """Whether what lies there is still what was listed."""
        facts = self.path.lstat()
        return (facts.st_size, facts.st_mtime_ns) == (self.size, self.changed)


def items_below(folder: Path) -> list[Item]:
    """The files in `folder` and below, by name. Hidden ones, which no bundle has, are left out.

    Raises:
        ModelFileDamaged: a link, a special file, or a name that cannot be a model file's is among them.
        OSError: it cannot be read.
    """
    found = sorted(_walk(folder, "", 0), key=lambda item: item.name)
    if len(found) > _MOST:
        raise ModelFileDamaged(f"{one_line(str(folder), 300)} holds more than {_MOST:,} files.")
    return found


def item_of(file: Path) -> Item:
    """The one file of a model that has one. Raises as `items_below`."""
    target = file.resolve()  # the user named it, so where a link leads is meant
    item = _item(target, file.name, target.lstat())
    return replace(item, linked=target != file.absolute())


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[Item]:
    if depth > _DEEPEST:
        raise ModelFileDamaged(f"{one_line(str(folder), 300)} is nested too deeply.")
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            name, path = prefix + entry.name, folder / entry.name
            if entry.is_dir(follow_symlinks=False) and not is_link(path):
                yield from _walk(path, f"{name}/", depth + 1)
            else:
                yield _item(path, name, path.lstat())


def is_link(folder: Path) -> bool:
    """Whether `folder` stands for another one: a link, or a junction, which Python calls a folder on Windows."""
    facts = folder.lstat()
    return stat.S_ISLNK(facts.st_mode) or stands_for_another(getattr(facts, "st_reparse_tag", 0))


def stands_for_another(tag: int) -> bool:
    """Whether Windows's reparse `tag` is a link's or a junction's: one in OneDrive has one too."""
    return bool(tag & _SURROGATE)


def _item(path: Path, name: str, facts: os.stat_result) -> Item:
    shown = one_line(repr(name), 200)
    if stat.S_ISLNK(facts.st_mode):
        raise ModelFileDamaged(
            f"{shown} in the source is a link, and links are not followed.",
            mend="Put the file itself there.",
        )
    if not stat.S_ISREG(facts.st_mode):
        raise ModelFileDamaged(f"{shown} in the source is no regular file.", mend="Remove it.")
    if fault := fault_of_relative_path(name):
        raise ModelFileDamaged(
            f"{shown} in the source cannot be a model file's name: it {fault}.", mend="Rename it."
        )
    return Item(name, path, facts.st_size, facts.st_mtime_ns)


class Transfer:
    """One run over the files of a model. `progress` hears `(bytes done, bytes in all)`; what `check` raises ends it."""

    def __init__(
        self, total: int, progress: Callable[[int, int], None], check: Callable[[], None]
    ) -> None:
        self._total = total
        self._done = 0
        self._progress = progress
        self._check = check

    def copy(self, item: Item, target: Path) -> str:
        """Copy durably; the sha256 of what was written, as 64 hex digits. Raises ModelFileDamaged, OSError."""
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("xb") as file:
            for block in self._blocks(item):
                digest.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        return digest.hexdigest()

    def link(self, item: Item, target: Path) -> str:
        """Link a large file, copy a small one; its sha256. Raises ModelError where the volume has no links."""
        if item.size < _LINKED:
            return self.copy(item, target)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(item.path, target, follow_symlinks=False)
        except (OSError, NotImplementedError) as error:
            raise ModelError(
                f"{one_line(item.name, 200)} cannot be linked into the models' folder: {_why(error)}.",
                mend="Links need one volume that has them; use --copy.",
            ) from error
        return self.hash(replace(item, path=target))

    def hash(self, item: Item) -> str:
        """The sha256 of a file that stays where it is. Raises ModelFileDamaged, OSError."""
        digest = hashlib.sha256()
        for block in self._blocks(item):
            digest.update(block)
        return digest.hexdigest()

    def _blocks(self, item: Item) -> Iterator[bytes]:
        self._check()
        with _reading(item):
            # Opened anew, so seen anew: what is there now must still be the file that was listed.
            descriptor = os.open(item.path, os.O_RDONLY | _NO_FOLLOW | _BINARY)
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode) or before.st_size != item.size:
                raise _changed(item)
            while block := _read(file, item):
                self._check()
                yield block
                self._done += len(block)
                self._progress(self._done, self._total)
            after = os.fstat(file.fileno())
            if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise _changed(item)


def _read(file: BinaryIO, item: Item) -> bytes:
    with _reading(item):
        return file.read(BLOCK)


@contextmanager
def _reading(item: Item) -> Iterator[None]:
    """Say of which file of the source it was that something failed, and not that the models' folder is at fault."""
    try:
        yield
    except OSError as error:
        raise ModelFileDamaged(
            f"{one_line(item.name, 200)} of the source cannot be read: {error.strerror or error}."
        ) from error


def _why(error: OSError | NotImplementedError) -> str:
    """The system's words alone: an OSError's own text has both paths in it, and its number."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _changed(item: Item) -> ModelFileDamaged:
    return ModelFileDamaged(
        f"{one_line(item.name, 200)} changed while it was read.",
        mend="Try again when nothing writes to it any more.",
    )


def sync_folders(root: Path) -> None:
    """Make the entries of `root` and of all folders below it durable. Raises OSError."""
    for folder, _, _ in os.walk(root):
        sync_folder(Path(folder))
