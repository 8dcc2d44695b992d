"""The folder for snapshots' KV caches: there while it is needed, and nothing of it stays for ever."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from npurun_tui.engine.cpu import slots
from npurun_tui.engine.cpu.dialog import CpuDialog
from npurun_tui.engine.cpu.stream import ServerFailure
from npurun_tui.engine.spec import ModelSpec

DIES_IN_A_SAVE = """
import os, signal, sys
from pathlib import Path
from npurun_tui.engine.cpu.server import LlamaServer
server = LlamaServer(Path(sys.argv[1]), context=256, threads=1)
assert not server.slot_folder.exists()
with server.saved_slot() as file:
    assert file.is_file()
    os.kill(os.getpid(), signal.SIGKILL if len(sys.argv) > 2 else signal.SIGTERM)
"""
ENDS_AT_ONCE = """
import os, sys
from pathlib import Path
from npurun_tui.engine.cpu.server import LlamaServer
server = LlamaServer(Path(sys.argv[1]), context=256, threads=1)
os._exit(0)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NPURUN_TUI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(code: str, *arguments: str) -> int:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, timeout=120, capture_output=True, check=False).returncode


@pytest.mark.model
def test_a_load_leaves_nothing_however_it_ends(
    home: Path, tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    assert run(ENDS_AT_ONCE, str(model_file)) == 0
    assert not home.exists()
    assert list(temporary.iterdir()) == []


@pytest.mark.model
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("force", [[], ["by force"]])
def test_what_a_killed_process_left_goes_with_the_next_load(
    home: Path, model_file: Path, force: list[str]
) -> None:
    assert run(DIES_IN_A_SAVE, str(model_file), *force) < 0
    (left,) = slots.base().iterdir()
    assert list(left.iterdir())
    assert left.stat().st_mode & 0o077 == 0  # conversations are nobody else's business
    assert run(ENDS_AT_ONCE, str(model_file)) == 0
    assert list(slots.base().iterdir()) == []


@pytest.mark.model
def test_saving_and_restoring_leave_nothing(tmp_path: Path, model_file: Path) -> None:
    dialog = CpuDialog(ModelSpec("test", "llama.cpp", tmp_path, model_file, context=256))
    try:
        dialog.set_max_tokens(2)
        dialog.query("Hello")
        for folder in ("one", "two"):
            dialog.save(tmp_path / folder)
            assert list(slots.base().iterdir()) == []
            dialog.restore(tmp_path / folder)
            assert list(slots.base().iterdir()) == []
    finally:
        dialog.close()


def test_the_living_and_the_unknown_stay() -> None:
    parent = slots.base() / f"{os.getppid()}-00"
    mine, other, huge = slots.choose(), slots.base() / "notes", slots.base() / ("9" * 40 + "-00")
    for folder in (parent, mine, other, huge):
        folder.mkdir(parents=True)
    slots.sweep()
    assert set(slots.base().iterdir()) == {parent, mine, other, huge}


def test_a_failure_takes_the_folder_with_it() -> None:
    folder = slots.choose()

    def fail() -> None:
        with slots.existing(folder):
            (folder / "saved").write_bytes(b"cache")
            raise ServerFailure("llama.cpp gave no answer.")

    with pytest.raises(ServerFailure):
        fail()
    assert list(slots.base().iterdir()) == []


def test_names_do_not_repeat() -> None:
    assert slots.choose() != slots.choose()


def test_a_file_is_placed_without_a_copy_where_that_is_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cache"
    file.write_bytes(b"cache")
    slots.place(file, tmp_path / "linked")
    assert (tmp_path / "linked").samefile(file)

    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(errno.EXDEV, "another volume")

    monkeypatch.setattr(os, "link", refuse)
    slots.place(file, tmp_path / "copied")
    assert (tmp_path / "copied").read_bytes() == b"cache"
    assert not (tmp_path / "copied").samefile(file)
