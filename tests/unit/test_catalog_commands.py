"""`catalog` as a person and as a script meets it, and the maintainer's `scripts/catalog`."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from npurun_tui.cli import main
from npurun_tui.models import catalog_json
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.remote.known import known_catalog
from scripts.catalog_tool.repository import Days
from tests.support.catalog_repo import entry, publish, relabelled
from tests.support.catalog_scene import Scene


@pytest.fixture
def scene(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Whose home is the commands' as well."""
    monkeypatch.setenv("NPURUN_TUI_HOME", str(tmp_path / "home"))
    return scene


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
    forged = CryptoSigner(private, relabelled(own, real))
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


def test_a_word_too_many_leads_to_the_help_of_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["catalog", "add-source", "https://a.invalid", "b"]) == 2
    assert "See `npurun-tui catalog add-source --help`." in capsys.readouterr().err
    assert main(["list", "b"]) == 2
    assert "Unrecognized arguments: b. See `npurun-tui list --help`." in capsys.readouterr().err
    assert main(["--what"]) == 2
    assert "See `npurun-tui --help`." in capsys.readouterr().err
