"""Having the whole file, and knowing that it is the right one: by its pinned hash, or by what a first pull recorded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from npurun_tui import units
from npurun_tui.errors import DiskFull, HashMismatch, PullFailed
from npurun_tui.models.catalog import CatalogEntry, PipIndexSource, UrlSource
from npurun_tui.models.catalog_sources import is_safe
from npurun_tui.models.fields import MAX_ADDRESS
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.client import Client
from npurun_tui.models.pull.download import Download
from npurun_tui.models.pull.index import configured
from npurun_tui.models.pull.limiter import RateLimiter
from npurun_tui.models.pull.page import Finder
from npurun_tui.models.pull.part import Part
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.pull.progress import Meter, Phase
from npurun_tui.models.pull.recorded import Recorded, record, recorded
from npurun_tui.text import one_line

_SLACK: Final = 1 << 20
"""Room for the manifest, the state, and what a file system takes for itself, in bytes."""

_MOST_TIMES: Final = 3
_MOST_MORE: Final = 1 << 30
"""How far a file may be from the catalog's estimate of it: three times, and a GiB."""


class Fetcher:
    """Fills the part of one pull."""

    def __init__(
        self,
        entry: CatalogEntry,
        root: Path,
        part: Part,
        policy: Policy,
        meter: Meter,
        limiter: RateLimiter,
        *,
        accept_changed: bool,
        ranges: Callable[[], None],
    ) -> None:
        """`root` is the models' folder. `accept_changed` passes over what an earlier pull recorded; `ranges` hears that
        the server serves parts of the file."""
        self._entry = entry
        self._root = root
        self._part = part
        self._policy = policy
        self._meter = meter
        self._limiter = limiter
        self._ranges = ranges
        self._known: Recorded | None = None
        if not entry.pinned and not accept_changed:
            self._known = recorded(root, str(entry.source))

    async def run(self, worker: Worker) -> None:
        """Return when the part is complete and is the expected file.

        Raises:
            PullFailed (NetworkUnavailable): it cannot be had; what was fetched is kept.
            HashMismatch: it is another file.
            DiskFull: there is no room for it.
        """
        if self._untold:
            await worker.run(self._part.discard)
        resumed = self._meter.resumed_from = self._part.size
        await self._download(worker)
        if not await worker.run(self._compare) and resumed:
            # The beginning was an earlier pull's: of another version of the file, or damaged on the disk.
            self._meter.resumed_from = 0
            await self._download(worker)
            await worker.run(self._compare)
        if not self._part.complete:
            raise self._mismatch()

    def record(self) -> None:
        """Keep the hash of what was fetched, where nobody had given one. Raises OSError."""
        if not self._entry.pinned:
            what = Recorded(self._part.sha256, self._part.total or 0)
            record(self._root, str(self._entry.source), what)

    @property
    def _expected(self) -> str:
        """The sha256 that it must have; empty where nothing is known of it yet."""
        return self._entry.source.sha256 or (self._known.sha256 if self._known else "")

    @property
    def _untold(self) -> bool:
        """Nothing would tell that what is here is of an older version than what is still to come: neither a hash, nor
        the server, nor the checksums of an archive."""
        part, source = self._part, self._entry.source
        told = self._expected or part.origin.seen or part.complete
        return not told and isinstance(source, UrlSource) and not source.packed

    def _compare(self) -> bool:
        """Whether the part is the expected file; where it is not, it is thrown away."""
        if self._part.sha256 == (self._expected or self._part.sha256):
            return True
        self._part.discard()
        return False

    def _mismatch(self) -> HashMismatch:
        name = one_line(self._entry.source.filename)
        if self._entry.pinned:
            mend = "Pull again; if it stays so, it was replaced, and `npurun-tui catalog update` may know by what."
            if isinstance(self._entry.source, PipIndexSource):
                mend = "Check which index pip is configured with."
            return HashMismatch(
                f"{name} is not the file that is expected: its sha256 differs.",
                mend=f"It was thrown away. {mend}",
            )
        return self._changed()

    def _changed(self) -> HashMismatch:
        return HashMismatch(
            f"{one_line(self._entry.source.filename)} is another file than the one that the first pull recorded.",
            mend="Nothing of it is kept. Where its publisher has replaced it, `npurun-tui pull "
            f"{self._entry.name} --force --accept-changed` takes the new one.",
        )

    def _sized(self, total: int | None, came: int) -> None:
        """The server has said how large the file is, or `came` is here of one without end: compare that, and see
        whether there is room. What is here of an earlier version goes when the new one begins."""
        size = came if total is None else total
        known = self._known.size if self._known is not None else None
        if known is not None and (size > known if total is None else size != known):
            raise self._changed()
        estimate = self._entry.download_size
        more = size > _MOST_TIMES * estimate + _MOST_MORE
        less = total is not None and estimate > _MOST_TIMES * size + _MOST_MORE
        if not self._entry.exact and (more or less):
            raise PullFailed(
                f"{one_line(self._entry.source.filename)} has {units.size(size)}, far {'more' if more else 'less'} "
                "than the catalog says.",
                mend="Nothing of it is used; `npurun-tui catalog update` may know better.",
            )
        room = size - self._part.on_disk + unpacked_size(self._entry, size)
        need_room(self._root, self._entry.name, room)

    async def _download(self, worker: Worker) -> None:
        if self._part.complete:
            return
        self._meter.enter(Phase.RESOLVING)
        source = self._entry.source
        config = await worker.run(configured)
        hosts = source.hosts if isinstance(source, UrlSource) else None
        client = await worker.run(Client, config, self._policy, hosts=hosts)
        async with client:
            if isinstance(source, UrlSource):
                address = source.url
                check_address(address)
            else:
                finder = Finder(client, worker, self._policy, self._meter)
                address = await finder.find(config, source)
            self._meter.enter(Phase.DOWNLOADING, self._part.total, self._part.size)
            download = Download(
                client,
                self._part,
                worker,
                self._policy,
                self._meter,
                self._limiter,
                pinned=source,
                sized=self._sized,
                ranges=self._ranges,
            )
            await download.run(address)
        self._meter.enter(Phase.VERIFYING, self._part.total, self._part.total or 0)


