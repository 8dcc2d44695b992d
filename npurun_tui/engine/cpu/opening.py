"""From a spec to the dialog that its GGUF file needs."""

from __future__ import annotations

from npurun_tui.engine.cpu.dialog import CpuDialog, read_info
from npurun_tui.engine.cpu.embedding import RANKS, EmbeddingDialog, is_embedding
from npurun_tui.engine.dialog import Dialog
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import EngineLoadFailed
from npurun_tui.text import one_line


def open_model(spec: ModelSpec) -> Dialog:
    """Load the GGUF model of `spec` (blocking).

    Raises:
        ModelFileDamaged: the file is truncated or not one.
        EngineUnavailable: there is no llama.cpp for this machine.
        EngineLoadFailed: llama.cpp refused the model, or it ranks texts, for which there is no use here.
    """
    file = spec.model_file
    if file is None:
        raise EngineLoadFailed(f"The manifest of {one_line(spec.name)} names no GGUF file.")
    info = read_info(file)
    if info.pooling == RANKS:
        raise EngineLoadFailed(
            f"The model {one_line(spec.name)} ranks texts; it neither answers nor makes embeddings.",
            mend="Choose another model.",
        )
    return EmbeddingDialog(spec, file, info) if is_embedding(info) else CpuDialog(spec)
