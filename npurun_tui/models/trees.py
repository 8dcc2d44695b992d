"""Folders as a whole: how large one is, and how it goes away for good. Links are never followed out of it."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from npurun_tui.files import patiently

_MAX_DEPTH: Final = 32


def tree_size(folder: Path | str) -> int:
    """Bytes of the files in `folder` and below. What vanishes or cannot be read meanwhile counts as nothing."""
    return tree_sizes(folder)[0]


def tree_sizes(folder: Path | str, depth: int = 0) -> tuple[int, int]:
    """As `tree_size`; and how many of these bytes have another name too (hard links): deleting frees none of them."""
    total = shared = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below = tree_sizes(entry.path, depth + 1) if depth < _MAX_DEPTH else (0, 0)
                    total, shared = total + below[0], shared + below[1]
                    continue
                try:
                    # Windows leaves the links out of what scandir gives.
                    facts = os.lstat(entry.path)
                except OSError:
                    continue
                total += facts.st_size
                shared += facts.st_size if facts.st_nlink > 1 else 0
    except OSError:
        return total, shared
    return total, shared


def remove_tree(folder: Path) -> None:
    """Delete `folder` and all in it, read-only files too; a link in it goes, what it points to stays.

    Something that another process deletes at the same time is no fault. Raises OSError for what stays.
    """
    if sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=_retry_writable)
    else:
        shutil.rmtree(folder, onerror=lambda call, path, info: _retry_writable(call, path, info[1]))


def _retry_writable(call: Callable[..., object], path: str, error: BaseException) -> None:
    """A read-only file on Windows, or a read-only folder elsewhere, is made writable and tried once more; a file that
    somebody reads on Windows, for a while."""
    if isinstance(error, FileNotFoundError):
        return
    if not isinstance(error, PermissionError) or call is os.open or Path(path).is_symlink():
        raise error
    parent = Path(path).parent
    parent.chmod(parent.stat().st_mode | stat.S_IRWXU)
    Path(path).chmod(Path(path).stat().st_mode | stat.S_IRWXU)
    if call in {os.unlink, os.rmdir}:
        patiently(partial(call, path))
    else:
        remove_tree(Path(path))
