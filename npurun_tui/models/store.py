"""The models that are on this machine: one folder each, shared with the Rust program.

Everything here blocks, but on a small amount of work: a scan reads one small file for each model and asks the file
system for sizes. Whatever `npurun.json` says, a model is known by the name of its folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from npurun_tui.engine.genie.processor import processor_of
from npurun_tui.engine.spec import BACKEND_LABELS
from npurun_tui.errors import (
    ManifestInvalid,
    ModelBusy,
    ModelError,
    ModelFileDamaged,
    ModelNotFound,
)
from npurun_tui.files import is_disk_full, patiently, sync_folder
from npurun_tui.models.layout import HIDDEN, UNPACKED, Layout, kept_bytes
from npurun_tui.models.lock import model_lock
from npurun_tui.models.manifest import FILE_NAME, Manifest, main_file
from npurun_tui.models.names import fault_of_name, likely, normalise, not_here
from npurun_tui.models.trees import remove_tree, tree_size, tree_sizes
from npurun_tui.text import one_line


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model that can be loaded. `manifest.name` is the folder's name; `size` is bytes on disk."""

    manifest: Manifest
    folder: Path
    size: int
    place: str
    """What it is made to run on, in words: `NPU (Genie)`, `CPU (Genie)`, `CPU (llama.cpp)`."""
    shared: int = 0
    """Bytes of `size` that are another folder's too (hard links): removing the model does not free them."""
    written: int = 0
    """When its manifest was written, which every program does last; in nanoseconds of the volume's clock."""

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def processor(self) -> str:
        """`NPU`, `CPU` or `GPU`."""
        return self.place.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class BrokenModel:
    """A folder with an `npurun.json` that is not a usable model; `reason` is one sentence. `size` in bytes."""

    name: str
    folder: Path
    reason: str
    size: int


