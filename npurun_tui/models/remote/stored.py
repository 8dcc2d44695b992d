"""What was last verified of a source, on disk: the catalog as it was signed, and a record that says which bytes.

The file's name holds its hash, and the record, replaced in one step, names it: a kill between the two leaves the old
pair. The hash is compared at every reading, so damage is noticed. It is no protection from somebody who can write
to this user's folders; nothing here could be.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from npurun_tui.errors import ManifestInvalid
from npurun_tui.files import write_atomic
from npurun_tui.models import catalog_json
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.remote.faults import SourceInvalid
from npurun_tui.models.remote.sources import CatalogSource
from npurun_tui.settings import Paths

RECORD: Final = "state.json"
METADATA: Final = "metadata"
"""The folder of TUF's own files, beside the record."""
FRESH: Final = "catalog.new"
"""A list while it is fetched."""

State = Literal["never updated", "current", "expired", "damaged"]

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MAX_RECORD: Final = 10_000

_log = logging.getLogger(__name__)

_parsed: dict[str, tuple[str, tuple[CatalogEntry, ...]]] = {}
"""By the name of a source: the sha256 of the list that was last read, and its entries.

Parsing 1,000 entries takes more than a tenth of a second, and each look at the models' folder asks for them. The bytes
are read and hashed all the same, so another list is never taken for this one; a source has one place here, so nothing
piles up.
"""


@dataclass(frozen=True, slots=True)
class Record:
    """What an update wrote down. Times are ISO 8601 in UTC."""

    sha256: str
    """Of the stored catalog."""
    version: int
    """Of the signed list (TUF's targets)."""
    expires: str
    """The earliest date of the signed files: after it a newer one ought to be there."""
    updated: str
    """When it was last verified against the server."""
    root: str
    """The sha256 of the root of trust that it was verified by, as it was given: not what that led to."""

    @property
    def expired(self) -> bool:
        """True from the date on; also where it is no date."""
        try:
            return datetime.now(UTC) >= datetime.fromisoformat(self.expires)
        except (ValueError, TypeError):  # TypeError: it has no time zone
            return True


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source and how what is kept of it stands. An expired catalog stays in use; a damaged one does not."""

    source: CatalogSource
    state: State
    record: Record | None = None
    entries: tuple[CatalogEntry, ...] = ()


def read_state(paths: Paths, source: CatalogSource) -> SourceState:
    """How `source` stands, with its entries. Blocking: three files, at most 9 MB; no network. Never raises.

    What was verified by another root counts as never fetched: a release that ships a new one may do so because the keys
    of the old one were stolen.
    """
    folder = source.folder(paths)
    try:
        record = _read_record(folder / RECORD)
    except (FileNotFoundError, NotADirectoryError):
        return SourceState(source, "never updated")
    except (OSError, ValueError, RecursionError) as error:
        return _damaged(source, error)
    try:
        if record.root != digest_of(source.root()):
            return SourceState(source, "never updated")
        entries = _entries(_read_catalog(folder, record), record.sha256, source.name)
    except (OSError, ValueError, ManifestInvalid, SourceInvalid) as error:
        return _damaged(source, error)
    return SourceState(source, "expired" if record.expired else "current", record, entries)


def digest_of(root: bytes) -> str:
    """By which a record names a root of trust."""
    return hashlib.sha256(root).hexdigest()


def _damaged(source: CatalogSource, error: Exception) -> SourceState:
    _log.warning("The stored catalog of %s is not used: %s", source.name, error)
    return SourceState(source, "damaged")


def _entries(data: bytes, sha256: str, name: str) -> tuple[CatalogEntry, ...]:
    """The entries in `data`, whose hash is `sha256`, from the source `name`. Raises ManifestInvalid."""
    known, entries = _parsed.get(name, ("", ()))
    if known != sha256:
        entries = catalog_json.load(data, f"The catalog of {name}", catalog=name)
        _parsed[name] = (sha256, entries)
    return entries


def store(folder: Path, data: bytes, record: Record) -> None:
    """Keep `data`, verified, as what `record` says. Blocking. Raises OSError; what was there then stays."""
    path = _catalog_file(folder, record.sha256)
    write_atomic(path, data)
    write_atomic(folder / RECORD, (json.dumps(asdict(record), indent=1) + "\n").encode())
    for old in folder.glob("catalog-*.json"):
        if old != path:
            with suppress(
                OSError
            ):  # Windows: somebody reads it at this moment; the next update removes it
                old.unlink()


def sweep(folder: Path) -> None:
    """Remove what an update that was killed has left in `folder`. Blocking; the caller holds the source's lock."""
    half = [*folder.glob(FRESH), *folder.glob(".*.json.*"), *(folder / METADATA).glob("tmp*")]
    for file in half:
        with suppress(OSError):  # it does no harm where it cannot be removed
            file.unlink()


def stored_bytes(folder: Path, sha256: str) -> bytes | None:
    """The stored catalog with this hash; None where there is none, it is damaged, or that is no hash."""
    if _SHA256.fullmatch(sha256) is None:  # it is from a signed file, and still becomes a path
        return None
    try:
        return _read_hashed(_catalog_file(folder, sha256), sha256)
    except (OSError, ValueError):
        return None


def _catalog_file(folder: Path, sha256: str) -> Path:
    return folder / f"catalog-{sha256}.json"


def _read_catalog(folder: Path, record: Record) -> bytes:
    return _read_hashed(_catalog_file(folder, record.sha256), record.sha256)


def _read_hashed(file: Path, sha256: str) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(catalog_json.MAX_DOCUMENT + 1)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError("its sha256 is not the one that was recorded")
    return data


def _read_record(file: Path) -> Record:
    with file.open("rb") as stream:
        document: Any = json.loads(stream.read(_MAX_RECORD))
    if not isinstance(document, dict):
        raise ValueError("its record is no object")
    sha256, version = document.get("sha256"), document.get("version")
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
        raise ValueError("its record has no sha256")
    if not isinstance(version, int) or isinstance(version, bool):
        raise ValueError("its record has no version")
    texts = (str(document.get(key, "")) for key in ("expires", "updated", "root"))
    return Record(sha256, version, *texts)
