"""Which remote catalogs there are: those in `catalogs.json` beside `config.toml`, and the one that ships, if it does.

A source is an address and a root of trust: TUF's root.json, which names the keys. The root lies beside the list
(`catalogs/<name>.root.json`); that of the built-in source comes with the program, in the folder `trusted`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.errors import ManifestInvalid
from npurun_tui.files import write_atomic
from npurun_tui.models.catalog_sources import SourceFields, fault_of_address
from npurun_tui.models.fields import MAX_ADDRESS
from npurun_tui.models.names import fault_of_name
from npurun_tui.models.remote.faults import CatalogError, SourceInvalid
from npurun_tui.settings import Paths
from npurun_tui.text import one_line

TRUSTED: Final = Path(__file__).parent / "trusted"
"""Where the maintainer's `scripts/catalog` puts root.json and source.json."""
BUILTIN_NAME: Final = "npurun"
MAX_ROOT: Final = 512_000
"""Bytes of a root.json."""
MAX_SOURCES: Final = 20

_MAX_LIST: Final = 100_000
_PATIENCE: Final = 5.0
"""Seconds to wait for another program that changes the list, which takes milliseconds."""


@dataclass(frozen=True, slots=True)
class CatalogSource:
    """One remote catalog: where it is, and whom it has to be signed by."""

    name: str
    url: str
    """Without a slash at the end; `metadata/` and `targets/` lie below it."""
    root_file: Path
    builtin: bool = False
    """It ships with the program, so it may replace entries of the built-in list."""

    def root(self) -> bytes:
        """The bytes of its root of trust: blocking.

        Raises:
            SourceInvalid: they cannot be read, or are too many.
        """
        return read_root(self.root_file)

    def folder(self, paths: Paths) -> Path:
        """Where what was verified of it is kept."""
        return paths.data / "catalogs" / self.name

    def locked(self, paths: Paths) -> AbstractContextManager[None]:
        """Nobody else updates or removes it inside: what an update brings would be kept for a source of other keys.

        Raises (on entering):
            ModelBusy: somebody does.
            OSError: the data folder cannot be written.
        """
        from npurun_tui.models.lock import model_lock

        return model_lock(paths.data / "catalogs" / ".locks", self.name)


def read_root(file: Path) -> bytes:
    """The bytes of a root.json, which nothing has verified yet: blocking.

    Raises:
        SourceInvalid: they cannot be read, or are more than MAX_ROOT.
    """
    shown = one_line(str(file), 300)
    try:
        if not file.is_file():  # a named pipe would be read for ever
            raise SourceInvalid(f"{shown} is not a file.", mend="Name a root.json.")
        with file.open("rb") as stream:
            data = stream.read(MAX_ROOT + 1)
    except OSError as error:
        raise SourceInvalid(
            f"{shown} cannot be read: {error.strerror or error}.", mend="Name a root.json."
        ) from error
    if len(data) > MAX_ROOT:
        raise SourceInvalid(f"{shown} is too large for a root.json.", mend="Name a root.json.")
    return data


def builtin_source(trusted: Path = TRUSTED) -> CatalogSource | None:
    """The source that ships with the program; None while there is none. Reads one small file."""
    file = trusted / "source.json"
    if not file.is_file() or not (trusted / "root.json").is_file():
        return None
    fields = SourceFields(file, _read_object(file))
    return CatalogSource(BUILTIN_NAME, _address(fields), trusted / "root.json", builtin=True)


def configured_sources(paths: Paths) -> tuple[CatalogSource, ...]:
    """The sources that the user added, in that order. Reads one small file.

    Raises:
        SourceInvalid: the file is there and cannot be used; the sentence says why.
    """
    file = _list_file(paths)
    try:
        items = SourceFields(file, _read_object(file)).objects("sources")
        found = [_source(item, paths) for item in items]
    except FileNotFoundError:
        return ()
    except ManifestInvalid as error:
        raise SourceInvalid(error.message, mend=f"Correct or remove {file}.") from None
    if len({source.name for source in found}) != len(found) or len(found) > MAX_SOURCES:
        raise SourceInvalid(
            f"{one_line(str(file), 300)} names a catalog twice, or more than {MAX_SOURCES}.",
            mend="Correct or remove it.",
        )
    return tuple(found)


def all_sources(paths: Paths) -> tuple[CatalogSource, ...]:
    """The built-in source first, if there is one, then the user's. Raises SourceInvalid."""
    try:
        builtin = builtin_source()
    except CatalogError:
        raise
    except ManifestInvalid as error:
        raise SourceInvalid(error.message, mend="Install npurun-tui again.") from None
    return (*((builtin,) if builtin else ()), *configured_sources(paths))


