"""Two windows find the same damaged database: one of them replaces it, and neither loses what the other saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from npurun_tui.errors import StorageLocked
from npurun_tui.storage.chats import ChatTable
from npurun_tui.storage.database import Database

DAMAGE = b"not a database at all" * 100


class Overtaken(Database):
    """Sees the damage, and before it has the lock another window does all of `meanwhile`."""

    meanwhile: Callable[[], object]

    @contextmanager
    def _mending(self) -> Iterator[None]:
        self.meanwhile()
        with super()._mending():
            yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "npurun-tui.db"
    path.write_bytes(DAMAGE)
    return path


def moved_aside(path: Path) -> list[bytes]:
    return [file.read_bytes() for file in path.parent.glob("*.damaged-*")]


@pytest.mark.parametrize("still_open", [False, True])
def test_what_the_other_window_has_mended_is_left_in_place(path: Path, still_open: bool) -> None:
    first, second = Database(path), Overtaken(path)

    def mend_and_save() -> None:
        ChatTable(first).create("saved by the first", "m", "{}")
        if not still_open:
            first.close()

    second.meanwhile = mend_and_save
    titles = [row.title for row in ChatTable(second).summaries()]
    ChatTable(first).create("and another", "m", "{}")

    assert titles == ["saved by the first"]
    assert len(ChatTable(second).summaries()) == 2, "both have the same file open"
    assert moved_aside(path) == [DAMAGE]
    assert "kept as" in first.notice
    assert second.notice == "", "it replaced nothing"
    first.close()
    second.close()


def test_a_lock_that_is_kept_is_named_and_nothing_is_moved(path: Path) -> None:
    database = Database(path, busy_timeout=0.05)
    with FileLock(f"{path}.lock"), pytest.raises(StorageLocked, match="replacing the damaged"):
        database.connection()
    assert path.read_bytes() == DAMAGE
    assert moved_aside(path) == []
    database.connection()
    database.close()
    assert moved_aside(path) == [DAMAGE]


def test_a_sound_file_needs_no_lock(tmp_path: Path) -> None:
    database = Database(tmp_path / "sound.db")
    database.connection()
    database.close()
    assert [file.name for file in tmp_path.iterdir()] == ["sound.db"]
