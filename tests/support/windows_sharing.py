"""Windows' rule for open files, on Linux: what this process has open can be neither deleted, replaced nor moved.

Python opens files there without the right of others to delete them. A folder cannot be moved while a file in it is
open. Names do not matter, the file does: a hard link to an open file is as stuck as its first name.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def _open_files() -> Iterator[tuple[tuple[int, int], str]]:
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            facts = os.fstat(int(descriptor.name))
            name = str(descriptor.readlink())
        except OSError:  # closed meanwhile
            continue
        if stat.S_ISREG(facts.st_mode):
            yield (facts.st_dev, facts.st_ino), name


def _refuse(path: Any, folder: int | None = None) -> None:
    place = Path(f"/proc/self/fd/{folder}", path) if folder is not None else Path(path)
    try:
        facts = os.lstat(place)
    except OSError:
        return
    whole = f"{os.path.realpath(place)}{os.sep}"
    for identity, name in _open_files():
        if identity == (facts.st_dev, facts.st_ino) or name.startswith(whole):
            raise PermissionError(errno.EACCES, "as Windows: it is open", str(place))


def share_as_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test ends."""
    rename, replace, unlink = os.rename, os.replace, os.unlink

    def moving(move: Callable[..., None]) -> Callable[..., None]:
        def moved(source: Any, target: Any, **more: Any) -> None:
            _refuse(source)
            _refuse(target)
            move(source, target, **more)

        return moved

    def unlinked(path: Any, *, dir_fd: int | None = None) -> None:
        _refuse(path, dir_fd)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr("os.rename", moving(rename))
    monkeypatch.setattr("os.replace", moving(replace))
    monkeypatch.setattr("os.unlink", unlinked)
