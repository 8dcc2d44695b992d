"""A Genie bundle made of a GGUF file, for the library with Genie's interface on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from npurun_tui.engine.cpu.gguf import read_gguf


def bundle_of(model_file: Path, folder: Path, *, context: int) -> Path:
    """Write a bundle into `folder` that runs `model_file` with a window of `context` tokens; its genie_config.json."""
    info = read_gguf(model_file, vocabulary=True)
    special = [
        {"id": token, "content": text, "special": True}
        for text, token in info.control_tokens.items()
    ]
    settings = {
        "chat_template": info.chat_template,
        "bos_token": info.bos_text,
        "eos_token": info.eos_text,
    }
    document = config(
        context=context,
        vocabulary=info.vocabulary_size,
        bos=-1,
        eos=info.eos,
        model=str(model_file),
    )
    return write_bundle(folder, document, special, settings)


def write_bundle(
    folder: Path,
    document: dict[str, Any],
    special: list[dict[str, Any]],
    settings: dict[str, Any],
) -> Path:
    """The files of a bundle; its genie_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": special}), "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    file = folder / "genie_config.json"
    file.write_text(json.dumps(document), "utf-8")
    return file


def config(*, context: int, vocabulary: int, bos: int, eos: int, model: str) -> dict[str, Any]:
    """A dialog's config for the CPU backend."""
    return {
        "dialog": {
            "version": 1,
            "type": "basic",
            "context": {
                "version": 1,
                "size": context,
                "n-vocab": vocabulary,
                "bos-token": bos,
                "eos-token": eos,
            },
            "sampler": {"version": 1, "seed": 42, "temp": 0.8, "top-k": 40, "top-p": 0.95},
            "tokenizer": {"version": 1, "path": "tokenizer.json"},
            "engine": {
                "version": 1,
                "n-threads": 1,
                "backend": {
                    "version": 1,
                    "type": "QnnGenAiTransformer",
                    "QnnGenAiTransformer": {"version": 1, "use-mmap": True},
                },
                "model": {
                    "version": 1,
                    "type": "library",
                    "library": {"version": 1, "model-bin": model},
                },
            },
        }
    }
