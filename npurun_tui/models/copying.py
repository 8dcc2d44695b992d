"""A second model out of an installed one, under another name. Blocking.

Large files are hard links where the volume has them, since a bundle of gigabytes need not lie there twice; deleting
either model leaves the other one whole. As with an import nothing is seen of it before it is complete.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from npurun_tui import units
from npurun_tui.errors import DiskFull, ModelError
from npurun_tui.files import is_disk_full
from npurun_tui.models.layout import UNPACKED
from npurun_tui.models.lock import model_lock
from npurun_tui.models.manifest import FILE_NAME
from npurun_tui.models.pull.install import check_place, install, recover
from npurun_tui.models.store import InstalledModel, ModelStore
from npurun_tui.models.transfer import Item, Transfer, items_below

_LINKED: Final = 1 << 20
"""Bytes from which a file is linked; configs are copied, as they may be changed here or there."""


def copy_model(
    source: InstalledModel, store: ModelStore, name: str, check: Callable[[], None]
) -> InstalledModel:
    """Install `source` once more as `name`, which must be a model's name; what `check` raises ends the work.

    Raises:
        ModelError: the name is taken; a file of the source cannot be read or is a link.
        ModelBusy: another program works on a model of that name.
        DiskFull: there is no room for it.
    """
    layout = store.layout
    try:
        with model_lock(layout.partial_root, name):
            recover(layout, name)
            check_place(layout, name, force=False)
            if layout.model(name).exists():
                raise ModelError(f"There is a model called {name} already.")
            unpacked = layout.partial(name) / UNPACKED
            try:
                _bring(source, unpacked, check)
                replace(source.manifest, name=name).write(unpacked)
                install(layout, name)
            finally:
                recover(layout, name)
                with suppress(OSError):  # an unfinished pull's download is in it
                    layout.partial(name).rmdir()
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(
                f"There is no room for a copy of {source.name} ({units.size(source.size)}).",
                mend="Free some and try again.",
            ) from error
        raise ModelError(
            f"{source.name} could not be copied: {error.strerror or error}."
        ) from error
    return store.get(name)


def _bring(source: InstalledModel, unpacked: Path, check: Callable[[], None]) -> None:
    items = [item for item in items_below(source.folder) if item.name != FILE_NAME]
    work = Transfer(sum(item.size for item in items), lambda _done, _total: None, check)
    unpacked.mkdir(parents=True)
    for item in items:
        check()
        if not _linked(item, unpacked / item.name):
            _make_room(item, unpacked)
            work.copy(item, unpacked / item.name)


def _linked(item: Item, target: Path) -> bool:
    """Whether a link could be made of it."""
    if item.size < _LINKED:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(item.path)
    except (OSError, NotImplementedError):
        return False
    return True


def _make_room(item: Item, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if item.size > free:
        raise DiskFull(
            f"{item.path.name} needs {units.size(item.size)}; {units.size(free)} are free.",
            mend="Free some room and try again.",
        )
