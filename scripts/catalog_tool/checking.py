"""Looks at a catalog's folder as the program would: the same client, over files instead of a network."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata
from tuf.ngclient import FetcherInterface, Updater

from npurun_tui.errors import ManifestInvalid
from npurun_tui.models import catalog_json
from npurun_tui.models.remote.fetcher import Limits
from npurun_tui.models.remote.updating import client_config, verify_root
from scripts.catalog_tool.keys import ToolError
from scripts.catalog_tool.repository import TARGET

SOON: Final = timedelta(days=14)
_ROLES: Final = ("root", "timestamp", "snapshot", "targets")


class _Files(FetcherInterface):
    """Serves `folder` under `base`."""

    base: Final = "file-catalog:///"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        file = self._folder / url.removeprefix(self.base)
        if not file.is_file():
            raise DownloadHTTPError(f"{file} is not there", 404)
        return iter((file.read_bytes(),))


def check(folder: Path) -> list[str]:
    """What is in `folder`, a line each, once all of it is verified; a date within two weeks has a warning.

    Raises:
        ToolError: the program would refuse it; the sentence says why.
    """
    try:
        bootstrap = (folder / "metadata" / "1.root.json").read_bytes()
        with tempfile.TemporaryDirectory() as scratch:
            return _checked(folder, Path(scratch), bootstrap)
    except (RepositoryError, DownloadError) as error:
        why = str(error) or type(error).__name__
        raise ToolError(
            f"The program would refuse this catalog: {why}.", mend="Run `build` or `refresh`."
        ) from error
    except OSError as error:
        raise ToolError(f"There is no catalog in {folder}: {error}.", mend="Run `init`.") from error
    except ManifestInvalid as error:
        raise ToolError(error.message, mend="Correct the entries and run `build`.") from error


def _checked(folder: Path, scratch: Path, bootstrap: bytes) -> list[str]:
    base = _Files.base
    updater = Updater(
        str(scratch / "metadata"),
        f"{base}metadata/",
        target_dir=str(scratch),
        target_base_url=f"{base}targets/",
        fetcher=_Files(folder),
        config=client_config(Limits().metadata),
        bootstrap=bootstrap,
    )
    updater.refresh()
    info = updater.get_targetinfo(TARGET)
    if info is None:
        raise ToolError(f"The catalog has no {TARGET}.", mend="Run `build`.")
    data = Path(updater.download_target(info)).read_bytes()
    newest = scratch / "metadata" / "root.json"
    if (folder / "root.json").read_bytes() != newest.read_bytes():
        raise ToolError("root.json is not the newest root.", mend="Copy the newest there.")
    verify_root(newest.read_bytes())
    for file in (scratch / "metadata").glob("*.json"):
        if file.stat().st_size > Limits().largest:
            raise ToolError(
                f"The program would refuse this catalog: {file.name} is too large.",
                mend="Make it smaller.",
            )
    lines = [_dated(role, scratch / "metadata" / f"{role}.json") for role in _ROLES]
    entries = catalog_json.load(data, TARGET)
    lines.append(f"{TARGET}: {len(entries)} entries, {len(data):,} bytes")
    return lines


def _dated(role: str, file: Path) -> str:
    signed = Metadata.from_file(str(file)).signed
    soon = signed.expires - datetime.now(UTC) < SOON
    warning = "   EXPIRES SOON: run `build`" if soon else ""
    if soon and role in {"timestamp", "snapshot"}:
        warning = "   EXPIRES SOON: run `refresh`"
    elif soon and role == "root":
        warning = "   EXPIRES SOON: run `rotate`"
    return f"{role}: version {signed.version}, good until {signed.expires:%Y-%m-%d}{warning}"
