"""What a GGUF file says of itself, as the manifest that it would get.

The header decides, not the file's name: a part of a split model, an adapter or the picture half of a model is told as
what it is, before gigabytes of it are copied and llama.cpp refuses it in words of its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from npurun_tui.engine.cpu.gguf import GgufInfo, read_gguf
from npurun_tui.errors import ModelFileDamaged
from npurun_tui.models.describe_template import cut_safely
from npurun_tui.models.describe_values import Values, kind_of
from npurun_tui.models.fields import U32
from npurun_tui.models.manifest import LOCAL, NO_SDK, Files, Manifest
from npurun_tui.text import one_line

SHARD: Final = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
"""The end of the name of a part of a split model."""

_OTHERS: Final = {
    "adapter": "an adapter (LoRA) for a model",
    "mmproj": "the part of a model that reads pictures or sounds",
    "clip": "the part of a model that reads pictures or sounds",
    "imatrix": "a record of a quantisation",
    "vocab": "a vocabulary",
}
"""`general.type`, or an architecture of its own, of files that hold no model."""


def describe_gguf(file: Path, name: str, values: Values) -> tuple[Manifest, str, list[str]]:
    """`(manifest, special tokens in words, notes)` of `file`. What it says is offered to `values`.

    Raises:
        ModelFileDamaged: it is damaged, a part of a model, or no language model.
    """
    shown = one_line(file.name, 100)
    header = _read(file, shown)
    values.offer("arch", header.architecture, shown)
    values.offer("quant", header.quantisation if header.quantisation != "unknown" else "", shown)
    notes = []
    template, why = None, ""
    if header.chat_template:
        template, why = cut_safely(header.chat_template, header.bos_text, header.eos_text)
    if template:
        values.origins["chat_template"] = f"{shown} (Jinja, cut apart)"
    elif why:
        notes.append(f"The file's own chat template is used as it is: {why.rstrip('.')}.")
    else:
        notes.append("The file has no chat template: it may be a model that is not made for chats.")
    values.offer("parameters", header.size_label, shown)
    values.offer("licence", header.licence, shown)
    for key in ("vocab", "context", "special_tokens"):
        values.origins[key] = shown
    manifest = Manifest(
        name=name,
        arch=values["arch"],
        vocab=header.vocabulary_size,
        context=header.context_length,
        quant=values["quant"],
        quant_kind=kind_of(values["quant"]),
        files=Files(model=file.name),
        backend="llama.cpp",
        qnn_sdk=values["qnn_sdk"] or NO_SDK,
        template=template,
        licence=values["licence"],
        source=LOCAL,
        parameters=values["parameters"],
    )
    return manifest, _special(header), notes


def _read(file: Path, shown: str) -> GgufInfo:
    """The header of a whole language model; everything else is refused."""
    shard = SHARD.search(file.name)
    if shard and int(shard[2]) > 1:
        raise _part(shown, int(shard[2]))
    try:
        header = read_gguf(file, vocabulary=True)
    except ModelFileDamaged as error:  # it is the user's own: there is no model to remove, no pull
        raise ModelFileDamaged(error.message, mend="Get the file again from its source.") from error
    if header.parts > 1:
        raise _part(shown, header.parts)
    kind = header.kind if header.kind in _OTHERS else header.architecture
    if kind in _OTHERS:
        raise ModelFileDamaged(
            f"{shown} is {_OTHERS[kind]}, and no model.", mend="Name the model's own .gguf file."
        )
    if not header.tensor_count or not header.vocabulary_size:
        lacking = "vocabulary" if header.tensor_count else "weights"
        raise ModelFileDamaged(f"{shown} holds no {lacking}, so it is no language model.")
    if header.context_length <= 0:
        raise ModelFileDamaged(f"{shown} does not say how long its context window is.")
    if header.context_length > U32:
        raise ModelFileDamaged(
            f"{shown} speaks of a context window of {header.context_length} tokens, which no model has."
        )
    return header


def _part(shown: str, count: int) -> ModelFileDamaged:
    return ModelFileDamaged(
        f"{shown} is one of {count} parts of a model.",
        mend="Merge them with llama.cpp's llama-gguf-split first.",
    )


def _special(header: GgufInfo) -> str:
    named = (("BOS", header.bos), ("EOS", header.eos), ("EOT", header.eot))
    words = [f"{name} {token} {header.texts.get(token, '')}" for name, token in named if token >= 0]
    if header.bos >= 0 and header.adds_bos:
        words[0] += " (put first)"
    return ", ".join(word.strip() for word in words)
