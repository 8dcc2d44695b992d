"""Bringing a remote catalog up to date, with TUF's own client as the judge of what is believed.

TUF notices other signatures, other bytes, older versions, mixed versions and withheld updates; here each of those
becomes one sentence. Only what was verified, and can be read by this version, replaces what is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from npurun_tui.errors import ManifestInvalid, NpurunError
from npurun_tui.models import catalog_json
from npurun_tui.models.catalog import CatalogEntry, UrlSource
from npurun_tui.models.remote.faults import (
    ASK_MAINTAINER,
    CatalogError,
    CatalogExpired,
    CatalogMixed,
    CatalogOffline,
    CatalogRolledBack,
    CatalogTampered,
    CatalogTooLarge,
    CatalogUnusable,
)
from npurun_tui.models.remote.sources import CatalogSource
from npurun_tui.models.remote.stored import (
    FRESH,
    METADATA,
    Record,
    digest_of,
    store,
    stored_bytes,
    sweep,
)
from npurun_tui.settings import Paths
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from tuf.api.metadata import Key
    from tuf.ngclient import Updater, UpdaterConfig

    from npurun_tui.models.remote.fetcher import Fetcher, Limits

TARGET: Final = "catalog.json"
_ROLES: Final = ("root", "timestamp", "snapshot", "targets")


@dataclass(frozen=True, slots=True)
class Update:
    """What an update of one source came to: `record` and `entries`, or `error`."""

    source: CatalogSource
    record: Record | None = None
    entries: tuple[CatalogEntry, ...] = ()
    changed: bool = False
    """The list is another one than before."""
    error: NpurunError | None = None


def update_one(paths: Paths, source: CatalogSource, limits: Limits | None = None) -> Update:
    """As `update_source`, with what it raises in the answer. Blocking: use a thread."""
    try:
        return update_source(paths, source, limits)
    except NpurunError as error:
        return Update(source, error=error)


def update_source(paths: Paths, source: CatalogSource, limits: Limits | None = None) -> Update:
    """Fetch, verify and store the catalog of `source`. Blocking for up to `limits.whole` seconds: use a thread.

    Raises:
        CatalogError: one of its kinds; what was stored before stays in use.
        ModelBusy: another program updates it.
    """
    from npurun_tui.models.remote.fetcher import Fetcher
    from npurun_tui.models.remote.fetcher import Limits as Default

    folder = source.folder(paths)
    limits = limits or Default()
    try:
        with (
            source.locked(paths),
            Fetcher(limits) as hands,
            _in_words(source, hands),
        ):
            sweep(folder)
            return _update(source, folder, hands, limits)
    except OSError as error:
        raise CatalogError(
            f"The catalog {source.name} cannot be kept: {error.strerror or error}.",
            mend=f"Look at the folder {folder}.",
        ) from error


def verify_root(root: bytes) -> dict[str, tuple[int, tuple[str, ...]]]:
    """What a root.json says, once it is signed by itself: for each role its threshold and the ids of its keys.

    Raises:
        CatalogTampered: it is no root.json, or not signed by its own keys.
    """
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata, Root

    try:
        parsed = Metadata[Root].from_bytes(root)
        if not isinstance(parsed.signed, Root):
            raise RepositoryError("it is of another type")
        parsed.signed.verify_delegate(Root.type, parsed.signed_bytes, parsed.signatures)
        _check_ids(parsed.signed.keys)
    except (RepositoryError, ValueError) as error:
        raise CatalogTampered(
            "The root of trust is no root.json that its own keys signed.",
            mend="Get it from the catalog's maintainer again.",
        ) from error
    roles = parsed.signed.roles
    return {name: (roles[name].threshold, tuple(roles[name].keyids)) for name in _ROLES}


def _check_ids(keys: Mapping[str, Key]) -> None:
    """A key's id is only a label in TUF: people compare ids, so here each must be the hash of its key.

    Raises:
        ValueError: one is not.
    """
    from securesystemslib.formats import encode_canonical

    for keyid, key in keys.items():
        canonical = encode_canonical(key.to_dict())
        if not canonical or hashlib.sha256(canonical.encode()).hexdigest() != keyid:
            raise ValueError("a key's id is not its hash")


def fetch_root(url: str, limits: Limits | None = None) -> bytes:
    """The root.json that the server at `url` offers, believed by nobody yet. Blocking: use a thread.

    Raises:
        CatalogError: it cannot be had.
    """
    from npurun_tui.models.remote.fetcher import Fetcher
    from npurun_tui.models.remote.fetcher import Limits as Default
    from npurun_tui.models.remote.sources import MAX_ROOT

    nobody = CatalogSource("", url, Path())
    with Fetcher(limits or Default()) as hands, _in_words(nobody, hands):
        return hands.download_bytes(f"{url.rstrip('/')}/root.json", MAX_ROOT)


def _update(source: CatalogSource, folder: Path, hands: Fetcher, limits: Limits) -> Update:
    root = source.root()
    updater = _updater(source, root, folder, hands, limits)
    updater.refresh()
    info = updater.get_targetinfo(TARGET)
    if info is None:
        raise CatalogUnusable(f"{source.url} has no {TARGET}.", mend=ASK_MAINTAINER)
    if info.length > catalog_json.MAX_DOCUMENT:
        raise CatalogTooLarge(f"{TARGET} of {source.url} is too large.", mend=ASK_MAINTAINER)
    before = stored_bytes(folder, info.hashes.get("sha256", ""))
    data = before
    if data is None:
        fresh = folder / FRESH
        try:
            updater.download_target(info, str(fresh))
            data = fresh.read_bytes()
        finally:
            fresh.unlink(missing_ok=True)
    try:
        entries = catalog_json.load(data, TARGET, catalog=source.name)
    except ManifestInvalid as error:
        raise CatalogUnusable(error.message, mend=error.mend or ASK_MAINTAINER) from error
    _check_reach(source, entries)
    sha256 = hashlib.sha256(data).hexdigest()
    changed = before is None and stored_bytes(folder, sha256) is None
    record = _record(folder / METADATA, sha256, root)
    store(folder, data, record)
    return Update(source, record, entries, changed=changed)


def _check_reach(source: CatalogSource, entries: tuple[CatalogEntry, ...]) -> None:
    """Only a catalog that is on this machine itself may name addresses on it: from elsewhere they would have this
    program ask whatever listens here, as the user.

    Raises:
        CatalogUnusable: an entry does.
    """
    if source.url.lower().startswith("http:"):
        return
    for entry in entries:
        for each in (entry.source, *(variant.source for variant in entry.variants)):
            if isinstance(each, UrlSource) and not each.url.lower().startswith("https:"):
                raise CatalogUnusable(
                    f"{TARGET} has an address on this machine itself for {entry.name}.",
                    mend=ASK_MAINTAINER,
                )


def _updater(
    source: CatalogSource, root: bytes, folder: Path, hands: Fetcher, limits: Limits
) -> Updater:
    from tuf.ngclient import Updater

    return Updater(
        str(folder / METADATA),
        f"{source.url}/metadata/",
        target_base_url=f"{source.url}/targets/",
        fetcher=hands,
        config=client_config(limits.metadata),
        bootstrap=root,
    )


def client_config(most: int) -> UpdaterConfig:
    """How TUF's client is set, here and where a maintainer checks: files of metadata have at most `most` bytes."""
    from tuf.ngclient import UpdaterConfig

    return UpdaterConfig(
        max_root_rotations=1024,  # counted from the root that the user has, however often it changed since
        max_delegations=4,
        root_max_length=most // 2,
        timestamp_max_length=16_384,
        snapshot_max_length=most,
        targets_max_length=most,
    )


