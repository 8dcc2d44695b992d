"""Making an installed model of a Genie bundle or a GGUF file that lies on this machine. All of it blocks.

The files are brought together out of sight, hashed as they come, and appear by the same rename as a pull's: a kill at
any moment leaves nothing that `list` shows. The source is never changed; `move` removes it when the model is there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from npurun_tui import units
from npurun_tui.errors import DiskFull, ModelError, ModelFileDamaged, ModelNotFound, UsageError
from npurun_tui.files import from_home, is_disk_full
from npurun_tui.models.bundles import CONFIG, load_config, set_flags
from npurun_tui.models.describe import Description, describe
from npurun_tui.models.describe_files import check_paths
from npurun_tui.models.layout import UNPACKED
from npurun_tui.models.lock import model_lock
from npurun_tui.models.manifest import FILE_NAME, Files, Flag, Manifest
from npurun_tui.models.pull.install import check_place, install, recover
from npurun_tui.models.sizes import sizes_of
from npurun_tui.models.store import InstalledModel, ModelStore
from npurun_tui.models.transfer import (
    Item,
    Transfer,
    is_link,
    item_of,
    items_below,
)
from npurun_tui.text import one_line

How = Literal["copy", "link", "move", "share"]

BUNDLE: Final = "bundle"
"""The folder of a bundle inside its model's folder."""

_SLACK: Final = 1 << 20
"""Room for the manifest and what a file system takes for itself, in bytes."""


def _unwatched(_done: int, _total: int) -> None:
    """Nobody wants to know how far it is."""


def _unstopped() -> None:
    """Nobody wants to stop it."""


def import_model(  # noqa: PLR0913 - all but two have defaults
    source: Path,
    store: ModelStore,
    *,
    name: str = "",
    arch: str = "",
    quant: str = "",
    qnn_sdk: str = "",
    how: How = "copy",
    force: bool = False,
    progress: Callable[[int, int], None] = _unwatched,
    check: Callable[[], None] = _unstopped,
) -> InstalledModel:
    """Install what lies at `source` (see `describe`). `progress` hears `(bytes done, bytes in all)`; `check` is called
    before each block of 1 MiB that is searched or copied, and what it raises ends the work with nothing left behind.

    `link` makes hard links to the large files. `share` does that too, and copies where it cannot; so does `move`, which
    removes the source's files when the model is in place.

    Raises:
        ModelFileDamaged, ModelError, UsageError: as `describe`; a link among the files; the name is taken.
        ModelBusy: another program works on a model of that name.
        DiskFull: there is no room for it.
    """
    found = describe(source, name=name, arch=arch, quant=quant, qnn_sdk=qnn_sdk, check=check)
    with _failures(store.root), model_lock(store.layout.partial_root, found.manifest.name):
        return _Import(found, store, how, force).run(progress, check)


