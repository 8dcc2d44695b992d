"""Writing files so that a kill or a power cut leaves the old one or the new one, never half of either."""

from __future__ import annotations

import errno
import os
import re
import shlex
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

OTHERS_BLOCK: Final = os.name == "nt"
"""A file that another program has open can be neither moved nor deleted."""
_PATIENCE: Final = 2.0
_NO_SYNC: Final = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
T = TypeVar("T")
_FULL: Final = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def is_disk_full(error: OSError) -> bool:
    """True where `error` says that the volume, or the user's quota on it, has no room left."""
    return error.errno in _FULL


def make_private(path: Path) -> None:
    """Have the file `path`, made empty where it is missing, readable by its owner alone (POSIX).

    Raises:
        OSError: the file or its folder cannot be made or opened.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))
    keep_private(path)


def keep_private(path: Path) -> None:
    """Take from others the right to read the file `path`, where there is one."""
    if os.name == "nt":
        return
    with suppress(
        OSError
    ):  # it is gone, or its file system (FAT, some network shares) knows no modes
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def from_home(path: str | Path) -> Path:
    """`path` with a leading `~` or `~user` spelled out; as it is where there is no such user: nothing lies there."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib's raises for an unknown user


def typed(text: str, *, windows: bool = os.name == "nt") -> str:
    """`text` (a path, a name) as one word of a command line. PowerShell and cmd both know double quotes, and cmd no
    others; no name on Windows has any in it."""
    if not windows:
        return shlex.quote(text)
    return text if re.fullmatch(r"[\w.:\\/-]+", text) else f'"{text}"'


def patiently(action: Callable[[], T], *, seconds: float = _PATIENCE) -> T:
    """What `action` (a rename, a deletion) gives, tried for some `seconds` where others can block it. Blocking.

    On Windows virus scanners and indexers open what was just written, for a moment; no event tells when they are done.
    Raises PermissionError where they are not in time, and at once where nobody can block.
    """
    deadline, delay = time.monotonic() + seconds, 0.01
    while True:
        try:
            return action()
        except PermissionError:
            if not OTHERS_BLOCK or time.monotonic() >= deadline:
                raise
        time.sleep(delay)
        delay = min(0.5, 2 * delay)


def read_small(file: Path, most: int) -> bytes | None:
    """What is in `file`; None where that is more than `most` bytes.

    Raises OSError where it cannot be read, or is no regular file: a pipe has no end, and opening one waits for ever.
    """
    facts = file.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise OSError("it is no regular file")
    with file.open("rb") as stream:
        data = stream.read(most + 1)  # not by its size, which may be a lie
    return data if len(data) <= most else None


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable. Windows has no such call and needs none; some network and foreign file
    systems (SMB, FUSE) refuse it, which is their way of not promising anything."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes, *, private: bool = True) -> None:
    """Replace `path` by `data`: temporary file in the same folder, fsync, rename, fsync of the folder.

    A `private` file is its owner's alone; another one has the mode that any program's output has: that of the file
    which it replaces, else what the umask leaves.

    Raises:
        OSError: as the file system gives it; `path` is then what it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600 if private else 0o666)

    try:
        with open(temporary, "xb", opener=opened) as file:
            file.write(data)
            file.flush()
            if not private and path.exists():
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            os.fsync(file.fileno())
        patiently(lambda: temporary.replace(path))
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
