"""The store on a real folder: what it lists, what it refuses, what a removal leaves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from npurun_tui.errors import (
    ManifestInvalid,
    ModelBusy,
    ModelError,
    ModelFileDamaged,
    ModelNotFound,
)
from npurun_tui.models.layout import CELL, MAP, PART
from npurun_tui.models.lock import holder_of, model_lock
from npurun_tui.models.manifest import Files, Manifest
from npurun_tui.models.store import ModelStore
from npurun_tui.models.verify import Verdict, verify
from tests.support.work import files_touched

GGUF = b"GGUF" + bytes(1000)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def add_model(store: ModelStore, name: str, sha256: str = "a" * 64) -> Path:
    folder = store.root / name
    folder.mkdir(parents=True)
    (folder / "m.gguf").write_bytes(GGUF)
    Manifest(
        name="whatever it says",
        arch="llama",
        vocab=10,
        context=512,
        quant="Q4_1",
        files=Files(model="m.gguf"),
        backend="llama.cpp",
        sha256={"m.gguf": sha256},
    ).write(folder)
    return folder


def add_partial(store: ModelStore, name: str, size: int) -> Path:
    folder = store.layout.partial(name)
    folder.mkdir(parents=True)
    (folder / PART).write_bytes(bytes(size))
    (folder / MAP).write_bytes(CELL.pack(size, 0))
    (folder / "download.json").write_text("{}")
    return folder


def test_a_folder_that_is_not_there_is_empty(store: ModelStore) -> None:
    assert store.scan() == ([], [])
    assert store.partials() == {}
    assert not store.root.exists()


def test_models_are_listed_by_their_folders_names(store: ModelStore) -> None:
    add_model(store, "zeta")
    folder = add_model(store, "alpha")
    installed, broken = store.scan()
    assert broken == []
    assert [model.name for model in installed] == ["alpha", "zeta"]
    assert installed[0].size == sum(path.stat().st_size for path in folder.iterdir())
    assert store.get("alpha:latest") == installed[0]


def test_what_is_no_model_is_not_listed(store: ModelStore) -> None:
    store.root.mkdir()
    (store.root / "file").write_text("x")
    (store.root / "rust-pull-in-progress").mkdir()
    (store.root / "rust-pull-in-progress" / ".pull.zip").write_text("x")
    add_model(store, ".hidden")
    add_partial(store, "half", 10)
    assert store.scan() == ([], [])


def test_broken_models_are_listed_with_a_reason(store: ModelStore) -> None:
    (add_model(store, "a") / "npurun.json").write_text("{")
    (add_model(store, "b") / "m.gguf").unlink()
    add_model(store, "Not A Name")
    (add_model(store, "d") / "m.gguf").write_bytes(b"")
    installed, broken = store.scan()
    assert installed == []
    reasons = {model.name: model.reason for model in broken}
    assert "is not JSON" in reasons["a"]
    assert "missing or empty" in reasons["b"]
    assert "no model name" in reasons["Not A Name"]
    assert "missing or empty" in reasons["d"]
    assert all(model.size > 0 for model in broken)
    with pytest.raises(ManifestInvalid):
        store.get("a")
    with pytest.raises(ModelFileDamaged):
        store.get("b")


def test_a_folder_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ModelError, match="cannot be read"):
        ModelStore(tmp_path / "models").scan()


def test_an_unknown_model_and_one_that_was_begun(store: ModelStore) -> None:
    with pytest.raises(ModelNotFound, match=r"no model called nope.*npurun-tui list"):
        store.get("nope")
    add_partial(store, "half", 10)
    with pytest.raises(ModelNotFound, match="goes on with it"):
        store.get("half")


@pytest.mark.parametrize("name", ["../models", "a/b", "/etc", "..", ""])
def test_no_path_comes_from_a_name(store: ModelStore, name: str) -> None:
    add_model(store, "a")
    for call in (store.get, store.remove, store.discard_partial):
        with pytest.raises(ModelError):
            call(name)
    assert [model.name for model in store.scan()[0]] == ["a"]


@pytest.mark.parametrize("name", ["llama3.2:1b", "Qwen/Qwen3-4B", "GPT-4o"])
def test_a_name_of_another_program_is_one_that_is_not_here(store: ModelStore, name: str) -> None:
    for look in (store.get, store.remove):
        with pytest.raises(ModelNotFound) as caught:
            look(name)
        assert str(caught.value).startswith(f"There is no model called {name} on this machine. ")


def test_removing_an_unfinished_pull_frees_what_was_unpacked_too(store: ModelStore) -> None:
    unpacked = add_partial(store, "m", 300) / "unpacked"
    unpacked.mkdir()
    (unpacked / "m.bin").write_bytes(bytes(500))
    assert store.remove("m") == 800


def test_a_name_that_is_nearly_right_is_answered_with_the_one_that_is_here(
    store: ModelStore,
) -> None:
    with pytest.raises(ModelNotFound, match=r"mean smollm2-135m-instruct\? `npurun-tui pull smol"):
        store.get("SmolLM2:135m")
    add_model(store, "smollm2-mine")
    with pytest.raises(ModelNotFound, match=r"Did you mean smollm2-mine\?$"):
        store.remove("smollm2")
    with pytest.raises(ModelNotFound, match="`npurun-tui list` shows"):
        store.get("mistral")


def test_a_scan_reads_one_small_file_for_each_model(store: ModelStore) -> None:
    """The models' own files are looked at from outside only, however large they are."""
    folders = [add_model(store, f"model-{number:02d}") for number in range(20)]
    with files_touched() as touched:
        assert len(store.scan()[0]) == 20
    opened = [path for event, path in touched if event == "open"]
    listed = [path for event, path in touched if event != "open"]
    assert sorted(opened) == [str(folder / "npurun.json") for folder in folders]
    assert sorted(listed) == [str(store.root), *map(str, folders)]


