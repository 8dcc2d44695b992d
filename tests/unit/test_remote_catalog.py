"""Remote catalogs over a real server: what is believed, and what is kept of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import TargetFile, Targets

from npurun_tui.errors import ModelBusy
from npurun_tui.models import catalog_json
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.lock import model_lock
from npurun_tui.models.remote import faults, sources
from npurun_tui.models.remote.known import known_catalog, source_states
from npurun_tui.models.remote.sources import add_source
from npurun_tui.models.remote.updating import update_source
from npurun_tui.settings import Paths
from scripts.catalog_tool.keys import ONLINE, ToolError, make_keys, root_names
from scripts.catalog_tool.repository import Repository
from tests.support.catalog_repo import entry, new_repository, publish
from tests.support.catalog_scene import QUICK, Scene


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.resolve({"NPURUN_TUI_HOME": str(tmp_path / "home")})


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


def test_a_list_is_read_once_for_as_long_as_it_is_the_same(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    def counted(data: bytes, where: str, *, catalog: str = "") -> tuple[CatalogEntry, ...]:
        reads.append(hashlib.sha256(data).hexdigest())
        return load(data, where, catalog=catalog)

    load = catalog_json.load
    scene.update()
    monkeypatch.setattr(catalog_json, "load", counted)
    known = [known_catalog(scene.paths) for _ in range(3)]
    assert len(reads) <= 1
    assert known[1][-1] is known[2][-1]
    publish(scene.repository, ["two"])
    scene.update()
    reads.clear()
    assert scene.remote() == ("two",), "the list from before is not shown once there is another"
    stored = next(scene.source.folder(scene.paths).glob("catalog-*.json"))
    stored.write_bytes(stored.read_bytes() + b" ")
    assert scene.remote() == (), "what was read before does not hide that it is damaged now"
    assert len(reads) <= 1


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


def test_who_was_away_for_several_keys_follows_all_of_them(scene: Scene, tmp_path: Path) -> None:
    repository = scene.repository
    for number in range(4):
        after = new_keys(tmp_path / str(number), repository)
        after.rotate(repository.keys, "", 1)
        repository = after
    publish(repository, ["five"])
    assert scene.update().changed
    assert scene.remote() == ("five",)


def test_a_release_with_another_root_is_believed_at_once(scene: Scene, tmp_path: Path) -> None:
    """Perhaps the keys of the older one were stolen: then nothing of what they signed stays in use."""
    for number, version in ((1, 3), (2, 5)):
        scene.update()
        assert scene.remote() != ()
        repository = scene.repository
        after = new_keys(tmp_path / str(number), repository)
        after.rotate(repository.keys, "", 1)
        publish(after, [f"by-{number}"])
        scene.repository = after
        scene.source.root_file.write_bytes((after.folder / "root.json").read_bytes())
        assert (scene.state.state, scene.remote()) == ("never updated", ())
        done = scene.update()
        assert done.record is not None
        assert (done.record.version, scene.remote()) == (version, (f"by-{number}",))
    anew = new_repository(tmp_path / "anew", "by-others")
    scene.site.serve_copy(anew.folder)
    scene.source.root_file.write_bytes((anew.folder / "root.json").read_bytes())
    assert scene.update().record is not None
    assert scene.remote() == ("by-others",), "older versions are no rollback where the keys differ"
    scene.source.root_file.unlink()
    assert scene.state.state == "damaged"


class OtherHashes(Repository):
    """As a maintainer with another tool may publish."""

    def build(self, data: bytes) -> int:
        targets = self._next(Targets)
        file = TargetFile.from_data("catalog.json", data, ["sha512"])
        targets.targets = {"catalog.json": file}
        (self.folder / "targets" / f"{file.hashes['sha512']}.catalog.json").write_bytes(data)
        self._sign_and_write(targets, f"{targets.version}.targets.json")
        self.refresh()
        return targets.version


def test_a_list_that_is_known_by_another_hash_is_news_only_once(scene: Scene) -> None:
    repository = OtherHashes(scene.repository.folder, scene.repository.keys)
    for names, news in ((("one",), True), (("one",), False), (("two",), True), (("two",), False)):
        publish(repository, names)
        assert scene.update().changed is news
        assert scene.remote() == names


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


def test_what_another_source_of_the_same_name_left_is_not_believed(scene: Scene) -> None:
    """The list of sources may be edited by hand: then what was fetched is still there."""
    scene.update()
    (scene.paths.config.parent / "catalogs.json").unlink()
    assert (scene.source.folder(scene.paths) / "state.json").exists()
    add_source(scene.paths, "acme", "https://models.example", scene.source.root())
    assert scene.state.state == "never updated"
    assert scene.remote() == ()


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


def test_there_may_be_twenty_sources(scene: Scene) -> None:
    names = ["acme", *(f"source-{number}" for number in range(20))]
    items = [{"name": name, "url": "https://models.example"} for name in names]
    file = scene.paths.config.parent / "catalogs.json"
    file.write_text(json.dumps({"sources": items}))
    with pytest.raises(faults.SourceInvalid, match="more than 20"):
        sources.all_sources(scene.paths)
    file.write_text(json.dumps({"sources": items[:20]}))
    assert len(sources.all_sources(scene.paths)) == 20
    with pytest.raises(faults.SourceInvalid, match="There are 20 catalogs already"):
        add_source(scene.paths, "one-more", "https://models.example", scene.source.root())


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