def unpacked_size(entry: CatalogEntry, download: int = 0) -> int:
    """Bytes beside the `download` that the model takes; nothing where the file itself is the model."""
    if isinstance(entry.source, UrlSource) and not entry.source.packed:
        return 0
    return entry.installed_size if entry.exact else download or entry.installed_size


def need_room(root: Path, name: str, missing: int) -> None:
    """Raise DiskFull where the volume of `root`, or of the nearest folder above it, has no `missing` bytes."""
    folder = next((path for path in (root, *root.parents) if path.is_dir()), root)
    free = shutil.disk_usage(folder).free
    if missing + _SLACK > free:
        raise DiskFull(
            f"Pulling {name} needs {units.size(missing + _SLACK)} in {one_line(str(root), 300)}, "
            f"where {units.size(free)} are free.",
            mend="Free some room, or name a folder on another disk in NPURUN_MODELS_DIR.",
        )


def check_address(address: str) -> None:
    """Refuse an address that is not https, or that no manifest can keep. Raises PullFailed.

    Plain http is for this machine itself only.
    """
    if len(address) > MAX_ADDRESS:
        raise PullFailed(
            f"The address that the model is fetched from is longer than {MAX_ADDRESS:,} characters.",
            mend="Its catalog has to name a shorter one.",
        )
    parts = urlsplit(address)
    if is_safe(parts, parts.hostname or ""):
        return
    raise PullFailed(
        f"{one_line(address, 200)} is not an https address, so it is not fetched.",
        mend="Its catalog has to name one.",
    )