def add_source(paths: Paths, name: str, url: str, root: bytes) -> CatalogSource:
    """Have catalog `name` at `url` trusted as `root` says; the caller has verified `root`. Blocking.

    Raises:
        SourceInvalid: the name or address cannot be one, there is one of this name already, or another program
            changes the list.
        ModelBusy: a catalog of this name is being updated.
        OSError: a file cannot be written.
    """
    url = url.rstrip("/")
    if fault := fault_of_source_name(name):
        raise SourceInvalid(
            f"{one_line(repr(name), 80)} cannot be a catalog's name: it {fault}.",
            mend="Choose another with --name.",
        )
    if fault := fault_of_base(url):
        raise SourceInvalid(
            f"The address {fault}.", mend="Name the folder in which its metadata/ lies."
        )
    with _alone(paths):
        present = configured_sources(paths)
        if any(source.name == name for source in present):
            raise SourceInvalid(
                f"There is a catalog called {name} already.",
                mend=f"Choose another with --name, or `npurun-tui catalog remove-source {name}` first.",
            )
        if len(present) >= MAX_SOURCES:
            raise SourceInvalid(
                f"There are {MAX_SOURCES} catalogs already.", mend="Remove one first."
            )
        source = CatalogSource(name, url, _root_file(paths, name))
        with source.locked(paths):
            _forget(source, paths)  # what one of this name left behind was signed by somebody else
            write_atomic(source.root_file, root)
            _write_list(paths, [*present, source])
    return source


def remove_source(paths: Paths, name: str) -> CatalogSource:
    """Forget catalog `name`, its root of trust, and what is kept of it. Blocking.

    Raises:
        SourceInvalid: none of this name was added, or another program changes the list.
        ModelBusy: it is being updated.
        OSError: a file cannot be removed.
    """
    with _alone(paths):
        present = configured_sources(paths)
        source = next((each for each in present if each.name == name), None)
        if source is None:
            names = ", ".join(each.name for each in present) or "none"
            raise SourceInvalid(
                f"No catalog called {one_line(name, 100)} was added.", mend=f"There are: {names}."
            )
        with source.locked(paths):
            _write_list(paths, [each for each in present if each is not source])
            source.root_file.unlink(missing_ok=True)
            _forget(source, paths)
    return source


@contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    """Two programs that change the list at once would each write what they had read: one of them waits a little."""
    from filelock import FileLock, Timeout

    file = _list_file(paths).with_name("catalogs") / ".lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file, timeout=_PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        raise SourceInvalid(
            "Another program changes the list of catalogs right now.", mend="Try again."
        ) from None
    try:
        yield
    finally:
        lock.release()


def fault_of_source_name(name: str) -> str:
    """Why `name` cannot be an added catalog's, as the end of a sentence; empty where it can."""
    if name in {BUILTIN_NAME, "builtin", "built-in"}:
        return "is kept for the list that ships with the program"
    return fault_of_name(name)


def fault_of_base(url: str) -> str:
    """Why `url` cannot be a catalog's address, as the end of a sentence; empty where it can."""
    if "?" in url:
        return "must not have a question mark in it"
    return fault_of_address(url)


def _source(item: SourceFields, paths: Paths) -> CatalogSource:
    name = item.text("name")
    if fault := fault_of_source_name(name):
        raise item.invalid("name", fault)
    return CatalogSource(name, _address(item), _root_file(paths, name))


def _address(item: SourceFields) -> str:
    url = item.text("url", limit=MAX_ADDRESS).rstrip("/")
    if fault := fault_of_base(url):
        raise item.invalid("url", fault)
    return url


def _list_file(paths: Paths) -> Path:
    return paths.config.parent / "catalogs.json"


def _root_file(paths: Paths, name: str) -> Path:
    # Always below our own folder: a path in the list would let whoever writes it point anywhere.
    return paths.config.parent / "catalogs" / f"{name}.root.json"


def _read_object(file: Path) -> dict[str, Any]:
    """The JSON object in `file`. Raises ManifestInvalid, and FileNotFoundError where there is no such file."""
    shown = one_line(str(file), 300)
    try:
        with file.open("rb") as stream:
            document = json.loads(stream.read(_MAX_LIST).decode("utf-8-sig"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ManifestInvalid(f"{shown} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError):
        raise ManifestInvalid(f"{shown} is not JSON that can be read.") from None
    if not isinstance(document, dict):
        raise ManifestInvalid(f"{shown} must hold one JSON object.")
    return document


def _write_list(paths: Paths, sources: Iterable[CatalogSource]) -> None:
    items = [{"name": source.name, "url": source.url} for source in sources]
    write_atomic(_list_file(paths), (json.dumps({"sources": items}, indent=1) + "\n").encode())


def _forget(source: CatalogSource, paths: Paths) -> None:
    import shutil

    folder = source.folder(paths)
    if folder.exists():
        shutil.rmtree(folder)
