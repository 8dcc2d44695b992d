"""From a model's spec to its loaded dialog: the one place that knows which backend is which class."""

from __future__ import annotations

from npurun_tui.engine.dialog import Dialog
from npurun_tui.engine.spec import ModelSpec


def open_dialog(spec: ModelSpec) -> Dialog:
    """Load the model of `spec` (blocking, seconds). Never another backend than the spec's own.

    Raises:
        EngineUnavailable: this machine, or this version of the program, has no engine for the backend.
        EngineLoadFailed: the runtime refused the model.
        ModelFileDamaged: a model file is not what it should be.
    """
    if spec.backend == "genie":
        from npurun_tui.engine.genie.opening import open_bundle

        return open_bundle(spec)
    from npurun_tui.engine.cpu.opening import open_model  # with it, in the end, comes llama.cpp

    return open_model(spec)
