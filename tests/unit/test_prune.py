"""`prune`: it deletes what it said, and says what it did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from npurun_tui.commands.prune import prune
from npurun_tui.errors import ModelBusy
from npurun_tui.models.layout import CELL, MAP, PART
from npurun_tui.models.lock import model_lock
from npurun_tui.models.prune import leftovers, remove_leftover
from npurun_tui.models.pull.recorded import FILE
from npurun_tui.models.store import ModelStore
from npurun_tui.settings import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.resolve({"NPURUN_TUI_HOME": str(tmp_path)})


@pytest.fixture
def store(paths: Paths) -> ModelStore:
    return ModelStore(paths.models)


def _unpacking(store: ModelStore, name: str) -> Path:
    folder = store.layout.partial(name)
    (folder / "unpacked").mkdir(parents=True)
    (folder / "unpacked" / "m.bin").write_bytes(bytes(500))
    return folder


def _fetched(folder: Path, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PART).write_bytes(bytes(size))
    (folder / MAP).write_bytes(CELL.pack(size, 0))


def test_what_a_pull_works_on_is_not_said_to_be_removed(
    store: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    held, free = _unpacking(store, "held"), _unpacking(store, "free")
    with model_lock(store.layout.partial_root, "held"):
        assert prune(paths, everything=False, yes=True, json=True) == 0
    out, error = capsys.readouterr()
    assert json.loads(out) == {"removed": ["free"], "busy": ["held"], "kept": [], "freed": 500}
    assert "held is left alone: This program already works on held." in error
    assert held.is_dir()
    assert not free.exists()


@pytest.mark.parametrize("before", [0, 100])
def test_what_was_fetched_after_the_question_stays(store: ModelStore, before: int) -> None:
    folder = _unpacking(store, "m")
    if before:
        _fetched(folder, before)
    *_, seen = leftovers(store, {"m"})
    assert seen.resumable is bool(before)
    _fetched(folder, 300)
    with pytest.raises(ModelBusy, match="fetched more meanwhile"):
        remove_leftover(store, seen)
    assert store.partials() == {"m": 300}
    *_, again = leftovers(store, {"m"})
    assert remove_leftover(store, again) == 300
    assert remove_leftover(store, again) == 0


def test_what_was_unpacked_goes_and_its_download_stays(
    store: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pull that is killed while it unpacks leaves both; the next one unpacks anew, from what was downloaded."""
    folder = _unpacking(store, "m")
    _fetched(folder, 300)
    assert prune(paths, everything=False, yes=True, json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"removed": ["m/unpacked"], "busy": [], "kept": ["m"], "freed": 500}
    assert store.partials() == {"m": 300}
    assert not (folder / "unpacked").exists()
    _unpacking(store, "n")
    _fetched(store.layout.partial("n"), 300)
    assert prune(paths, everything=True, yes=True, json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["removed"] == ["m", "n/unpacked", "n"]
    assert document["freed"] == 300 + 500 + 300
    assert store.partials() == {}


def test_a_pull_killed_before_its_first_byte_is_called_that(store: ModelStore) -> None:
    store.layout.partial("m").mkdir(parents=True)
    (seen,) = leftovers(store, {"m"})
    assert seen.what == "a pull that had fetched nothing"


def test_a_record_that_was_cut_short_goes(store: ModelStore) -> None:
    store.root.mkdir(parents=True)
    (store.root / FILE).write_text("{}")
    (store.root / f".{FILE}.x1y2").write_bytes(bytes(40))
    (seen,) = leftovers(store, ())
    assert remove_leftover(store, seen) == 40
    assert leftovers(store, ()) == []
    assert (store.root / FILE).is_file()
