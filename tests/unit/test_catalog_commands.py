"""`catalog` as a person and as a script meets it, and the maintainer's `scripts/catalog`."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, Root, Targets

from npurun_tui.cli import main
from npurun_tui.models import catalog_json
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.remote import faults
from npurun_tui.models.remote.known import known_catalog
from scripts.catalog_tool import keys as key_files
from scripts.catalog_tool import main as tool
from scripts.catalog_tool import repository
from scripts.catalog_tool.keys import REPOSITORY
from scripts.catalog_tool.passphrases import PASSPHRASE
from scripts.catalog_tool.repository import Days
from tests.support.catalog_repo import entry, publish
from tests.support.catalog_scene import Scene, scene_in


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("NPURUN_TUI_HOME", str(tmp_path / "home"))
    with scene_in(tmp_path) as made:
        yield made


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit status, stdout and stderr of `npurun-tui catalog …`."""
    status = main(["catalog", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status, out, _ = run(capsys, *arguments, "--json")
    return status, json.loads(out)


# --- list and update ---------------------------------------------------------------------------


def test_the_life_of_a_source(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert "never updated" in out
    status, out, err = run(capsys, "update")
    assert (status, err) == (0, "")
    assert out.startswith("acme: version 1, new, 1 model, good until 20")
    assert "unchanged" in run(capsys, "update")[1]
    status, out, _ = run(capsys, "list")
    lines = out.splitlines()
    assert next(line for line in lines if line.startswith("one ")).split()[-2:] == [
        "recorded",
        "acme",
    ]
    assert next(line for line in lines if line.startswith("smoll")).split()[-2:] == [
        "pinned",
        "built-in",
    ]
    assert next(line for line in lines if line.startswith("acme")).split()[1:3] == ["current", "1"]
    assert all(len(line) <= 80 for line in lines)
    assert run(capsys, "remove-source", "acme")[0] == 0
    assert known_catalog(scene.paths) == CATALOG
    assert not scene.source.folder(scene.paths).exists()
    assert not scene.source.root_file.exists()
    status, _, err = run(capsys, "remove-source", "acme")
    assert status == 1
    assert "No catalog called acme was added." in err


def test_a_refused_update_says_what_stays_in_use(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.site.replaced["metadata/timestamp.json"] = b"{}"
    status, out, err = run(capsys, "update")
    assert status == 1
    assert out.startswith("acme: refused (tampered): timestamp.json")
    assert f"The built-in list of {len(CATALOG)} models stays in use." in out
    assert err.count("\n") == 1
    assert "1 of 1 catalog could not be updated." in err
    scene.site.replaced.clear()
    assert run(capsys, "update")[0] == 0
    scene.site.statuses["metadata/timestamp.json"] = 503
    status, out, _ = run(capsys, "update")
    assert status == 1
    assert out.startswith("acme: offline:")
    assert out.count("in use") == 1
    assert "Version 1, and the built-in list, stay in use." in out


def test_documents_for_programs(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    status, updated = run_json(capsys, "update")
    assert status == 0
    assert updated["sources"][0]["updated"] is True
    assert updated["sources"][0]["in_use"]["entries"] == 1
    _, listed = run_json(capsys, "list")
    assert len(listed["entries"]) == len(CATALOG) + 1
    assert listed["entries"][-1]["catalog"] == "acme"
    assert listed["sources"][0] | {"expires": "", "updated": ""} == {
        "name": "acme",
        "url": scene.site.url,
        "ships_with_program": False,
        "state": "current",
        "version": 1,
        "expires": "",
        "updated": "",
        "entries": 1,
    }
    late = replace(scene.repository, days=Days(timestamp=-1))
    late.build(catalog_json.dump([entry("two")]))
    status, refused = run_json(capsys, "update")
    assert status == 1
    assert refused["sources"][0]["reason"] == "expired"
    assert refused["sources"][0]["in_use"]["version"] == 1


def test_one_bad_source_does_not_keep_the_others(
    scene: Scene, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = str(scene.source.root_file)
    assert run(capsys, "add-source", "http://127.0.0.1:1", "--name", "gone", "--root", root)[0] == 0
    publish(scene.repository, ["two"])
    status, out, err = run(capsys, "update")
    assert status == 1
    assert [line.partition(":")[0] for line in out.splitlines()] == ["acme", "gone"]
    assert "1 of 2 catalogs" in err
    assert scene.remote() == ("two",)


# --- sources -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("http://models.example",), 2, "must be https"),
        (("https://u:secret@models.example",), 2, "credentials"),
        (("https://models.example/?a=b",), 2, "question mark"),
        (("https://models.example", "--name", "../x"), 2, "catalog's name"),
        (("https://models.example", "--name", "npurun"), 2, "ships with the program"),
        (("https://models.example",), 2, "--trust-on-first-use"),
        (("https://models.example", "--root", "/nonexistent"), 1, "not a file"),
        (
            ("https://models.example", "--root", "/nonexistent", "--trust-on-first-use"),
            2,
            "not allowed",
        ),
        (("https://models.example", "--root", __file__), 1, "root of trust"),
        (("https://xn--a.invalid", "--trust-on-first-use"), 1, "is none."),
        (("http://127.0.0.1:1", "--trust-on-first-use"), 1, "reached: the connection was refused."),
    ],
)
def test_sources_that_are_not_added(
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    words: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    found, out, err = run(capsys, "add-source", *arguments)
    assert (found, out) == (status, "")
    assert words in err
    assert "secret" not in err
    assert err.count("\n") == 1


def test_a_root_that_is_too_large(
    scene: Scene, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = scene.source.root()
    large = tmp_path / "root.json"
    large.write_bytes(data + b" " * 512_000)
    status, _, err = run(capsys, "add-source", scene.site.url, "--name", "b", "--root", str(large))
    assert status == 1
    assert "too large for a root.json" in err
    scene.site.replaced["root.json"] = large.read_bytes()
    status, _, err = run(
        capsys, "add-source", scene.site.url, "--name", "b", "--trust-on-first-use"
    )
    assert status == 1
    assert "larger than it may be" in err


def test_a_name_that_is_taken(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(scene.source.root_file)
    found = run(capsys, "add-source", scene.site.url, "--name", "acme", "--root", root)
    assert found[0] == 1
    assert "called acme already" in found[2]


def test_a_root_that_cannot_be_fetched(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = run(
        capsys, "add-source", "http://127.0.0.1:1", "--name", "b", "--trust-on-first-use"
    )
    assert err.endswith("Try again later.\n")
    assert "in use" not in err, "nothing is, of a catalog that was never added"


def test_a_list_of_sources_that_cannot_be_written(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    file = scene.paths.config.parent / "catalogs.json"
    file.unlink()
    scene.source.root_file.unlink()
    (scene.source.root_file / "in the way").mkdir(parents=True)
    status, _, err = run(
        capsys, "add-source", scene.site.url, "--name", "acme", "--trust-on-first-use"
    )
    assert status == 1
    assert "cannot be changed: Is a directory. Look at the rights of " in err
    assert "[Errno" not in err


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("\n", 1), ("", 1)])
def test_trust_on_first_use_on_a_terminal(
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    status: int,
) -> None:
    run(capsys, "remove-source", "acme")
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    found, _, err = run(capsys, "add-source", scene.site.url)
    assert found == status
    keyid = scene.repository.latest(Root).signed.roles["root"].keyids[0]
    assert "asks for 1 of these keys" in err
    assert keyid in err
    assert scene.site.requests == ["root.json"]
    assert run(capsys, "update")[0] == 0
    assert ("one" in {e.name for e in known_catalog(scene.paths)}) is (status == 0)


def test_a_fetched_root_that_its_keys_did_not_sign(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (scene.repository.folder / "root.json").read_bytes()
    scene.site.replaced["root.json"] = data.replace(b'"version": 1', b'"version": 2')
    status, _, err = run(
        capsys, "add-source", scene.site.url, "--name", "b", "--trust-on-first-use"
    )
    assert status == 1
    assert "root of trust" in err


def test_a_root_whose_keys_wear_other_ids(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """In TUF an id is only a label; people compare ids, so another key must not be able to wear them."""
    private = Ed25519PrivateKey.generate()
    own = CryptoSigner(private).public_key
    real = scene.repository.latest(Root).signed.roles["root"].keyids[0]
    forged = CryptoSigner(private, SSlibKey(real, **_parts(own)))
    root = Root(expires=datetime.now(UTC) + timedelta(days=9))
    for role in ("root", "timestamp", "snapshot", "targets"):
        root.add_key(forged.public_key, role)
    signed = Metadata(root)
    signed.sign(forged)
    scene.site.replaced["root.json"] = signed.to_bytes()
    status, _, err = run(
        capsys, "add-source", scene.site.url, "--name", "b", "--trust-on-first-use"
    )
    assert status == 1
    assert "root of trust" in err


def _parts(key: SSlibKey) -> dict[str, Any]:
    return {"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval}


# --- the maintainer's side ---------------------------------------------------------------------


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
    assert not [p for p in (tmp_path / "pub").rglob("*") if b"PRIVATE" in _bytes(p)]


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


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
        return CryptoSigner(key._private_key, SSlibKey(name, **_parts(key.public_key)))

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
    root = (scene.repository.folder / "root.json").read_bytes()
    assert (trusted / "root.json").read_bytes() == root
    assert tool.main(["init", str(tmp_path / "p"), "--keys", str(tmp_path / "k"), "--ship"]) == 1


def test_a_word_too_many_leads_to_the_help_of_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["catalog", "add-source", "https://a.invalid", "b"]) == 2
    assert "See `npurun-tui catalog add-source --help`." in capsys.readouterr().err
    assert main(["list", "b"]) == 2
    assert "Unrecognized arguments: b. See `npurun-tui list --help`." in capsys.readouterr().err
    assert main(["--what"]) == 2
    assert "See `npurun-tui --help`." in capsys.readouterr().err
