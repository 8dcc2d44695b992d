"""What lies in the models' folder and is no model: deletions that were cut short, unpacking that was, downloads that
nobody will go on with. Blocking."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from npurun_tui.errors import ModelBusy, ModelError
from npurun_tui.models.layout import UNPACKED, kept_bytes
from npurun_tui.models.lock import model_lock
from npurun_tui.models.names import fault_of_name
from npurun_tui.models.pull.install import recover
from npurun_tui.models.pull.recorded import half_written, remove_half_written
from npurun_tui.models.store import ModelStore
from npurun_tui.models.trees import remove_tree, tree_size
from npurun_tui.text import one_line


@dataclass(frozen=True, slots=True)
class Leftover:
    """`what` is a few words for people; `size` is bytes on disk. `resumable`: a pull could go on with it."""

    path: Path
    name: str
    what: str
    size: int
    resumable: bool = False

    @property
    def label(self) -> str:
        """What a list calls it: the model's name, and the folder of an unpacking that lies beside a download."""
        if self.name and self.path.name != self.name:
            return f"{self.name}/{self.path.name}"
        return self.name or self.path.name


def leftovers(store: ModelStore, known: Collection[str]) -> list[Leftover]:
    """Everything that could go. `known` are the names that can be pulled. Reads folders only."""
    installed = {model.name for model in store.scan()[0]}
    found = [
        Leftover(path, "", "a deletion that was cut short", tree_size(path))
        for path in store.layout.doomed()
    ]
    found += [
        Leftover(path, "", "a record that was cut short while it was written", path.stat().st_size)
        for path in half_written(store.root)
    ]
    for folder in _folders(store.layout.partial_root):
        found += _partial(folder, installed, known)
    return found


def remove_leftover(store: ModelStore, leftover: Leftover) -> int:
    """Delete it; returns the bytes freed, 0 where it is gone already.

    Raises:
        ModelBusy: a pull works on it right now, or has fetched more since it was looked at.
        ModelError: it could not be deleted.
    """
    try:
        if leftover.name:
            return _remove_partial(store, leftover)
        if leftover.path.parent == store.root and not leftover.path.is_dir():
            return remove_half_written(store.root, leftover.path)
        remove_tree(leftover.path)
        with suppress(OSError):  # there is none, or more in it
            store.layout.trash.rmdir()
    except OSError as error:
        shown = one_line(str(leftover.path), 300)
        raise ModelError(f"{shown} could not be deleted: {error.strerror or error}.") from error
    return leftover.size


def _remove_partial(store: ModelStore, leftover: Leftover) -> int:
    with model_lock(store.layout.partial_root, leftover.name):
        if not leftover.path.is_dir():
            return 0
        # Whoever was asked said yes to what was there then, and a pull may have come and gone meanwhile.
        beside = leftover.path != store.layout.partial(leftover.name)
        kept = 0 if beside else _kept(leftover.path)
        if kept > (leftover.size if leftover.resumable else 0):
            raise ModelBusy(
                f"A pull of {leftover.name} has fetched more meanwhile.",
                mend="`npurun-tui prune` looks again.",
            )
        # An older model that was moved aside comes back first. What was unpacked goes here, too.
        recover(store.layout, leftover.name)
        if not beside:
            remove_tree(leftover.path)
    return leftover.size


def _partial(folder: Path, installed: Collection[str], known: Collection[str]) -> list[Leftover]:
    name = folder.name
    if fault_of_name(name):
        return []  # nothing of ours is called so
    kept, unpacked = _kept(folder), folder / UNPACKED
    if not kept:
        what = "what an unpacking left" if unpacked.is_dir() else "a pull that had fetched nothing"
        return [Leftover(folder, name, what, tree_size(folder))]
    found = []
    if unpacked.is_dir():  # of no use: the next pull begins its unpacking anew
        found.append(Leftover(unpacked, name, "what an unpacking left", tree_size(unpacked)))
    what = "an unfinished download"
    if name in installed:
        what = "an unfinished download of a model that is installed"
    elif name not in known:
        what = "a download that no catalog knows"
    return [*found, Leftover(folder, name, what, kept, resumable=True)]


def _kept(folder: Path) -> int:
    try:
        return kept_bytes(folder)
    except OSError:
        return 0


def _folders(folder: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        yield from (folder / name for name in names)
