"""The folder where llama.cpp puts the KV cache on its way to a snapshot, and takes it from on its way back.

llama.cpp wants to know it when a model is loaded and reads and writes nowhere else. It exists only while a snapshot is
written or read. The engine's process may end at any moment without a clean-up, and the file is a whole KV cache; so
the folder's name has the process id in it, and the next load removes what dead processes left.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from npurun_tui.settings import Paths

log = logging.getLogger(__name__)


def base() -> Path:
    """The user's folder of such folders."""
    return Paths.resolve().state / "slots"


def choose() -> Path:
    """A name for this process, not yet there."""
    return base() / f"{os.getpid()}-{secrets.token_hex(8)}"


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


def sweep() -> None:
    """Remove the folders of processes that are no more. One that cannot be removed costs disk space, not the load."""
    try:
        found = list(base().iterdir())
    except OSError:  # nothing was ever saved
        return
    import psutil  # 15 ms, only where there is something

    for folder in found:
        owner = folder.name.partition("-")[0]
        if re.fullmatch(r"[0-9]{1,9}", owner) and not psutil.pid_exists(int(owner)):
            log.info("removing what the engine process %s left", owner)
            shutil.rmtree(folder, ignore_errors=True)
