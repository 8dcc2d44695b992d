"""What the CPU engine's own `dialog.json` says, on the real model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.engine.cpu.dialog import CpuDialog
from npurun_tui.engine.dialog import GenieError, Status
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
