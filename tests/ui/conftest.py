"""The workbench's answer to "what is the NPU's runtime here?" is the same on every machine that runs these tests."""

from __future__ import annotations

import pytest

from npurun_tui.hardware import summary
from npurun_tui.hardware.summary import RuntimeSummary

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
