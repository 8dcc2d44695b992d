"""A root of trust that ships: from the maintainer's command to a program that fetches by it and by nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import npurun_tui
from npurun_tui.models import catalog_json
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.remote.sources import TRUSTED
from scripts.catalog_tool import main as tool
from scripts.catalog_tool.keys import REPOSITORY
from tests.support.catalog_repo import entry, serve

PACKAGE = Path(npurun_tui.__file__).parent
UPDATE_AND_LIST = """
import sys
from npurun_tui.cli import main
status = main(["catalog", "update"])
print("---")
main(["catalog", "list", "--json"])
sys.exit(status)
"""


def update(site_packages: Path) -> tuple[int, str, Any]:
    """What the program in `site_packages` comes to: its status, what it says, and what it lists then."""
    environ = os.environ | {
        "NPURUN_TUI_HOME": str(site_packages / "home"),
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(site_packages),
    }
    done = subprocess.run(
        [sys.executable, "-c", UPDATE_AND_LIST],
        cwd=site_packages,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said, _, listed = done.stdout.partition("---\n")
    return done.returncode, said, json.loads(listed)


def test_a_root_that_ships_is_the_one_that_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages"
    shutil.copytree(PACKAGE, installed / "npurun_tui")
    trusted = installed / TRUSTED.relative_to(PACKAGE.parent)
    monkeypatch.setattr(tool, "TRUSTED", trusted)
    public, keys, entries = tmp_path / "pub", str(tmp_path / "keys"), tmp_path / "entries.json"
    replaced = CATALOG[1].name
    entries.write_bytes(catalog_json.dump([entry("one"), entry(replaced)]))
    public.mkdir()
    with serve(public) as site:
        where = [str(public), "--keys", keys]
        assert tool.main(["init", *where, "--no-passphrase"]) == 0
        assert tool.main(["ship", str(public), "--url", site.url]) == 1
        assert not (trusted / "root.json").exists(), "what no program could use is not shipped"
        assert tool.main(["build", *where, "--entries", str(entries)]) == 0
        assert tool.main(["ship", str(public), "--url", f"{site.url}/"]) == 0
        status, said, listed = update(installed)
        assert status == 0
        assert said.startswith("npurun: version 1, new, 2 models")
        assert listed["sources"][0]["ships_with_program"] is True
        titles = {
            one["name"]: one["title"] for one in listed["entries"] if one["catalog"] == "npurun"
        }
        assert titles == {name: f"The model {name}" for name in ("one", replaced)}
        # Somebody else's keys at the same address.
        other = [str(tmp_path / "other"), "--keys", str(tmp_path / "k2")]
        assert tool.main(["init", *other, "--no-passphrase"]) == 0
        assert tool.main(["build", *other]) == 0
        site.serve_copy(tmp_path / "other")
        status, said, after = update(installed)
        assert status == 1
        assert said.startswith("npurun: refused (tampered)")
        assert after["entries"] == listed["entries"]


def test_what_ships_is_taken_into_the_wheel() -> None:
    """The wheel has the package's files but for those that git ignores."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "npurun_tui" in wheel["packages"]
    assert "exclude" not in wheel
    if not (REPOSITORY / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a checkout")
    for name in ("root.json", "source.json"):
        ignored = subprocess.run(
            ["git", "check-ignore", "-q", str(TRUSTED / name)], cwd=REPOSITORY, check=False
        )
        assert ignored.returncode == 1
