"""The workbench in a home of its own, with a tiny model that can be pulled.

Its answer to "what is the NPU's runtime here?" is the same on every machine that runs these tests.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from npurun_tui.app import WorkbenchApp
from npurun_tui.hardware import summary
from npurun_tui.hardware.summary import RuntimeSummary
from npurun_tui.models.store import ModelStore
from tests.support.index_server import Index, pause_after
from tests.support.tiny_model import TinyModel, build_tiny_model
from tests.support.workbench import home_paths, make_app

NO_RUNTIME = RuntimeSummary(
    "CPU only: no Genie runtime on this machine",
    (
        ("runtime", "There is no Genie runtime on this machine."),
        ("mend", "pip install onnxruntime-qnn"),
    ),
    ok=False,
    short="CPU only",
)


@pytest.fixture(autouse=True)
def known_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without an NPU, whatever this one is."""

    async def answer() -> RuntimeSummary:
        return NO_RUNTIME

    monkeypatch.setattr(summary, "runtime_summary", answer)


@pytest.fixture(scope="module")
def tiny() -> TinyModel:
    return build_tiny_model()


@pytest.fixture
def gate(index: Index) -> Iterator[threading.Event]:
    """The download stops after 300 kB until the gate is opened."""
    gate = threading.Event()
    index.faults.append(pause_after(300_000, gate))
    yield gate
    gate.set()


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(home_paths(tmp_path).models)


@pytest.fixture
def app(tmp_path: Path) -> WorkbenchApp:
    return make_app(tmp_path)