# --- removing ----------------------------------------------------------------------------------


def test_removing_a_model_says_what_it_freed(store: ModelStore) -> None:
    add_model(store, "a")
    add_model(store, "b")
    size = store.get("a").size
    assert store.remove("a:latest") == size
    assert [model.name for model in store.scan()[0]] == ["b"]
    assert sorted(path.name for path in store.root.iterdir()) == [".partial", "b"]
    with pytest.raises(ModelNotFound):
        store.remove("a")


@pytest.mark.parametrize("name", ["broken", "Not A Name"])
def test_broken_models_can_be_removed(store: ModelStore, name: str) -> None:
    (add_model(store, name) / "npurun.json").write_text("{")
    assert store.remove(name) > len(GGUF)
    assert store.scan() == ([], [])


def test_a_folder_without_a_manifest_is_left_alone(store: ModelStore) -> None:
    diary = store.root / "diary" / "today.txt"
    diary.parent.mkdir(parents=True)
    diary.write_text("dear diary")
    with pytest.raises(ModelError, match="left alone"):
        store.remove("diary")
    assert diary.read_text() == "dear diary"


def test_removing_takes_the_unfinished_pull_with_it(store: ModelStore) -> None:
    add_model(store, "a")
    add_partial(store, "a", 500)
    add_partial(store, "b", 700)
    size = store.get("a").size
    assert store.remove("a") == size + 500
    assert store.partials() == {"b": 700}
    assert store.remove("b") == 700
    assert store.partials() == {}