def _record(metadata: Path, sha256: str, root: bytes) -> Record:
    """Of what the client has just verified, beginning with `root`, and written."""
    from tuf.api.metadata import Metadata, Signed

    signed: dict[str, Signed] = {
        role: Metadata.from_file(str(metadata / f"{role}.json")).signed for role in _ROLES
    }
    return Record(
        sha256=sha256,
        version=signed["targets"].version,
        expires=min(each.expires for each in signed.values()).isoformat(),
        updated=datetime.now(UTC).isoformat(timespec="seconds"),
        root=digest_of(root),
    )


@contextmanager
def _in_words(source: CatalogSource, hands: Fetcher) -> Iterator[None]:
    """TUF's exceptions as ours, about the file that was fetched last."""
    from tuf.api.exceptions import DownloadError, RepositoryError

    try:
        yield
    except (DownloadError, RepositoryError) as error:
        file = one_line(hands.last, 100) or "root.json"
        raise _refusal(error, one_line(source.url, 200), file) from error


def _refusal(error: Exception, url: str, file: str) -> CatalogError:
    from tuf.api import exceptions as tuf

    if isinstance(error, tuf.ExpiredMetadataError):
        return CatalogExpired(
            f"The newest that {url} has is past its date.",
            mend=f"Check this computer's clock. {ASK_MAINTAINER}",
        )
    if isinstance(error, tuf.BadVersionNumberError):
        if file == "timestamp.json":
            kind: type[CatalogError] = CatalogRolledBack
            text = f"{url} offers an older list than it did before."
        else:
            kind, text = CatalogMixed, f"{file} at {url} is of another version than it has to be."
        return kind(text, mend=ASK_MAINTAINER)
    if isinstance(error, tuf.DownloadHTTPError):
        return CatalogOffline(
            f"{url} answered with {error.status_code} for {file}.",
            mend="Check the address; try again later.",
        )
    if isinstance(error, tuf.DownloadLengthMismatchError):
        return CatalogTooLarge(f"{file} at {url} is larger than it may be.", mend=ASK_MAINTAINER)
    return CatalogTampered(_tampered(error, url, file), mend=ASK_MAINTAINER)


def _tampered(error: Exception, url: str, file: str) -> str:
    from tuf.api import exceptions as tuf

    if isinstance(error, tuf.UnsignedMetadataError):
        return f"{file} at {url} is not signed by the keys that are trusted."
    if isinstance(error, tuf.LengthOrHashMismatchError):
        return f"{file} at {url} is not the file that was signed."
    return f"{file} at {url} is no signed metadata that can be read."