class ModelStore:
    """The models below one folder, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)

    @property
    def root(self) -> Path:
        """The models' folder."""
        return self.layout.root

    def scan(self) -> tuple[list[InstalledModel], list[BrokenModel]]:
        """Every model, by name, and every broken one. Raises ModelError where the folder cannot be read."""
        installed: list[InstalledModel] = []
        broken: list[BrokenModel] = []
        for name, folder in sorted(self._folders()):
            model = self._examine(name, folder)
            if isinstance(model, InstalledModel):
                installed.append(model)
            else:
                broken.append(model)
        return installed, broken

    def get(self, name: str) -> InstalledModel:
        """The installed model `name` (`:latest` is taken off).

        Raises:
            ModelNotFound: it is not here.
            ManifestInvalid, ModelFileDamaged: it is here and broken.
        """
        name = self._sought(name)
        folder = self.layout.model(name)
        if not os.path.lexists(folder / FILE_NAME):
            raise self._not_found(name)
        return _read(name, folder)

    def remove(self, name: str) -> int:
        """Delete a model, whole or broken, and what a pull of it left behind; returns the bytes freed.

        The folder is renamed out of sight first, so that a kill in the middle leaves nothing that `scan` shows.

        Raises:
            ModelNotFound: there is neither a model nor an unfinished pull of that name.
            ModelBusy: a pull of it runs, or (on Windows) a program has one of its files open.
            ModelError: its folder holds no `npurun.json`, or could not be deleted.
        """
        folder = dict(self._folders(with_manifest=False)).get(name) or self._folder_or_none(
            self._sought(name)
        )
        if folder is None:
            freed = self.discard_partial(name)
            if not freed:
                raise self._not_found(self._sought(name))
            return freed
        if not os.path.lexists(folder / FILE_NAME):
            raise ModelError(
                f"The folder {_shown(folder)} holds no {FILE_NAME}, so it is not a model and is left alone.",
                mend="Delete it yourself if it is not needed.",
            )
        with _failures(folder), self._locked(folder.name):
            self._sweep()
            size, shared = (0, 0) if folder.is_symlink() else tree_sizes(folder)
            self._throw_away(folder)
            return size - shared + self._drop_partial(folder.name)

    def discard_partial(self, name: str) -> int:
        """Delete what an unfinished pull of `name` left; returns the bytes freed. Raises ModelBusy while it runs."""
        name = normalise(name)
        partial = self.layout.partial(name)
        if not partial.is_dir():
            return 0
        with _failures(partial), self._locked(name):
            return self._drop_partial(name)

    def partials(self) -> dict[str, int]:
        """Unfinished pulls: name -> bytes that need not be fetched again."""
        found: dict[str, int] = {}
        try:
            names = sorted(os.listdir(self.layout.partial_root))  # noqa: PTH208 - names are all that is wanted
        except OSError:
            return {}
        for name in names:
            if not fault_of_name(name):
                with suppress(OSError):
                    found[name] = kept_bytes(self.layout.partial(name))
        return {name: size for name, size in found.items() if size}

    def _folders(self, *, with_manifest: bool = True) -> Iterator[tuple[str, Path]]:
        """Names and paths of the folders that are not hidden; by default only those with an `npurun.json`."""
        try:
            with os.scandir(self.root) as entries:
                found = [e for e in entries if not e.name.startswith(".") and e.is_dir()]
        except FileNotFoundError:
            return
        except OSError as error:
            raise ModelError(
                f"The models' folder {_shown(self.root)} cannot be read: {error.strerror or error}.",
                mend="NPURUN_MODELS_DIR can name another one.",
            ) from error
        for entry in found:
            folder = self.root / entry.name
            if not with_manifest or os.path.lexists(folder / FILE_NAME):
                yield entry.name, folder

    def _folder_or_none(self, name: str) -> Path | None:
        folder = self.layout.model(name)
        return folder if os.path.lexists(folder) else None

    def _examine(self, name: str, folder: Path) -> InstalledModel | BrokenModel:
        try:
            if fault := fault_of_name(name):
                raise ManifestInvalid(f"The folder's name is no model name: it {fault}.")
            return _read(name, folder)
        except (ManifestInvalid, ModelFileDamaged) as error:
            return BrokenModel(name, folder, str(error), tree_size(folder))

    def _sought(self, name: str) -> str:
        """`normalise`; a name that no model of ours can have is one that is not here, too. Raises ModelNotFound."""
        try:
            return normalise(name)
        except ModelError:
            raise self._not_found(name) from None

    def _not_found(self, name: str) -> ModelNotFound:
        """`name` may be anybody's text."""
        from npurun_tui.models.builtin import CATALOG  # only who asks for what is not here needs it

        known = [entry.name for entry in CATALOG]
        if self.partials().get(name):
            return not_here(
                name, f"A pull of it was begun; `npurun-tui pull {name}` goes on with it."
            )
        if name in known:
            return not_here(name, f"`npurun-tui pull {name}` fetches it.")
        if like := likely(name, sorted(folder for folder, _ in self._folders())):
            return not_here(name, f"Did you mean {' or '.join(like)}?")
        if like := likely(name, known):
            return not_here(
                name, f"Did you mean {like[0]}? `npurun-tui pull {like[0]}` fetches it."
            )
        return not_here(name)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        if fault_of_name(name):  # such a folder can be no pull's, so nobody else locks it either
            yield
            return
        try:
            self.layout.partial_root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if not is_disk_full(error):
                raise
            yield  # there is no folder of locks, so nobody holds one
            return
        with model_lock(self.layout.partial_root, name):
            yield

    def _throw_away(self, folder: Path) -> None:
        if folder.is_symlink():
            folder.unlink()
        else:
            doomed = self._hide(folder)
            sync_folder(self.root)
            remove_tree(doomed)
            with suppress(OSError):  # another deletion may be using it
                self.layout.trash.rmdir()

    def _hide(self, folder: Path) -> Path:
        """Move `folder` to where nobody lists it; returns the place."""
        name = os.urandom(8).hex()
        try:
            self.layout.trash.mkdir(exist_ok=True)
            _move(folder, self.layout.trash / name)
            return self.layout.trash / name
        except OSError as error:
            if not is_disk_full(error):
                raise
        # On a full disk there is no room for a folder to move it to; a new name takes none.
        doomed = self.root / f"{HIDDEN}{name}"
        _move(folder, doomed)
        return doomed

    def _drop_partial(self, name: str) -> int:
        partial = self.layout.partial(name)
        try:
            # Not the file's length: there are holes in it. What a killed pull had unpacked lies beside it.
            freed = kept_bytes(partial) + tree_size(partial / UNPACKED)
        except OSError:
            freed = tree_size(partial)
        if partial.is_dir():
            remove_tree(partial)
        return freed

    def _sweep(self) -> None:
        """Finish deletions that were killed in the middle."""
        for doomed in self.layout.doomed():
            remove_tree(doomed)


def _read(name: str, folder: Path) -> InstalledModel:
    written = manifest_written(folder)
    manifest = Manifest.read(folder)
    main = main_file(manifest, folder)
    place = BACKEND_LABELS[manifest.backend]
    if manifest.backend == "genie":
        place = f"{processor_of(main)} (Genie)"
    size, shared = tree_sizes(folder)
    return InstalledModel(replace(manifest, name=name), folder, size, place, shared, written)


def manifest_written(folder: Path) -> int:
    """`InstalledModel.written` of the model in `folder` at this moment; 0 where there is none any more."""
    try:
        return (folder / FILE_NAME).stat().st_mtime_ns
    except OSError:
        return 0


def _move(folder: Path, target: Path) -> None:
    """Rename, also where the folder is read-only: a move to another parent changes the folder itself."""
    try:
        patiently(lambda: folder.rename(target))
    except PermissionError:
        folder.chmod(0o700)
        folder.rename(target)


def _shown(path: Path) -> str:
    return one_line(str(path), 400)


@contextmanager
def _failures(folder: Path) -> Iterator[None]:
    """Say in a sentence why a folder could not be changed."""
    try:
        yield
    except OSError as error:
        if os.name == "nt" and isinstance(error, PermissionError):
            raise ModelBusy(
                f"{_shown(folder)} is in use by another program.", mend="Close what uses the model."
            ) from error
        raise ModelError(
            f"{_shown(folder)} could not be deleted: {error.strerror or error}."
        ) from error