def test_links_are_not_followed(store: ModelStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x" * 5000)
    folder = add_model(store, "a")
    (folder / "link").symlink_to(outside, target_is_directory=True)
    (folder / "file-link").symlink_to(outside / "precious")
    assert store.get("a").size < 5000
    store.remove("a")
    assert (outside / "precious").read_text() == "x" * 5000


def test_a_model_that_is_a_link_itself(store: ModelStore, tmp_path: Path) -> None:
    real = add_model(ModelStore(tmp_path / "other disk"), "real")
    store.root.mkdir()
    (store.root / "linked").symlink_to(real, target_is_directory=True)
    assert [model.name for model in store.scan()[0]] == ["linked"]
    assert store.remove("linked") == 0
    assert store.scan() == ([], [])
    assert (real / "m.gguf").read_bytes() == GGUF


def test_read_only_files_are_removed(store: ModelStore) -> None:
    folder = add_model(store, "a")
    (folder / "m.gguf").chmod(0o400)
    folder.chmod(0o500)
    assert store.remove("a") > 0
    assert store.scan() == ([], [])


def test_a_removal_that_was_killed_is_finished_by_the_next(store: ModelStore) -> None:
    add_model(store, "a")
    add_model(store, "b")
    store.layout.trash.mkdir()
    (store.root / "b").rename(store.layout.trash / "1234")
    assert [model.name for model in store.scan()[0]] == ["a"]
    store.remove("a")
    assert not store.layout.trash.exists()


# --- the lock ----------------------------------------------------------------------------------

_HOLD = """
import sys
from pathlib import Path
from npurun_tui.models.lock import model_lock
with model_lock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(store: ModelStore, name: str) -> Iterator[int]:
    """Another process holds the lock; gives its process id."""
    command = [sys.executable, "-c", _HOLD, str(store.layout.partial_root), name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == b"held"
        try:
            yield child.pid
        finally:
            child.kill()


def test_a_model_that_another_program_works_on(store: ModelStore) -> None:
    add_model(store, "a")
    with held_elsewhere(store, "a") as pid:
        with pytest.raises(
            ModelBusy, match=rf"Another program \(process {pid}\) works on a right now"
        ):
            store.remove("a")
        assert store.get("a")
    assert store.remove("a") > 0  # the holder was killed, and the system gave the lock back


def test_the_lock_is_one_model_s(store: ModelStore) -> None:
    with model_lock(store.layout.partial_root, "a"):
        with model_lock(store.layout.partial_root, "b"):
            pass
        again = model_lock(store.layout.partial_root, "a")
        with pytest.raises(ModelBusy, match="This program already works on a"):
            again.__enter__()
    with model_lock(store.layout.partial_root, "a"):
        pass


def test_a_volume_that_knows_no_locks_is_a_sentence_and_is_looked_at_all_the_same(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_self: object, **_how: object) -> None:
        raise NotImplementedError

    folder = store.layout.partial_root
    folder.mkdir(parents=True)
    (folder / "a.holder").write_text("1")  # of another machine, say
    monkeypatch.setattr("filelock.FileLock.acquire", none)
    with pytest.raises(ModelError, match="knows no locks"):
        model_lock(folder, "a").__enter__()
    assert holder_of(folder, "a") is None


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs Linux and root")
def test_a_model_that_cannot_be_deleted_is_a_sentence(store: ModelStore) -> None:
    chattr = shutil.which("chattr")
    if chattr is None:
        pytest.skip("there is no chattr to make a folder unchangeable with")
    folder = add_model(store, "a")
    if subprocess.run([chattr, "+i", str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no such flag")
    try:
        with pytest.raises(ModelError, match="could not be deleted"):
            store.remove("a")
    finally:
        subprocess.run([chattr, "-i", str(folder)], check=True)
    assert store.get("a")


# --- verifying ---------------------------------------------------------------------------------


def test_verifying(store: ModelStore) -> None:
    import hashlib

    folder = add_model(store, "a", hashlib.sha256(GGUF).hexdigest())
    assert dict(verify(store.get("a"))) == {"m.gguf": Verdict.SAME}
    (folder / "m.gguf").write_bytes(GGUF[:-1])
    assert dict(verify(store.get("a"))) == {"m.gguf": Verdict.DIFFERS}
