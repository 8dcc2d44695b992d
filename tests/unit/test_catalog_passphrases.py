"""The passphrases of a catalog's keys: asked twice where keys are made, never empty by accident."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from scripts.catalog_tool import main as tool
from scripts.catalog_tool.keys import REPOSITORY, locked
from scripts.catalog_tool.passphrases import OLD_PASSPHRASE, PASSPHRASE

Typed = Callable[[Sequence[str]], list[str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Answer the questions with these words; the questions are collected in what is returned."""
    monkeypatch.delenv(PASSPHRASE, raising=False)
    monkeypatch.delenv(OLD_PASSPHRASE, raising=False)

    def answer(words: Sequence[str]) -> list[str]:
        asked: list[str] = []
        left = iter(words)

        def ask(prompt: str) -> str:
            asked.append(prompt)
            return next(left)

        monkeypatch.setattr(getpass, "getpass", ask)
        return asked

    return answer


class Folders:
    """Where a catalog and its keys lie."""

    def __init__(self, root: Path) -> None:
        self.public, self.keys, self.new = root / "pub", root / "keys", root / "new"

    def run(self, action: str, *more: str) -> int:
        keys = self.new if action == "rotate" else self.keys
        return tool.main([action, str(self.public), "--keys", str(keys), *more])

    def rotate(self, *more: str) -> int:
        return self.run("rotate", "--old-keys", str(self.keys), *more)

    def check(self) -> int:
        return tool.main(["check", str(self.public)])


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def test_it_is_asked_twice_and_opens_the_keys(folders: Folders, typed: Typed) -> None:
    asked = typed(["correct horse", "correct horse"])
    assert folders.run("init") == 0
    assert len(asked) == 2
    assert all(b"ENCRYPTED" in pem.read_bytes() for pem in folders.keys.iterdir())
    asked = typed(["correct horse"])
    assert folders.run("build") == 0
    assert asked == ["Passphrase of the keys: "]
    assert folders.check() == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([""], "The passphrase is empty."),
        (["one", "two"], "The two passphrases differ"),
        (["one", ""], "The two passphrases differ"),
        (["x" * 1001], "longer than 1,000 bytes"),
    ],
)
def test_no_key_is_made_with_an_empty_or_doubtful_one(
    folders: Folders, typed: Typed, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    typed(words)
    assert folders.run("init") == 1
    err = capsys.readouterr().err
    assert why in err
    assert err.count("\n") == 1
    assert not folders.keys.exists()


def test_an_empty_variable_is_an_empty_passphrase(
    folders: Folders, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = typed([])
    monkeypatch.setenv(PASSPHRASE, "")
    assert folders.run("init") == 1
    assert asked == []
    assert not folders.keys.exists()


def test_none_only_where_that_is_said(folders: Folders, typed: Typed) -> None:
    asked = typed([])
    assert folders.run("init", "--no-passphrase") == 0
    assert folders.run("build") == 0
    assert not locked(folders.keys)
    assert asked == []


def test_a_wrong_one_is_told(
    folders: Folders, typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(["right", "right"])
    folders.run("init")
    for wrong in ("wrong", ""):
        typed([wrong])
        assert folders.run("build") == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_rotate_asks_for_the_old_and_for_the_new_one(folders: Folders, typed: Typed) -> None:
    typed(["old", "old"])
    folders.run("init")
    typed(["old"])
    folders.run("build")
    asked = typed(["old", "new", "new"])
    assert folders.rotate() == 0
    assert [question.split()[3] for question in asked[:1]] == ["old"]
    assert len(asked) == 3
    assert folders.check() == 0
    folders.keys = folders.new
    typed(["old"])
    assert folders.run("refresh") == 1
    typed(["new"])
    assert folders.run("refresh") == 0


def test_rotate_takes_both_from_the_environment(
    folders: Folders, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = typed([])
    monkeypatch.setenv(PASSPHRASE, "old")
    folders.run("init")
    folders.run("build")
    monkeypatch.setenv(PASSPHRASE, "new")
    assert folders.rotate() == 1
    assert not folders.new.exists(), "the old keys stay shut, so no new ones are made"
    monkeypatch.setenv(OLD_PASSPHRASE, "old")
    assert folders.rotate() == 0
    assert asked == []
    assert folders.check() == 0


def test_from_open_keys_to_locked_ones_and_back(folders: Folders, typed: Typed) -> None:
    folders.run("init", "--no-passphrase")
    folders.run("build")
    asked = typed(["new", "new"])
    assert folders.rotate() == 0
    assert len(asked) == 2
    folders.keys, folders.new = folders.new, folders.new.with_name("newer")
    typed(["new"])
    assert folders.rotate("--no-passphrase") == 0
    assert folders.check() == 0


def test_without_a_terminal_it_says_what_to_set(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    environ = {k: v for k, v in os.environ.items() if k not in {PASSPHRASE, OLD_PASSPHRASE}}
    done = subprocess.run(
        [
            *(sys.executable, REPOSITORY / "scripts" / "catalog", "init", folders.public),
            *("--keys", folders.keys),
        ],
        env=environ,
        input="typed where it would be seen\n",
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "catalog: A passphrase is needed, and there is no terminal to ask for it. "
        f"Set {PASSPHRASE}.\n"
    )
    assert not folders.keys.exists()
