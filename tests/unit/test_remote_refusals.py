"""Remote catalogs over a real server: what is refused, and in which words; what was there stays in use."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tuf.api.metadata import MetaFile

from npurun_tui.models import catalog_json
from npurun_tui.models.catalog import UrlSource, Variant
from npurun_tui.models.remote import faults
from npurun_tui.models.remote.fetcher import Limits
from scripts.catalog_tool.repository import Days, Repository
from tests.support.catalog_repo import Site, entry, new_repository, publish, serve
from tests.support.catalog_scene import Scene
from tests.support.certificate import self_signed
from tests.support.pulling import only_index


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
@pytest.mark.parametrize("name", ["2.root", "1.snapshot"])
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
def test_a_file_without_an_end(scene: Scene, name: str) -> None:
    scene.update()
    publish(scene.repository, ["two"])
    listed = scene.list_with("two").name
    path = f"targets/{listed}" if name == "list" else f"metadata/{name}.json"
    scene.site.endless.add(path)
    scene.refuses(faults.CatalogTooLarge, path.rpartition("/")[2])


@pytest.mark.parametrize("name", ["snapshot", "targets"])
def test_a_length_that_was_signed_is_not_believed_without_bounds(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As who has stolen the keys for snapshot and timestamp may sign."""
    real = Repository._meta

    def huge(repository: Repository, version: int, file: str) -> MetaFile:
        true = real(repository, version, file)
        return MetaFile(version, length=10**12) if name in file else true

    scene.update()
    monkeypatch.setattr(Repository, "_meta", huge)
    publish(scene.repository, ["two"])
    scene.site.endless.add(f"metadata/2.{name}.json")
    scene.refuses(faults.CatalogTooLarge, f"2.{name}.json", Limits(whole=30))


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


LONG = "a" * 70


@pytest.mark.parametrize(
    ("target", "kind", "says"),
    [
        ("http://models.invalid/timestamp.json", faults.CatalogTampered, "127.0.0.1"),
        ("ftp://127.0.0.1/timestamp.json", faults.CatalogTampered, "cannot be used"),
        ("file:///etc/passwd", faults.CatalogTampered, "cannot be used"),
        ("/metadata/timestamp.json", faults.CatalogTampered, "in a circle"),
        ("http://127.0.0.1:1/timestamp.json", faults.CatalogOffline, "127.0.0.1:1 cannot"),
        ("https://u:p@models.invalid/t.json", faults.CatalogTampered, "cannot be used"),
        ("https://xn--a.invalid/t.json", faults.CatalogOffline, "that it leads to, is none"),
        (f"https://{LONG}.invalid/t.json", faults.CatalogOffline, f"{LONG}.invalid cannot"),
        ("http://[::1", faults.CatalogOffline, "127.0.0.1"),
    ],
)
def test_redirects(scene: Scene, target: str, kind: type[faults.CatalogError], says: str) -> None:
    scene.site.redirects["metadata/timestamp.json"] = target
    scene.refuses(kind, says)


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
    scene.refuses(faults.CatalogOffline, "cannot be reached: ")
    assert scene.remote() == ("one",)


@pytest.fixture
def elsewhere(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The same catalog behind https, with a certificate that nobody knows."""
    only_index(monkeypatch, "https://index.invalid")
    certificate = self_signed(tmp_path / "certificate.pem")
    with serve(scene.repository.folder, certificate) as site:
        scene.source = replace(scene.source, url=site.url)
        yield site


def test_a_certificate_that_is_not_trusted(scene: Scene, elsewhere: Site) -> None:
    scene.refuses(faults.CatalogOffline, "The certificate of 127.0.0.1")
    with pytest.raises(faults.CatalogOffline) as caught:
        scene.update()
    assert "SSL_CERT_FILE" in caught.value.mend
    assert elsewhere.requests == []


@pytest.fixture
def trusted(tmp_path: Path, elsewhere: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """`elsewhere`, with a certificate that is known."""
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "certificate.pem"))
    return elsewhere


def test_a_proxy_that_is_not_there(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_PROXY", "http://127.0.0.1:1")
    scene.refuses(faults.CatalogOffline, "through the proxy 127.0.0.1:1")
    assert scene.site.requests == []


def test_https_is_not_left(scene: Scene, trusted: Site) -> None:
    local = trusted.url.replace("https", "http")  # which alone would be allowed
    trusted.redirects["metadata/timestamp.json"] = f"{local}/metadata/timestamp.json"
    scene.refuses(faults.CatalogTampered, "is not https")
    trusted.redirects.clear()
    assert scene.update().changed


def test_a_catalog_from_elsewhere_cannot_have_this_machine_asked(
    scene: Scene, trusted: Site
) -> None:
    here = UrlSource("http://127.0.0.1:8080/x.zip")
    there = replace(entry("one"), source=UrlSource("https://models.example/x.zip"))
    variant = Variant("v81", here, 1, 1, "2.45.0")
    for each in (replace(there, source=here), replace(there, variants=(variant,))):
        scene.repository.build(catalog_json.dump([each]))
        scene.refuses(faults.CatalogUnusable, "on this machine itself for one")
    scene.source = replace(scene.source, url=scene.site.url)
    scene.update()
    assert scene.remote() == ("one",), "that server is on this machine too"


@pytest.mark.parametrize(
    "data", [b"no json", b'{"schema": 2, "entries": []}', b'{"schema": 1, "entries": 5}']
)
def test_a_signed_list_that_cannot_be_used(scene: Scene, data: bytes) -> None:
    scene.update()
    scene.repository.build(data)
    scene.refuses(faults.CatalogUnusable, "catalog.json")
    assert scene.remote() == ("one",)
