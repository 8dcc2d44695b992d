"""The maintainer's `scripts/catalog`, as a maintainer and as a program meet it."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Targets

from npurun_tui.models import catalog_json
from npurun_tui.models.remote import faults
from scripts.catalog_tool import keys as key_files
from scripts.catalog_tool import main as tool
from scripts.catalog_tool import repository
from scripts.catalog_tool.keys import REPOSITORY
from scripts.catalog_tool.passphrases import PASSPHRASE
from tests.support.catalog_repo import entry, publish, relabelled
from tests.support.catalog_scene import Scene


def test_the_maintainers_tool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    public, keys, new = (str(tmp_path / name) for name in ("pub", "keys", "new"))
    assert tool.main(["init", public, "--keys", keys]) == 0
    for pem in Path(keys).iterdir():
        assert b"ENCRYPTED" in pem.read_bytes()
        assert os.name == "nt" or stat.S_IMODE(pem.stat().st_mode) == 0o600
    assert tool.main(["check", public]) == 1
    assert tool.main(["build", public, "--keys", keys]) == 0
    assert tool.main(["refresh", public, "--keys", keys, "--timestamp-days", "3"]) == 0
    capsys.readouterr()
    assert tool.main(["check", public]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines][-1] == "catalog.json"
    assert [line for line in lines if "EXPIRES SOON" in line] == [lines[1]]
    rotate = ["rotate", public, "--keys", new, "--old-keys", keys]
    assert tool.main(rotate) == 0
    assert tool.main(["build", public, "--keys", keys]) == 1
    assert tool.main(["build", public, "--keys", new]) == 0
    assert tool.main(["check", public]) == 0
    monkeypatch.setenv(PASSPHRASE, "wrong")
    capsys.readouterr()
    assert tool.main(["refresh", public, "--keys", new]) == 1
    assert "cannot be opened" in capsys.readouterr().err
    published = [path for path in (tmp_path / "pub").rglob("*") if path.is_file()]
    assert not [path for path in published if b"PRIVATE" in path.read_bytes()]
    plain = tmp_path / "as any program makes it"
    plain.touch()
    assert {path.stat().st_mode for path in published} == {plain.stat().st_mode}


def test_keys_stay_out_of_what_others_see(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = tmp_path / "pub"
    for keys in (public / "keys", REPOSITORY / "keys"):
        assert tool.main(["init", str(public), "--keys", str(keys)]) == 1
        assert "may not lie in" in capsys.readouterr().err
        assert not keys.exists()


def test_a_folder_that_has_a_catalog_gets_no_other_keys(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, public = tmp_path / "more", str(scene.repository.folder)
    assert tool.main(["init", public, "--keys", str(keys), "--no-passphrase"]) == 1
    assert "has a catalog already" in capsys.readouterr().err
    assert not keys.exists()


def test_what_a_timer_needs_to_renew_the_dates(scene: Scene) -> None:
    for pem in scene.repository.keys.glob("*.pem"):
        if pem.stem not in {"snapshot", "timestamp"}:
            pem.unlink()
    where = [str(scene.repository.folder), "--keys", str(scene.repository.keys)]
    assert tool.main(["refresh", *where]) == 0
    assert tool.main(["build", *where]) == 1
    assert scene.update().changed


def test_the_example_in_the_docs_is_a_list(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "catalog.md").read_text("utf-8")
    example = text.partition("```json\n")[2].partition("```")[0]
    (one,) = catalog_json.load(example.encode(), "the example")
    assert (one.backend, one.pinned, one.exact) == ("llama.cpp", True, True)


def test_what_no_program_would_take_is_not_checked_well(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    public = str(scene.repository.folder)
    assert tool.main(["check", public]) == 0
    targets = scene.repository.latest(Targets).signed
    targets.version += 1
    targets.unrecognized_fields["long"] = "x" * catalog_json.MAX_DOCUMENT
    scene.repository._sign_and_write(targets, "2.targets.json")
    scene.repository.refresh()
    assert tool.main(["check", public]) == 1
    with pytest.raises(faults.CatalogTooLarge):
        scene.update()


def test_keys_with_ids_of_their_own_are_not_checked_well(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as other tools make: TUF takes any label for an id, and this program does not."""
    real = key_files.signer

    def labelled(folder: Path, name: str, passphrase: str) -> CryptoSigner:
        key = real(folder, name, passphrase)
        return CryptoSigner(key._private_key, relabelled(key.public_key, name))

    monkeypatch.setattr(repository, "signer", labelled)
    monkeypatch.setattr(
        repository, "root_signers", lambda folder, word: [labelled(folder, "root-1", word)]
    )
    other = replace(scene.repository, folder=tmp_path / "other")
    other.init(1)
    publish(other, ["one"])
    assert tool.main(["check", str(other.folder)]) == 1


def test_a_root_that_is_not_the_newest_is_noticed(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = scene.repository.folder
    before = (public / "root.json").read_bytes()
    new = [str(public), "--keys", str(tmp_path / "new"), "--old-keys", str(scene.repository.keys)]
    assert tool.main(["rotate", *new, "--no-passphrase"]) == 0
    assert tool.main(["check", str(public)]) == 0
    (public / "root.json").write_bytes(before)
    assert tool.main(["check", str(public)]) == 1
    assert "not the newest root" in capsys.readouterr().err


@pytest.mark.parametrize("threshold", ["0", "3"])
def test_more_signatures_than_keys_cannot_be_asked_for(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str], threshold: str
) -> None:
    new, old = tmp_path / "new", str(scene.repository.keys)
    how = ["--keys", str(new), "--root-keys", "2", "--threshold", threshold, "--no-passphrase"]
    for action in (
        ["init", str(tmp_path / "pub"), *how],
        ["rotate", str(scene.repository.folder), *how, "--old-keys", old],
    ):
        assert tool.main(action) == 1
        assert "cannot give" in capsys.readouterr().err
        assert not new.exists(), "no keys lie about that are of no use"


def test_entries_from_a_file(scene: Scene, tmp_path: Path) -> None:
    where = [str(scene.repository.folder), "--keys", str(scene.repository.keys)]
    file = tmp_path / "entries.json"
    file.write_bytes(catalog_json.dump([entry("three")]))
    assert tool.main(["build", *where, "--entries", str(file)]) == 0
    scene.update()
    assert scene.remote() == ("three",)
    file.write_bytes(file.read_bytes().replace(b'"kind": "url"', b'"kind": "torrent"'))
    assert tool.main(["build", *where, "--entries", str(file)]) == 1
    file.write_bytes(b"{}")
    assert tool.main(["build", *where, "--entries", str(file)]) == 1


def test_shipping_puts_the_root_and_the_address_into_the_program(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = tmp_path / "trusted"
    monkeypatch.setattr(tool, "TRUSTED", trusted)
    public = str(scene.repository.folder)
    assert tool.main(["ship", public, "--url", "http://models.example"]) == 1
    assert not trusted.exists()
    assert tool.main(["ship", public, "--url", "https://models.example/catalog/"]) == 0
    assert json.loads((trusted / "source.json").read_text()) == {
        "url": "https://models.example/catalog"
    }
    plain = tmp_path / "as any program makes it"
    plain.touch()
    assert {path.stat().st_mode for path in trusted.iterdir()} == {plain.stat().st_mode}
    root = (scene.repository.folder / "root.json").read_bytes()
    assert (trusted / "root.json").read_bytes() == root
