"""From a dialog's config to what answers: a GGUF model, a script, or the refusal that there is no NPU here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from npurun_tui.engine.cpu.dialog import CpuDialog
from npurun_tui.engine.dialog import Dialog
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.genie_abi.failure import general
from npurun_tui.genie_abi.scripted import Script, ScriptedDialog


def open_model(document: dict[str, Any]) -> Dialog:
    """Load what the `dialog` object names; paths are relative to the working directory, as Genie's are.

    Raises:
        AbiError: -1, with words that name the file.
        NpurunError: llama.cpp refused the model, or the script says so.
    """
    engine = document["engine"]
    if isinstance(engine, list):
        raise general("Only dialogs with one engine can run on the CPU.")
    tokenizer = Path(document["tokenizer"]["path"])
    if not tokenizer.is_file():
        raise general(f"Failed to open the tokenizer : {tokenizer}")
    model = engine["model"]
    for file in model.get("binary", {}).get("ctx-bins", ()):
        if not Path(file).is_file():
            raise general(f"Can't access model file : {file}")
    backend = engine["backend"]["type"]
    if backend != "QnnGenAiTransformer":
        raise general(f"There is no {backend} backend in this library: it runs on the CPU only.")
    file = Path(model["library"]["model-bin"])
    if not file.is_file():
        raise general(f"Can't access model file : {file}")
    if file.suffix == ".json":
        return _open_script(file)
    threads = os.environ.get("NPURUN_CPU_THREADS", "")
    return CpuDialog(
        ModelSpec(
            name=file.stem,
            backend="llama.cpp",
            folder=file.parent.absolute(),
            model_file=file.absolute(),
            context=document["context"]["size"],
            # The program's own choice (a core left free) beats a bundle's: too many threads are 20 times slower.
            threads=int(threads) if threads.isdigit() else 0,
        )
    )


def _open_script(file: Path) -> Dialog:
    try:
        script = Script.read(file)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise general(f"The script {file} cannot be read: {error}") from error
    return ScriptedDialog(script)