def adopt(
    folder: Path,
    store: ModelStore,
    *,
    arch: str = "",
    quant: str = "",
    qnn_sdk: str = "",
    force: bool = False,
    progress: Callable[[int, int], None] = _unwatched,
    check: Callable[[], None] = _unstopped,
) -> InstalledModel:
    """Make a model of `folder`, which lies directly below the models' folder, where it lies: its flags are set and
    `npurun.json` is written last. The folder's name is the model's.

    Raises:
        UsageError: it lies elsewhere.
        ModelFileDamaged, ModelError: as `import_model`; with an `npurun.json` there only `force` goes on.
    """
    folder = from_home(folder).absolute()
    if not folder.is_dir() or folder.parent.resolve() != store.root.resolve():
        raise UsageError(
            f"{one_line(str(folder), 300)} is no folder directly below the models' folder.",
            mend=f"That is {one_line(str(store.root), 300)}; without --in-place it is copied there.",
        )
    spelled = os.listdir(store.root)  # noqa: PTH208 - names are all that is wanted
    if folder.name not in spelled:  # where case does not count it is found all the same
        raise UsageError(
            f"The folder {one_line(folder.name, 100)} is spelled otherwise on the disk.",
            mend="A model's folder has a name in small letters: rename it.",
        )
    if os.path.lexists(folder / FILE_NAME) and not force:
        raise ModelError(
            f"{one_line(folder.name, 100)} has an {FILE_NAME} already.", mend="--force replaces it."
        )
    found = describe(folder, name=folder.name, arch=arch, quant=quant, qnn_sdk=qnn_sdk, check=check)
    name = found.manifest.name
    if name != folder.name:
        raise UsageError(f"The folder's name {one_line(folder.name, 100)!r} is no model name.")
    with _failures(store.root), model_lock(store.layout.partial_root, name):
        prefix = found.root.resolve().relative_to(folder.resolve()).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        _complete(found, prefix, {}, ()).check(folder)  # before the config is touched
        decided = found.manifest.flags
        flags = set_flags(found.root, found.graphs, decided) if found.is_bundle else ()
        items = _items(found)  # after it: a patched config has another size
        work = Transfer(sum(item.size for item in items), progress, check)
        hashes = {prefix + item.name: work.hash(item) for item in items if item.name != FILE_NAME}
        _write(_complete(found, prefix, hashes, flags), folder)
        return store.get(name)


class _Import:
    """One import, with the model's lock held."""

    def __init__(self, found: Description, store: ModelStore, how: How, force: bool) -> None:
        self._found = found
        self._store = store
        self._layout = store.layout
        self._name = found.manifest.name
        self._how = how
        self._force = force
        self._items = [item for item in _items(found) if item.name != FILE_NAME]
        self._total = sum(item.size for item in self._items)
        self._prefix = f"{BUNDLE}/" if found.is_bundle else ""

    def run(
        self, progress: Callable[[int, int], None], check: Callable[[], None]
    ) -> InstalledModel:
        recover(self._layout, self._name)
        self._check_source()
        self._check_free()
        self._check_room()
        try:
            self._bring(Transfer(self._total, progress, check))
            install(self._layout, self._name)
        finally:
            recover(self._layout, self._name)
            with suppress(OSError):  # an unfinished pull's download is in it, or it is gone already
                self._layout.partial(self._name).rmdir()
        if self._how == "move":
            _remove(self._items, self._found.root if self._found.is_bundle else None)
        return self._store.get(self._name)

    def _check_source(self) -> None:
        """The source must not be what is replaced, nor hold what it is copied into."""
        root, models = self._found.root.resolve(), self._layout.root.resolve()
        shown = one_line(str(root), 300)
        if self._found.is_bundle and models.is_relative_to(root):
            raise UsageError(f"{shown} holds the models' folder.", mend="Name the bundle itself.")
        if root.is_relative_to(self._layout.model(self._name).resolve()):
            raise UsageError(
                f"{shown} is where the model would be put.",
                mend="Use --in-place, or another --name.",
            )
        linked = any(item.linked for item in self._items)
        if self._how == "move" and (linked or is_link(self._found.root)):
            raise UsageError(
                f"{shown} leads to its files by links, and what they lead to may be another's.",
                mend="Use --copy.",
            )
        owners = (each for each in (root, *root.parents[:2]) if os.path.lexists(each / FILE_NAME))
        if self._how == "move" and (owner := next(owners, None)):
            raise UsageError(f"{shown} belongs to the model {owner.name}.", mend="Use --copy.")

    def _check_free(self) -> None:
        """The name must be free, or `force` given. Raises ModelError."""
        if self._force:
            check_place(self._layout, self._name, force=True)
            return
        with suppress(ModelNotFound):
            self._store.get(self._name)
            raise ModelError(
                f"There is a model called {self._name} already.",
                mend="Give another --name, or replace it with --force.",
            )
        check_place(self._layout, self._name, force=False)
        if kept := self._store.partials().get(self._name):
            raise ModelError(
                f"A pull of {self._name} was begun, and {units.size(kept)} of it are here, which this would delete.",
                mend=f"Give another name, or throw it away first: `npurun-tui rm {self._name}`.",
            )

    def _check_room(self) -> None:
        root = self._layout.root
        if self._how == "link":
            return
        one_volume = self._found.root.stat().st_dev == root.stat().st_dev
        if self._how in {"move", "share"} and one_volume:
            return
        free = shutil.disk_usage(root).free
        if self._total + _SLACK > free:
            raise DiskFull(
                f"{self._name} needs {units.size(self._total)} in {one_line(str(root), 300)}, "
                f"where {units.size(free)} are free.",
                mend="Free some room, or link it with --link where it is on the same volume.",
            )

    def _bring(self, work: Transfer) -> None:
        """Everything into the folder that is to become the model, the manifest last."""
        found, unpacked = self._found, self._layout.partial(self._name) / UNPACKED
        prefix = self._prefix
        unpacked.mkdir(parents=True)
        hashes = {
            prefix + item.name: self._bring_one(work, item, unpacked / prefix / item.name)
            for item in self._items
        }
        flags: tuple[Flag, ...] = ()
        if found.is_bundle:
            # Hidden files are not brought, and the config may have changed since: what it names must be here.
            check_paths(unpacked / BUNDLE, load_config(unpacked / BUNDLE / CONFIG))
            flags = set_flags(unpacked / BUNDLE, found.graphs, found.manifest.flags)
            for name in {prefix + flag.file for flag in flags if flag.value is True}:
                hashes[name] = Transfer(0, _unwatched, _unstopped).hash(item_of(unpacked / name))
        _write(_complete(found, prefix, hashes, flags), unpacked)

    def _bring_one(self, work: Transfer, item: Item, target: Path) -> str:
        if self._how == "copy":
            return work.copy(item, target)
        try:
            return work.link(item, target)
        except ModelError:
            if self._how == "link" or os.path.lexists(target):
                raise
            return work.copy(item, target)


