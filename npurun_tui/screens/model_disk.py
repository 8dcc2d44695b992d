"""The models' folder as the Models tab sees it: what is in it, and how much room is left. Knows no Textual."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from npurun_tui import units
from npurun_tui.errors import NpurunError
from npurun_tui.models.lock import holder_of
from npurun_tui.models.verify import hashed_files
from npurun_tui.screens.model_words import bar

if TYPE_CHECKING:
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.jobs import PullJob
    from npurun_tui.models.store import BrokenModel, InstalledModel, ModelStore

_MAX_FILES: Final = 40
"""Files of one model whose sizes are asked for: a bundle has a dozen, a hostile manifest ten thousand."""
_BAR: Final = 8
_LITTLE: Final = 500_000_000
"""Free bytes below which a disk counts as having little room: hardly a model fits, and systems begin to complain."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The volume that the models are on, in bytes."""

    free: int
    total: int


class FileSeen(NamedTuple):
    """One file of a model: its size in bytes, None where it is missing, and its hash where the manifest has one."""

    size: int | None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class FilesSeen:
    """The files of one model, by their path in its folder, and how many there are besides."""

    files: Mapping[str, FileSeen] = field(default_factory=dict)
    more: int = 0


@dataclass(frozen=True, slots=True)
class Scan:
    """What one look at the disk has found."""

    installed: Sequence[InstalledModel]
    broken: Sequence[BrokenModel]
    partials: Mapping[str, int]
    files: Mapping[str, FilesSeen]
    catalog: Sequence[CatalogEntry]
    disk: Disk | None
    error: NpurunError | None = None
    """Why the models' folder, or the catalog, could not be read."""
    marks: tuple[int, int] = (0, 0)
    """As `marks_of` had them before."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """The models that another program works on -> its process id, empty where that cannot be read."""

    @property
    def used(self) -> int:
        """Bytes of all models and of the parts of others."""
        whole = sum(model.size for model in self.installed)
        return whole + sum(b.size for b in self.broken) + sum(self.partials.values())


NOTHING: Final = Scan((), (), {}, {}, (), None)


def look(store: ModelStore, catalog: Callable[[], Sequence[CatalogEntry]]) -> Scan:
    """Look at the disk. Blocking."""
    error: NpurunError | None = None
    installed: list[InstalledModel] = []
    broken: list[BrokenModel] = []
    entries: Sequence[CatalogEntry] = ()
    marks = marks_of(store)  # before the look: what changes during it is seen by the next one
    try:
        entries = catalog()
        installed, broken = store.scan()
    except NpurunError as fault:
        error = fault
    return Scan(
        installed,
        broken,
        store.partials(),
        {model.name: _files(model) for model in installed},
        entries,
        measure(store.root),
        error,
        marks,
        _elsewhere(store),
    )


def _elsewhere(store: ModelStore) -> dict[str, str]:
    """Costs a look at one folder, and one more at each lock that is held."""
    root = store.layout.partial_root
    try:
        held = [file.stem for file in root.glob("*.holder")]
    except OSError:
        return {}
    holders = {name: holder_of(root, name) for name in held}
    return {
        name: pid for name, pid in holders.items() if pid is not None and pid != str(os.getpid())
    }


def marks_of(store: ModelStore) -> tuple[int, int]:
    """What is another one when a model has come or gone, or a pull has begun or ended, in whatever program. Blocking,
    but only on two questions to the file system."""
    return _changed(store.root), _changed(store.layout.partial_root)


def _changed(folder: Path) -> int:
    """When a name in it came or went; 0 where it is not there."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _files(model: InstalledModel) -> FilesSeen:
    hashes = hashed_files(model)
    named = [path for path in asdict(model.manifest.files).values() if path]
    paths = dict.fromkeys([*named, *hashes])
    seen = {
        path: FileSeen(_size(model.folder / path), hashes.get(path, ""))
        for path in islice(paths, _MAX_FILES)
    }
    return FilesSeen(seen, len(paths) - len(seen))


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except (OSError, ValueError):
        return None


def measure(folder: Path) -> Disk | None:
    """The volume that `folder` is, or would be, on; None where the system does not say. Blocking."""
    for place in (folder.absolute(), *folder.absolute().parents):
        try:
            usage = shutil.disk_usage(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return Disk(usage.free, usage.total)
    return None


def still_needed(jobs: Iterable[PullJob]) -> int:
    """Bytes that the pulls which run or wait will still write."""
    return sum(_needed(job) for job in jobs if job.state.open)


def _needed(job: PullJob) -> int:
    """An archive lies on the disk until the model has been taken out of it."""
    entry, progress = job.entry, job.progress
    unpacked = entry.installed_size if getattr(entry.source, "packed", True) else 0
    if progress is None or progress.phase == "resolving":
        return entry.download_size + unpacked
    if progress.phase == "downloading":
        return max(0, (progress.total or entry.download_size) - progress.done) + unpacked
    return unpacked if progress.phase == "verifying" else 0


def disk_line(
    disk: Disk | None, used: int, needed: int, limit: int, width: int
) -> tuple[str, bool]:
    """The line, and whether it warns: the bar is the first thing to go where it gets too long."""
    models = f"models {units.size(used)}"
    if disk is None:
        return models, False
    short = needed > disk.free or disk.free < _LITTLE
    need = f"pulls need {units.size(needed)}" if needed else ""
    if needed > disk.free:
        need = f"✗ {need}, {units.size(needed - disk.free)} too much"
    elif short:
        need = f"✗ little room  {need}".rstrip()
    gauge = bar(1 - disk.free / disk.total if disk.total else 0, _BAR)
    room = f"{units.size(disk.free)} free of {units.size(disk.total)}"
    rate = f"limit {units.size(limit)}/s" if limit else ""
    for parts in ((models, gauge, room, need, rate), (models, room, need, rate)):
        line = "  ".join(part for part in parts if part)
        if len(line) <= width:
            break
    return line, short
