"""One writer per model: a lock that the operating system releases however its holder ends.

The lock file stays where it is after a release, as unlinking it would let two processes lock two files of one name.
A second small file holds the process id of the holder, so that the one who is refused can be told by whom.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from npurun_tui.errors import ModelBusy, ModelError
from npurun_tui.text import one_line


@contextmanager
def model_lock(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock of model `name`, whose files lie in `folder` (created where missing). Never waits.

    Usable from any thread; another one may leave the context than the one that entered it.

    Raises:
        ModelBusy: another process, or another task of this one, holds it.
        ModelError: the volume has no locks.
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
    except NotImplementedError as error:  # older versions of filelock, on some network shares
        raise ModelError(
            f"The volume of {one_line(str(folder), 300)} knows no locks, so that two programs could write one model.",
            mend="NPURUN_MODELS_DIR can name a folder on another one.",
        ) from error
    try:
        with suppress(OSError):  # it only tells others; a full disk is when models are deleted
            holder.write_text(str(os.getpid()), "ascii")
        yield
    finally:
        # Windows refuses to delete a file that somebody reads at this moment; a stale one does no harm.
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def holder_of(folder: Path, name: str) -> str | None:
    """The process id of who works on model `name`, empty where it cannot be read; None where nobody does.

    Costs one look at the folder, but after a kill, which leaves the second file there: then the lock is tried, and the
    file goes, so that the lock of a pull that begins meanwhile is in nobody's way for more than that once.
    """
    from filelock import FileLock, Timeout

    holder = folder / f"{name}.holder"
    if not holder.exists():
        return None
    lock = FileLock(folder / f"{name}.lock", thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return _pid(holder)
    except (OSError, NotImplementedError):  # nobody pulls where nothing can be written or locked
        return None
    try:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
    finally:
        lock.release()
    return None


def _pid(holder: Path) -> str:
    try:
        pid = holder.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return pid if pid.isdigit() else ""


def _busy(name: str, holder: Path) -> ModelBusy:
    pid = _pid(holder)
    if pid == str(os.getpid()):
        return ModelBusy(f"This program already works on {name}.", mend="Wait until that is done.")
    who = f"Another program (process {pid})" if pid else "Another program"
    return ModelBusy(f"{who} works on {name} right now.", mend="Wait until it is done, or stop it.")
