"""The folder where llama.cpp puts the KV cache on its way to a snapshot, and takes it from on its way back.

llama.cpp wants to know it when a model is loaded and reads and writes nowhere else. It exists only while a snapshot is
written or read. The engine's process may end at any moment without a clean-up, and the file is a whole KV cache; so
the folder's name has the process id in it, and the next load removes what dead processes left.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from npurun_tui.engine import leftovers
from npurun_tui.settings import Paths


def base() -> Path:
    """The user's folder of such folders."""
    return Paths.resolve().state / "slots"


def choose() -> Path:
    """A name for this process, not yet there."""
    return leftovers.own_folder(base())


@contextmanager
def existing(folder: Path) -> Iterator[None]:
    """`folder` while it is needed, for the user's eyes only: a conversation is in it.

    Raises:
        OSError: it cannot be made.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place(file: Path, path: Path) -> None:
    """Have `file` at `path` too: by a hard link, which takes no time; as a copy where the two are on different volumes
    or the file system has no links. llama.cpp only reads there.

    Raises:
        OSError: neither can be done.
    """
    try:
        os.link(file, path, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copyfile(file, path)


def sweep() -> None:
    """Remove the folders of processes that are no more."""
    leftovers.sweep(base())
