"""What can be wrong with a database file, and what becomes of it: real files, a real lock, a real full disk."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from npurun_tui.errors import DiskFull, StorageError, StorageLocked
from npurun_tui.storage.chats import ChatTable
from npurun_tui.storage.database import Database
from npurun_tui.storage.schema import APPLICATION_ID, MIGRATIONS

HOLD_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
print("locked", flush=True)
sys.stdin.read()
"""

LEAVE_A_JOURNAL = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("UPDATE chat SET title = 'only here'")
connection.commit()
os._exit(0)  # as a killed process leaves it
"""

BEGIN_TOGETHER = """
import sys
from pathlib import Path
from npurun_tui.storage.chats import ChatTable
from npurun_tui.storage.database import Database
print("ready", flush=True)
sys.stdin.readline()
database = Database(Path(sys.argv[1]))
chats = ChatTable(database)
for number in range(5):
    chats.append(chats.create(sys.argv[2], "m", "{}"), "user", str(number))
assert not database.notice, database.notice
database.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "npurun-tui.db"


def fill(path: Path, chats: int = 40) -> None:
    """A sound database of a few dozen pages."""
    database = Database(path)
    table = ChatTable(database)
    for number in range(chats):
        table.append(table.create(f"chat {number}", "m", "{}"), "user", "text " * 200)
    database.close()


def reopened(path: Path) -> tuple[str, int]:
    """The notice on opening, and how many chats there are; a chat can be added."""
    database = Database(path)
    table = ChatTable(database)
    try:
        count = len(table.summaries())
        assert table.load(table.create("new", "m", "{}"))[0].title == "new"
        return database.notice, count
    finally:
        database.close()


def damaged_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if ".damaged-" in path.name)


def noise(length: int, seed: int = 0) -> bytes:
    """The same random bytes in every run."""
    return random.Random(seed).randbytes(length)  # noqa: S311


def test_a_new_file_is_ours_and_in_wal_mode(path: Path) -> None:
    database = Database(path)
    connection = database.connection()
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    database.close()
    assert database.notice == ""


def test_a_sound_file_is_opened_without_a_notice(path: Path) -> None:
    fill(path)
    assert reopened(path) == ("", 40)
    assert damaged_files(path.parent) == []


@pytest.mark.parametrize("share", [0.0001, 0.001, 0.01, 0.3, 0.5, 0.9])
def test_a_truncated_file_is_moved_aside(path: Path, share: float) -> None:
    fill(path)
    left = max(1, int(path.stat().st_size * share))
    os.truncate(path, left)

    notice, count = reopened(path)

    assert count == 0
    [kept] = damaged_files(path.parent)
    assert kept.stat().st_size == left
    assert kept.name in notice
    assert notice.count(". ") == 0, "one sentence"


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_are_moved_aside(path: Path, seed: int) -> None:
    path.write_bytes(content := noise(5000, seed))
    assert reopened(path)[1] == 0
    assert [kept.read_bytes() for kept in damaged_files(path.parent)] == [content]


def test_overwritten_pages_are_noticed(path: Path) -> None:
    fill(path)
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(noise(4096 * 4))
    notice, count = reopened(path)
    assert count == 0
    assert "kept as" in notice
    assert len(damaged_files(path.parent)) == 1


def test_an_empty_file_is_a_new_database(path: Path) -> None:
    path.touch()
    assert reopened(path) == ("", 0)


def test_a_database_of_another_program_is_kept_whole(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name)")
    other.execute("INSERT INTO recipes VALUES ('soup')")
    other.commit()
    other.close()

    notice, _ = reopened(path)

    assert "another program" in notice
    [kept] = damaged_files(path.parent)
    connection = sqlite3.connect(kept)
    assert connection.execute("SELECT name FROM recipes").fetchall() == [("soup",)]
    connection.close()


def test_what_stood_only_in_the_journal_is_kept_too(path: Path) -> None:
    fill(path)
    subprocess.run([sys.executable, "-c", LEAVE_A_JOURNAL, str(path)], check=True)
    assert b"only here" in path.with_name(path.name + "-wal").read_bytes()
    with path.open("r+b") as file:
        file.write(b"not a header any more")

    assert reopened(path)[1] == 0

    assert any(b"only here" in kept.read_bytes() for kept in damaged_files(path.parent))


def test_two_damaged_files_of_one_second_are_both_kept(path: Path) -> None:
    for text in (b"first", b"second"):
        path.write_bytes(text * 100)
        reopened(path)
    assert {file.read_bytes()[:5] for file in damaged_files(path.parent)} == {b"first", b"secon"}


def test_a_newer_version_s_file_is_refused_and_untouched(path: Path) -> None:
    fill(path, chats=2)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StorageError, match="newer version"):
        Database(path).connection()

    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_lock_of_another_process_is_named_and_passes(path: Path, statement: str) -> None:
    fill(path, chats=1)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(path), statement],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    database = Database(path, busy_timeout=0.1)
    table = ChatTable(database)
    try:
        assert len(table.summaries()) == 1, "a writer does not block readers"
        with pytest.raises(StorageLocked, match="locked"):
            table.create("t", "m", "{}")
        holder.communicate()
        assert table.create("t", "m", "{}") == 2
        assert database.notice == ""
    finally:
        holder.communicate()
        database.close()


def test_processes_that_start_together_share_one_new_database(path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN_TOGETHER, str(path), f"writer {number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(3)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        assert writer.communicate()[1] == b""
    assert reopened(path) == ("", 15)


def test_threads_take_turns(path: Path) -> None:
    database = Database(path)
    table = ChatTable(database)
    chat = table.create("t", "m", "{}")

    def work() -> None:
        for _ in range(10):
            table.append(chat, "user", "x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(table.load(chat)[1]) == 40
    database.close()


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot be used") as caught:
        Database(tmp_path / "file" / "deeper" / "chats.db").connection()
    assert "written to" in caught.value.mend


def test_a_folder_in_the_file_s_place_is_said_so(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StorageError, match="cannot be used"):
        Database(path).connection()


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB of its own."""
    folder, mount = tmp_path / "tmpfs", shutil.which("mount")
    folder.mkdir()
    if mount is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    command = [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not allow mounting")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_named_and_loses_nothing(tmpfs: Path) -> None:
    database = Database(tmpfs / "chats.db")
    table = ChatTable(database)
    chat = table.create("t", "m", "{}")
    table.append(chat, "user", "kept")
    with pytest.raises(DiskFull, match="no room"):
        table.append(chat, "assistant", "x" * 400_000)
    assert [message.content for message in table.load(chat)[1]] == ["kept"]
    table.append(chat, "user", "small enough")
    database.close()
    assert reopened(tmpfs / "chats.db") == ("", 1)


def test_no_room_at_all_is_named(tmpfs: Path) -> None:
    (tmpfs / "filler").write_bytes(b"x" * 256 * 1024)
    with pytest.raises(DiskFull, match="no room"):
        Database(tmpfs / "chats.db").connection()


def test_a_read_only_file_system_is_named(tmpfs: Path) -> None:
    fill(tmpfs / "chats.db", chats=1)
    remount = ["mount", "-o", "remount,ro", str(tmpfs)]
    subprocess.run(remount, check=True)
    with pytest.raises(StorageError, match="cannot be used") as caught:
        ChatTable(Database(tmpfs / "chats.db")).create("t", "m", "{}")
    assert "written to" in caught.value.mend
