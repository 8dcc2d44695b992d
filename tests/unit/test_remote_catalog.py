"""Remote catalogs over a real server: what is believed, what is refused and in which words, and what stays in use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import MetaFile

from npurun_tui.errors import ModelBusy
from npurun_tui.models import catalog_json
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.lock import model_lock
from npurun_tui.models.remote import faults, sources
from npurun_tui.models.remote.fetcher import Limits
from npurun_tui.models.remote.known import known_catalog, source_states
from npurun_tui.models.remote.sources import CatalogSource, add_source
from npurun_tui.models.remote.stored import SourceState, read_state
from npurun_tui.models.remote.updating import Update, update_source
from npurun_tui.settings import Paths
from scripts.catalog_tool.keys import ONLINE, ToolError, make_keys, root_names
from scripts.catalog_tool.repository import Days, Repository
from tests.support.catalog_repo import Site, entry, new_repository, publish, serve

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


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.resolve({"NPURUN_TUI_HOME": str(tmp_path / "home")})


@pytest.fixture
def scene(tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    repository = new_repository(tmp_path / "acme", "one")
    with serve(repository.folder) as site:
        root = (repository.folder / "root.json").read_bytes()
        yield Scene(repository, site, paths, add_source(paths, "acme", site.url, root))


# --- what is believed --------------------------------------------------------------------------


def test_a_good_update(scene: Scene) -> None:
    assert scene.state.state == "never updated"
    assert scene.remote() == ()
    done = scene.update()
    assert done.changed
    assert scene.remote() == ("one",)
    assert known_catalog(scene.paths)[-1] == replace(entry("one"), catalog="acme")
    state = scene.state
    assert (state.state, state.record) == ("current", done.record)
    assert done.record is not None
    assert done.record.version == 1
    left = datetime.fromisoformat(done.record.expires) - datetime.now(UTC)
    assert timedelta(days=29) < left < timedelta(days=31), "the earliest date is the timestamp's"


def test_nothing_is_fetched_twice(scene: Scene) -> None:
    scene.update()
    scene.site.requests.clear()
    assert not scene.update().changed
    assert scene.site.requests == ["metadata/2.root.json", "metadata/timestamp.json"]


def test_a_newer_list_replaces_the_older(scene: Scene) -> None:
    scene.update()
    publish(scene.repository, ["two", "three"])
    assert scene.update().changed
    assert scene.remote() == ("two", "three")
    assert len(list(scene.source.folder(scene.paths).glob("catalog*"))) == 1


def new_keys(tmp_path: Path, repository: Repository) -> Repository:
    keys = tmp_path / "new-keys"
    make_keys(keys, repository.folder, [*root_names(2), *ONLINE], "")
    return replace(repository, keys=keys)


def test_keys_are_handed_over(scene: Scene, tmp_path: Path) -> None:
    scene.update()
    after = new_keys(tmp_path, scene.repository)
    after.rotate(scene.repository.keys, "", 2)
    assert scene.update().record is not None
    publish(after, ["two"])
    assert scene.update().changed
    assert scene.remote() == ("two",)
    with pytest.raises(ToolError):
        publish(scene.repository, ["forged"])


def test_keys_that_the_old_ones_did_not_sign_are_refused(scene: Scene, tmp_path: Path) -> None:
    scene.update()
    after = new_keys(tmp_path, scene.repository)
    with pytest.raises(ToolError, match="Too few root keys"):
        after.rotate(after.keys, "", 1)
    other = new_repository(tmp_path / "other", "forged")
    new_keys(tmp_path / "other", other).rotate(other.keys, "", 1)
    second = (other.folder / "metadata" / "2.root.json").read_bytes()
    scene.site.replaced["metadata/2.root.json"] = second
    scene.refuses(faults.CatalogTampered, "2.root.json")


# --- what is refused ---------------------------------------------------------------------------


def test_a_tampered_list(scene: Scene) -> None:
    scene.update()
    publish(scene.repository, ["two"])
    path = scene.list_with("two")
    name = f"targets/{path.name}"
    scene.site.replaced[name] = path.read_bytes().replace(b"The model two", b"The model owt")
    scene.refuses(faults.CatalogTampered, "catalog.json")
    scene.site.replaced[name] = path.read_bytes()[:-1]
    scene.refuses(faults.CatalogTampered, "not the file that was signed")
    scene.site.replaced.clear()
    scene.update()
    assert scene.remote() == ("two",)


@pytest.mark.parametrize("name", ["timestamp", "2.snapshot", "2.targets"])
@pytest.mark.parametrize("known", [True, False])
def test_tampered_metadata(scene: Scene, name: str, known: bool) -> None:
    if known:
        scene.update()
    publish(scene.repository, ["two"])
    path = f"metadata/{name}.json"
    data = (scene.repository.folder / path).read_bytes()
    scene.site.replaced[path] = data.replace(b'"version": 2', b'"version": 3').replace(
        b'"expires": "20', b'"expires": "21'
    )
    assert scene.site.replaced[path] != data
    scene.refuses(faults.CatalogTampered, name)


@pytest.mark.parametrize(
    "data", [b"<html>Sign in to this network</html>", b"{}", b"[" * 12_000, b"\xff\xfe", b"null"]
)
@pytest.mark.parametrize("name", ["2.root", "timestamp", "1.snapshot"])
def test_what_is_no_metadata(scene: Scene, name: str, data: bytes) -> None:
    scene.site.replaced[f"metadata/{name}.json"] = data
    # Of a snapshot the length is known, so that it is not even read to its end.
    long = name == "1.snapshot" and len(data) > 10_000
    scene.refuses(faults.CatalogTooLarge if long else faults.CatalogTampered, name)


def test_other_keys(scene: Scene, tmp_path: Path) -> None:
    scene.update()
    forged = new_repository(tmp_path / "other", "forged")
    publish(forged, ["forged"])
    scene.site.serve_copy(forged.folder)
    scene.refuses(faults.CatalogTampered, "not signed by the keys that are trusted")


def test_a_date_that_has_passed(scene: Scene) -> None:
    scene.update()
    replace(scene.repository, days=Days(timestamp=-1)).build(catalog_json.dump([entry("two")]))
    scene.refuses(faults.CatalogExpired, "past its date")
    scene.refuses(faults.CatalogExpired, "past its date")
    scene.repository.refresh()
    scene.update()
    assert scene.remote() == ("two",)


def test_a_server_that_withholds_what_is_new(scene: Scene) -> None:
    """It can do so only until the date: then what is stored stays in use, and says that it is old."""
    replace(scene.repository, days=Days(timestamp=2 / 86_400)).refresh()
    deadline = time.monotonic() + 5
    try:
        scene.update()
    except faults.CatalogExpired:  # a slow machine: it is past already
        pytest.skip("slower than a second")
    while scene.state.state == "current":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert scene.state.state == "expired"
    scene.refuses(faults.CatalogExpired, "past its date")
    assert scene.remote() == ("one",)


def test_an_older_list_than_before(scene: Scene, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(scene.repository.folder, old)
    publish(scene.repository, ["two"])
    scene.update()
    scene.site.serve_copy(old)
    scene.refuses(faults.CatalogRolledBack, "older list")
    assert scene.remote() == ("two",)


class WithoutHashes(Repository):
    """As a maintainer with another tool may publish: versions only, which TUF allows."""

    def _meta(self, version: int, name: str) -> MetaFile:
        return MetaFile(version)


@pytest.mark.parametrize("role", ["snapshot", "targets"])
@pytest.mark.parametrize("hashes", [True, False])
def test_files_of_different_versions(scene: Scene, role: str, hashes: bool) -> None:
    scene.update()
    given = scene.repository
    repository = given if hashes else WithoutHashes(given.folder, given.keys)
    publish(repository, ["two"])
    old = (given.metadata / f"1.{role}.json").read_bytes()
    scene.site.replaced[f"metadata/2.{role}.json"] = old
    kind = faults.CatalogTampered if hashes else faults.CatalogMixed
    scene.refuses(kind, f"2.{role}.json")


@pytest.mark.parametrize("name", ["2.root", "timestamp", "2.snapshot", "2.targets", "list"])
@pytest.mark.parametrize("known", [True, False])
def test_a_file_without_an_end(scene: Scene, name: str, known: bool) -> None:
    if known:
        scene.update()
    publish(scene.repository, ["two"])
    listed = scene.list_with("two").name
    path = f"targets/{listed}" if name == "list" else f"metadata/{name}.json"
    scene.site.endless.add(path)
    scene.refuses(faults.CatalogTooLarge, path.rpartition("/")[2])


def test_a_list_that_is_too_large_is_not_even_fetched(scene: Scene) -> None:
    scene.repository.build(b" " * (catalog_json.MAX_DOCUMENT + 1))
    scene.refuses(faults.CatalogTooLarge, "too large")
    assert not [path for path in scene.site.requests if path.startswith("targets/")]


@pytest.mark.parametrize("name", ["metadata/2.root.json", "metadata/timestamp.json"])
def test_a_server_that_falls_silent(scene: Scene, name: str) -> None:
    scene.site.silent.add(name)
    start = time.monotonic()
    scene.refuses(faults.CatalogOffline, "fell silent")
    assert time.monotonic() - start < 10


def test_a_server_that_drips(scene: Scene) -> None:
    scene.site.dripping.add("metadata/timestamp.json")
    start = time.monotonic()
    scene.refuses(faults.CatalogOffline, "too slow", Limits(stall=5, whole=0.6))
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("status", [500, 503, 403, 404])
def test_a_server_that_refuses(scene: Scene, status: int) -> None:
    scene.site.statuses["metadata/timestamp.json"] = status
    scene.refuses(faults.CatalogOffline, str(status))


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("http://models.invalid/timestamp.json", faults.CatalogTampered),
        ("ftp://127.0.0.1/timestamp.json", faults.CatalogTampered),
        ("file:///etc/passwd", faults.CatalogTampered),
        ("/metadata/timestamp.json", faults.CatalogTampered),
        ("http://127.0.0.1:1/timestamp.json", faults.CatalogOffline),
    ],
)
def test_redirects(scene: Scene, target: str, kind: type[faults.CatalogError]) -> None:
    scene.site.redirects["metadata/timestamp.json"] = target
    scene.refuses(kind, "127.0.0.1")


def test_a_redirect_that_is_followed(scene: Scene) -> None:
    data = (scene.repository.metadata / "timestamp.json").read_bytes()
    scene.site.replaced["elsewhere/t.json"] = data
    scene.site.redirects["metadata/timestamp.json"] = "/elsewhere/t.json"
    assert scene.update().changed


def test_a_server_that_is_gone(scene: Scene, tmp_path: Path) -> None:
    scene.update()
    with serve(tmp_path) as gone:
        pass
    scene.source = replace(scene.source, url=gone.url)
    scene.refuses(faults.CatalogOffline, "cannot be reached")
    assert scene.remote() == ("one",)


@pytest.mark.parametrize(
    "data", [b"no json", b'{"schema": 2, "entries": []}', b'{"schema": 1, "entries": 5}']
)
def test_a_signed_list_that_cannot_be_used(scene: Scene, data: bytes) -> None:
    scene.update()
    scene.repository.build(data)
    scene.refuses(faults.CatalogUnusable, "catalog.json")
    assert scene.remote() == ("one",)


# --- what is kept ------------------------------------------------------------------------------


def test_a_stored_list_that_was_changed_is_not_used_and_fetched_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.update()
    (file,) = scene.source.folder(scene.paths).glob("catalog-*.json")
    file.write_bytes(file.read_bytes().replace(b"one", b"two"))
    assert scene.remote() == ()
    assert scene.state.state == "damaged"
    assert "sha256" in caplog.text
    assert scene.update().changed
    assert scene.remote() == ("one",)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"[" * 9000, b'{"sha256": "../../x", "version": 1}', b"\xff", b"{}"]
)
def test_a_record_that_cannot_be_read(scene: Scene, data: bytes) -> None:
    scene.update()
    (scene.source.folder(scene.paths) / "state.json").write_bytes(data)
    assert scene.state.state == "damaged"
    assert scene.remote() == ()
    scene.update()
    assert scene.remote() == ("one",)


def test_damaged_metadata_of_the_client_mends_itself(scene: Scene) -> None:
    scene.update()
    for file in (scene.source.folder(scene.paths) / "metadata").glob("*.json"):
        if file.name != "root.json":
            file.write_bytes(b"\xff")
    scene.update()
    assert scene.remote() == ("one",)


def test_two_updates_at_once(scene: Scene) -> None:
    with (
        model_lock(scene.paths.data / "catalogs" / ".locks", "acme"),
        pytest.raises(ModelBusy, match="acme"),
    ):
        scene.update()


def test_who_may_replace_what(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = CATALOG[1].name
    publish(scene.repository, [name, "both"])
    scene.update()
    second = add_source(scene.paths, "second", scene.site.url, scene.source.root())
    update_source(scene.paths, second, QUICK)
    assert scene.remote() == ("both",)
    known = {e.name: e for e in known_catalog(scene.paths)}
    assert (known[name].catalog, known["both"].catalog) == ("", "acme")

    trusted = tmp_path / "trusted"
    trusted.mkdir()
    shutil.copy(scene.repository.folder / "root.json", trusted)
    (trusted / "source.json").write_text(json.dumps({"url": scene.site.url}))
    shipped = sources.builtin_source(trusted)
    assert shipped is not None
    monkeypatch.setattr(sources, "builtin_source", lambda: shipped)
    update_source(scene.paths, shipped, QUICK)
    assert [s.source.name for s in source_states(scene.paths)] == ["npurun", "acme", "second"]
    known = {e.name: e for e in known_catalog(scene.paths)}
    assert (known[name].catalog, known["both"].catalog) == ("npurun", "npurun")
    assert scene.remote() == ("both",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"sources": 5}',
        '{"sources": [{"name": "../x", "url": "https://a.example"}]}',
        '{"sources": [{"name": "x", "url": "http://a.example"}]}',
        '{"sources": [{"name": "npurun", "url": "https://a.example"}]}',
        '{"sources": [{"name": "x", "url": "https://a.example"}, {"name": "x", "url": "https://a.example"}]}',
    ],
)
def test_a_list_of_sources_that_cannot_be_used(paths: Paths, text: str) -> None:
    paths.config.parent.mkdir(parents=True)
    (paths.config.parent / "catalogs.json").write_text(text)
    assert known_catalog(paths) == CATALOG
    with pytest.raises(faults.SourceInvalid, match=r"catalogs\.json"):
        sources.all_sources(paths)


def test_nothing_heavy_is_imported_for_what_is_known(scene: Scene) -> None:
    scene.update()
    script = (
        "import sys; from npurun_tui.settings import Paths;"
        "from npurun_tui.models.remote.known import known_catalog;"
        "print(known_catalog(Paths.resolve())[-1].name);"
        "print(sorted({m.partition('.')[0] for m in sys.modules} &"
        "{'httpx', 'tuf', 'cryptography', 'securesystemslib', 'asyncio'}))"
    )
    environ = os.environ | {"NPURUN_TUI_HOME": str(scene.paths.data.parent)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["one", "[]"]
