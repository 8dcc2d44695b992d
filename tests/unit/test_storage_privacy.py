"""Chats and logs can be read by their owner alone, whatever the umask says and however the files came to be."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from npurun_tui.logs import LIMIT, configure_logging
from npurun_tui.storage.chats import ChatTable
from npurun_tui.storage.database import Database

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def _logging_restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("npurun_tui")
    before, levels, loud = root.handlers[:], (root.level, ours.level), logging.raiseExceptions
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers = before
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.raiseExceptions = loud


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in sorted(folder.iterdir())}


def test_a_new_database_and_its_folder(tmp_path: Path) -> None:
    database = Database(tmp_path / "data" / "chats.db")
    ChatTable(database).create("t", "m", "{}")
    names = ("chats.db", "chats.db-shm", "chats.db-wal")
    assert modes(tmp_path) == {"data": "0o700"}
    assert modes(tmp_path / "data") == dict.fromkeys(names, "0o600")
    database.close()


def test_what_an_older_version_left_open_is_tightened(tmp_path: Path) -> None:
    old, copy = Database(tmp_path / "old" / "chats.db"), tmp_path / "copy"
    ChatTable(old).create("t", "m", "{}")
    copy.mkdir()
    for file in (tmp_path / "old").iterdir():  # with its journals, as a killed process leaves it
        (copy / file.name).write_bytes(file.read_bytes())
    old.close()
    assert set(modes(copy).values()) == {"0o666"}
    database = Database(copy / "chats.db")
    assert len(ChatTable(database).summaries()) == 1
    assert len(modes(copy)) == 3
    assert set(modes(copy).values()) == {"0o600"}
    database.close()


def test_a_damaged_database_its_lock_and_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    path.write_bytes(b"damage" * 1000)
    database = Database(path)
    database.connection()
    assert "kept as" in database.notice
    assert len(modes(tmp_path)) >= 3
    assert set(modes(tmp_path).values()) == {"0o600"}
    database.close()


@pytest.mark.usefixtures("_logging_restored")
def test_the_log_before_and_after_it_has_rotated(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ours.log"
    configure_logging(path)
    assert modes(tmp_path) == {"state": "0o700"}
    for _ in range(3):
        logging.getLogger("npurun_tui.test").warning("x" * (LIMIT // 2))
    assert modes(path.parent) == {"ours.log": "0o600", "ours.log.1": "0o600"}


@pytest.mark.usefixtures("_logging_restored")
def test_older_logs_are_tightened(tmp_path: Path) -> None:
    for name in ("ours.log", "ours.log.1"):
        (tmp_path / name).write_text("from before\n")
    assert set(modes(tmp_path).values()) == {"0o666"}
    configure_logging(tmp_path / "ours.log")
    assert set(modes(tmp_path).values()) == {"0o600"}
    assert (tmp_path / "ours.log").read_text() == "from before\n"
