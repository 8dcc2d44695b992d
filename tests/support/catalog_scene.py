"""One user, one signed catalog, one server: what most tests of remote catalogs begin with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.remote import faults
from npurun_tui.models.remote.fetcher import Limits
from npurun_tui.models.remote.known import known_catalog
from npurun_tui.models.remote.sources import CatalogSource, add_source
from npurun_tui.models.remote.stored import SourceState, read_state
from npurun_tui.models.remote.updating import Update, update_source
from npurun_tui.settings import Paths
from scripts.catalog_tool.repository import Repository
from tests.support.catalog_repo import Site, new_repository, serve

QUICK = Limits(connect=2, stall=0.3, whole=3)
BUILT_IN = tuple(e.name for e in CATALOG)


@dataclass
class Scene:
    """One catalog called `acme`, with the model `one` in version 1, its server, and a user who trusts it."""

    repository: Repository
    site: Site
    paths: Paths
    source: CatalogSource

    def update(self, limits: Limits = QUICK) -> Update:
        return update_source(self.paths, self.source, limits)

    @property
    def state(self) -> SourceState:
        return read_state(self.paths, self.source)

    def remote(self) -> tuple[str, ...]:
        """The names beside the built-in list, which has to be there and first."""
        names = tuple(e.name for e in known_catalog(self.paths))
        assert names[: len(BUILT_IN)] == BUILT_IN
        return names[len(BUILT_IN) :]

    def list_with(self, name: str) -> Path:
        """The published list that has the model `name`."""
        files = self.repository.folder.glob("targets/*")
        return next(file for file in files if f"The model {name}".encode() in file.read_bytes())

    def refuses(self, kind: type[faults.CatalogError], words: str, limits: Limits = QUICK) -> None:
        """An update fails in these words, and changes nothing of what is in use."""
        before = self.remote()
        with pytest.raises(kind) as caught:
            self.update(limits)
        assert type(caught.value) is kind
        assert words in caught.value.message
        assert caught.value.message.count("\n") == 0
        assert caught.value.mend
        assert self.remote() == before


@contextlib.contextmanager
def scene_in(folder: Path) -> Iterator[Scene]:
    """A scene whose files lie in `folder`, before the first update; the server ends with the context."""
    repository = new_repository(folder / "acme", "one")
    paths = Paths.resolve({"NPURUN_TUI_HOME": str(folder / "home")})
    with serve(repository.folder) as site:
        root = (repository.folder / "root.json").read_bytes()
        yield Scene(repository, site, paths, add_source(paths, "acme", site.url, root))