def _items(found: Description) -> list[Item]:
    """The model's files where they lie. Raises ModelFileDamaged."""
    try:
        if found.is_bundle:
            return items_below(found.root)
        return [item_of(found.root / found.manifest.files.model)]
    except OSError as error:
        shown = one_line(str(error.filename or found.root), 300)
        raise ModelFileDamaged(f"{shown} cannot be read: {error.strerror or error}.") from error


def _complete(
    found: Description, prefix: str, hashes: dict[str, str], flags: tuple[Flag, ...]
) -> Manifest:
    files = found.manifest.files
    placed = Files(
        **{
            key: f"{prefix}{path}"
            for key in ("model", "tokenizer", "genie_config")
            if (path := getattr(files, key))
        }
    )
    return replace(found.manifest, files=placed, sha256=hashes, hash_origin="recorded", flags=flags)


def _write(manifest: Manifest, folder: Path) -> None:
    """Write it, with the files' sizes, where it can be read back: a bundle's figures may be none (2**40 tokens).

    Raises ManifestInvalid; an older manifest in `folder` is then still there.
    """
    complete = replace(manifest, sizes=sizes_of(folder, manifest.sha256))
    complete.check(folder)
    complete.write(folder)


def _remove(items: list[Item], root: Path | None) -> None:
    """Delete the source's files, and of a bundle in `root` the folders that are empty then. What resists stays, for the
    model is in place; so does what somebody has written to since it was listed, for that is in no model."""
    for item in items:
        with suppress(OSError):
            if item.untouched:
                item.path.unlink()
    folders = {item.path.parent for item in items} | {root} if root else set()
    for folder in sorted(folders, reverse=True):
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def _failures(root: Path) -> Iterator[None]:
    """What the file system refuses, in a sentence."""
    shown = one_line(str(root), 300)
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(
                f"The disk that holds {shown} is full.", mend="Free some room and try again."
            ) from error
        raise ModelError(
            f"The model could not be put into {shown}: {error.strerror or error}.",
            mend="NPURUN_MODELS_DIR can name another folder.",
        ) from error
