"""One writer per model: a lock that the operating system releases however its holder ends.

The lock file stays where it is after a release, as unlinking it would let two processes lock two files of one name.
A second small file holds the process id of the holder, so that the one who is refused can be told by whom.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from npurun_tui.errors import ModelBusy


@contextmanager
def model_lock(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock of model `name`, whose files lie in `folder` (created where missing). Never waits.

    Usable from any thread; another one may leave the context than the one that entered it.

    Raises:
        ModelBusy: another process, or another task of this one, holds it.
        OSError: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / f"{name}.holder"
    lock = FileLock(folder / f"{name}.lock", thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise _busy(name, holder) from None
    try:
        holder.write_text(str(os.getpid()), "ascii")
        yield
    finally:
        # Windows refuses to delete a file that somebody reads at this moment; a stale one does no harm.
        with suppress(PermissionError):
            holder.unlink(missing_ok=True)
        lock.release()


def _busy(name: str, holder: Path) -> ModelBusy:
    try:
        pid = holder.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        pid = ""
    if pid == str(os.getpid()):
        return ModelBusy(f"This program already works on {name}.", mend="Wait until that is done.")
    who = f"Another program (process {pid})" if pid.isdigit() else "Another program"
    return ModelBusy(f"{who} works on {name} right now.", mend="Wait until it is done, or stop it.")
