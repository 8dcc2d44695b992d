"""A small Genie bundle for the NPU as it lies on a disk: its context binaries hold graph names and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHATML = {
    "system_prefix": "<|im_start|>system\n",
    "system_suffix": "<|im_end|>\n",
    "user_prefix": "<|im_start|>user\n",
    "user_suffix": "<|im_end|>\n",
    "assistant_prefix": "<|im_start|>assistant\n",
    "assistant_suffix": "<|im_end|>\n",
    "default_system_prompt": "Be kind.",
}

TOKENS = {
    "ChatML": ("<|im_start|>", "<|im_end|>"),
    "Llama 3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "Phi-3": ("<|user|>", "<|assistant|>", "<|end|>"),
}


def make_bundle(
    folder: Path,
    *,
    special: tuple[str, ...] = TOKENS["ChatML"],
    staged: bool = True,
    files: Mapping[str, Any] | None = None,
) -> Path:
    """Write a bundle of two shards with contexts 512 and 4096; `files` are more files, JSON where not a text."""
    folder.mkdir(parents=True)
    shards = [f"model_part_{part}_of_2.bin" for part in (1, 2)]
    prompt, token = ("prompt_", "token_") if staged else ("", "")
    names = [
        f"{stage}_cl{context}_1_of_2"
        for stage in (f"{prompt}ar128", f"{token}ar1")
        for context in (512, 4096)
    ]
    for shard in shards:
        (folder / shard).write_bytes(b"\0".join(name.encode() for name in names) + bytes(1000))
    added = [{"id": i, "content": text, "special": True} for i, text in enumerate(special)]
    contents: dict[str, Any] = {
        "genie_config.json": _config(shards),
        "htp_backend_ext_config.json": {"devices": [{"soc_model": 60, "dsp_arch": "v73"}]},
        "tokenizer.json": {"added_tokens": added},
        **(files or {}),
    }
    for name, content in contents.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, "utf-8")
    return folder


def _config(shards: list[str]) -> dict[str, Any]:
    return {
        "dialog": {
            "version": 1,
            "type": "basic",
            "context": {"version": 1, "size": 4096, "n-vocab": 151936, "bos-token": -1},
            "tokenizer": {"version": 1, "path": "tokenizer.json"},
            "engine": {
                "version": 1,
                "backend": {
                    "version": 1,
                    "type": "QnnHtp",
                    "QnnHtp": {"version": 1, "poll": True},
                    "extensions": "htp_backend_ext_config.json",
                },
                "model": {"version": 1, "type": "binary", "binary": {"ctx-bins": shards}},
            },
        }
    }
