"""Folders that only their own process uses: named after it, so that others can remove what it left when killed."""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
from pathlib import Path

log = logging.getLogger(__name__)


def own_folder(base: Path) -> Path:
    """A name in `base` for a folder of this process, not yet there."""
    return base / f"{os.getpid()}-{secrets.token_hex(8)}"


def sweep(base: Path) -> None:
    """Remove from `base` the folders of processes that are no more. One that cannot be removed costs disk space."""
    try:
        found = list(base.iterdir())
    except OSError:  # there never was one
        return
    import psutil  # 15 ms, only where there is something

    for folder in found:
        owner = folder.name.partition("-")[0]
        if re.fullmatch(r"[0-9]{1,9}", owner) and not psutil.pid_exists(int(owner)):
            log.info("removing what the process %s left in %s", owner, base)
            shutil.rmtree(folder, ignore_errors=True)
