"""Where exports are written, and what is said when they cannot be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from npurun_tui.errors import DiskFull, ExportFailed, UsageError
from npurun_tui.files import is_disk_full, write_atomic
from npurun_tui.text import one_line


def shown(path: Path) -> str:
    """The path for a sentence."""
    return one_line(str(path), 300)


def check_folder(path: Path) -> None:
    """Refuse a path whose folder is missing, since a mistyped one would grow a tree of folders.

    Raises:
        UsageError: there is no such folder, or `path` is a folder itself.
        ExportFailed: nobody may look at it, or it is no path: `pathlib` raises for these.
    """
    with writing(path):
        if not path.parent.is_dir():
            raise UsageError(
                f"There is no folder {shown(path.parent)} to write {shown(Path(path.name))} to.",
                mend="Make it first.",
            )
        if path.is_dir():
            raise UsageError(f"{shown(path)} is a folder.", mend="Name a file in it.")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the file system refuses, in a sentence."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(
                f"The disk that holds {shown(path)} is full.", mend="Free some room and try again."
            ) from error
        raise ExportFailed(
            f"{shown(path)} could not be written: {error.strerror or type(error).__name__}.",
            mend="Choose another place.",
        ) from error


def write_export(path: Path, text: str) -> None:
    """Have the file at `path` hold `text`, or what it held before; what is no file (a pipe, `/dev/null`) is written to.
    Blocking.

    Raises:
        UsageError: its folder is missing.
        DiskFull, ExportFailed: it could not be written.
    """
    check_folder(path)
    # A lone surrogate (half of an emoji, cut by a model) has no UTF-8; the file must not fail for it.
    data = text.encode("utf-8", "replace")
    with writing(path):
        if path.exists() and not path.is_file():  # replacing it would break what others use it for
            path.write_bytes(data)
        else:  # a link leads to the file that is meant
            write_atomic(Path(os.path.realpath(path)), data, private=False)
