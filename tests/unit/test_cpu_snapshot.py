"""What the CPU engine's own `dialog.json` says, on the real model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.engine.cpu.dialog import CpuDialog
from npurun_tui.engine.cpu.sampling import RandomStream
from npurun_tui.engine.cpu.snapshot import CACHE_FILE
from npurun_tui.engine.dialog import GenieError, Sampler, Status
from npurun_tui.engine.spec import ModelSpec

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def opened(model_file: Path) -> Iterator[CpuDialog]:
    folder = model_file.parent
    dialog = CpuDialog(ModelSpec("test", "llama.cpp", folder, model_file, context=256))
    yield dialog
    dialog.close()


@pytest.fixture
def saved(opened: CpuDialog, tmp_path: Path) -> Path:
    """The folder of a snapshot of `opened`."""
    opened.reset()
    opened.set_max_tokens(2)
    opened.query("Once upon a time")
    opened.save(tmp_path / "saved")
    return tmp_path / "saved"


def document(saved: Path) -> dict[str, Any]:
    return dict(json.loads((saved / "dialog.json").read_text()))


def test_it_counts_the_cached_tokens_as_genie_does(opened: CpuDialog, saved: Path) -> None:
    assert document(saved)["n-past"] == opened.context_occupancy > 0


@pytest.mark.parametrize(
    "change", [{"model": "0" * 64}, {"runtime": "0.0.0"}], ids=["model", "runtime"]
)
def test_another_models_snapshot_is_refused(
    opened: CpuDialog, saved: Path, change: dict[str, str]
) -> None:
    (saved / "dialog.json").write_text(json.dumps(document(saved) | change))
    with pytest.raises(GenieError, match="another model") as caught:
        opened.restore(saved)
    assert caught.value.status == Status.ERROR_QUERY_FAILED


@pytest.mark.parametrize("change", [{"format": 2}, {"n-past": 1}, {"random": [1]}])
def test_a_damaged_snapshot_is_refused(
    opened: CpuDialog, saved: Path, change: dict[str, Any]
) -> None:
    (saved / "dialog.json").write_text(json.dumps(document(saved) | change))
    with pytest.raises(GenieError, match="damaged") as caught:
        opened.restore(saved)
    assert caught.value.status == Status.ERROR_QUERY_FAILED


def test_a_changed_file_is_hashed_again(opened: CpuDialog, saved: Path) -> None:
    opened.restore(saved)
    file = saved / CACHE_FILE
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(GenieError, match="damaged"):
        opened.restore(saved)


def test_what_this_process_wrote_is_not_hashed_again(
    opened: CpuDialog, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("hashlib.file_digest")
    opened.restore(saved)


def test_the_random_stream_can_stay_as_it_is(opened: CpuDialog, saved: Path) -> None:
    opened.reset()
    opened.set_sampler(Sampler(temperature=1.5, top_k=0, top_p=1.0, seed=11))
    opened.restore(saved, random=False)
    kept = opened._conversation.random
    assert (kept.base, kept.position) == (RandomStream(11).base, 0)
