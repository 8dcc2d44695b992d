"""A write leaves the old file or the new one."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from npurun_tui import files
from npurun_tui.files import from_home, is_disk_full, sync_folder, write_atomic

KILLED_WHILE_WRITING = """
import os, sys
from pathlib import Path
import npurun_tui.files as files
files.os.fsync = lambda descriptor: os._exit(9)  # as a kill between writing and renaming
files.write_atomic(Path(sys.argv[1]), b"new")
"""


def test_a_file_is_made_with_its_folders_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_atomic(path, b"old")
    write_atomic(path, b"\x00new")
    assert path.read_bytes() == b"\x00new"
    assert list(path.parent.iterdir()) == [path]


def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=False)
    assert done.returncode == 9
    assert path.read_bytes() == b"old"


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "occupied").touch()
    with pytest.raises(OSError, match=r"irectory|denied"):
        write_atomic(path, b"data")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_what_is_no_secret_has_the_mode_of_any_output(tmp_path: Path) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    path, secret = tmp_path / "report", tmp_path / "secret"
    before = os.umask(0o027)
    try:
        write_atomic(path, b"one", private=False)
        write_atomic(secret, b"one")
    finally:
        os.umask(before)
    assert (mode(path), mode(secret)) == (0o640, 0o600)
    path.chmod(0o604)
    write_atomic(path, b"two", private=False)
    assert (mode(path), path.read_bytes()) == (0o604, b"two")


def test_a_full_disk_is_told_from_other_faults(tmp_path: Path) -> None:
    assert is_disk_full(OSError(errno.ENOSPC, "full"))
    assert not is_disk_full(OSError(errno.EACCES, "denied"))
    assert not is_disk_full(OSError("without a number"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such call")
def test_syncing_a_folder_needs_one(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")


def test_the_home_of_nobody_stays_as_it_is() -> None:
    assert from_home("~nobody-here/x") == Path("~nobody-here/x")
    assert from_home("~/x") == Path.home() / "x"
    assert from_home("a/~/x") == Path("a/~/x")


@pytest.mark.skipif(os.name == "nt", reason="folders are not synced there")
@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_volume_that_syncs_no_folders_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """As SMB and FUSE do it: a file is synced, its folder is refused."""
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", sync)
    files.write_atomic(tmp_path / "x", b"data")
    assert (tmp_path / "x").read_bytes() == b"data"


@pytest.mark.skipif(os.name == "nt", reason="folders are not synced there")
def test_a_disk_that_fails_to_sync_a_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        files.sync_folder(tmp_path)


def test_where_others_block_a_file_it_is_tried_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = list[float]()

    def refuse(until: int) -> str:
        tries.append(time.monotonic())
        if len(tries) < until:
            raise PermissionError
        return "done"

    with pytest.raises(PermissionError):
        files.patiently(lambda: refuse(99))
    assert len(tries) == 1 or files.OTHERS_BLOCK
    monkeypatch.setattr(files, "OTHERS_BLOCK", True)
    tries.clear()
    assert files.patiently(lambda: refuse(4)) == "done"
    tries.clear()
    with pytest.raises(PermissionError):
        files.patiently(lambda: refuse(99), seconds=0.1)
    assert 0.1 <= tries[-1] - tries[0] < files._PATIENCE


@pytest.mark.parametrize(
    ("path", "windows", "typed"),
    [
        (r"C:\Users\me\phi", True, r"C:\Users\me\phi"),
        (r"C:\Users\Jo Doe\phi", True, r'"C:\Users\Jo Doe\phi"'),
        ("a&b", True, '"a&b"'),
        ("/home/me/phi", False, "/home/me/phi"),
        ("/home/me/a b", False, "'/home/me/a b'"),
    ],
)
def test_a_path_in_a_command_is_one_word_of_the_shell_here(
    path: str, windows: bool, typed: str
) -> None:
    assert files.typed(path, windows=windows) == typed
