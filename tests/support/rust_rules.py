"""The Rust program's rules for `npurun.json`, written down apart from our own reader."""

from __future__ import annotations

import re
from typing import Any

RUST: dict[str, Any] = {
    "name": "phi-3.5-mini",
    "version": "0.1.0",
    "arch": "phi3",
    "vocab": 32064,
    "context": 4096,
    "quant": "w4a16",
    "qnn_sdk": "2.43.1",
    "files": {
        "tokenizer": "bundle/phi_x/tokenizer.json",
        "genie_config": "bundle/phi_x/genie_config.json",
    },
    "chat_template": {
        "system_prompt": "Be brief.",
        "template": "<|system|>\n{system}<|end|>\n<|user|>\n{user}<|end|>\n",
        "assistant_turn": "{assistant}<|end|>\n",
        "next_user_turn": "<|user|>\n{user}<|end|>\n",
    },
    "sha256": {"bundle/phi_x/tokenizer.json": "a" * 64, "model": "b" * 64},
}
"""A manifest as that program writes it."""


def rust_faults(document: Any) -> list[str]:
    """The Rust program's rules, written down a second time and strictly: each broken one by its field."""
    rules = {
        "name": isinstance(document["name"], str) and document["name"] != "",
        "version": isinstance(document["version"], str) and document["version"] != "",
        "arch": isinstance(document["arch"], str),
        "quant": document["quant"] in {"w4a16", "w8a16", "int8", "int8-w-int16-a", "int4", "fp16"},
        "qnn_sdk": re.fullmatch(
            r"[0-9]+\.[0-9]+\.[0-9]+", re.split("[-+]", document["qnn_sdk"])[0]
        ),
        **{
            key: type(document[key]) is int and 0 < document[key] < 2**32
            for key in ("vocab", "context")
        },
    }
    return [key for key, holds in rules.items() if not holds] + [
        *file_faults(document["files"], document["sha256"]),
        *template_faults(document.get("chat_template")),
    ]


def file_faults(files: dict[str, str], hashes: dict[str, str]) -> list[str]:
    faults = list(set(files) - {"model", "ctx", "tokenizer", "config", "genie_config"})
    if not files.get("model") and not files.get("genie_config"):
        faults.append("files")
    faults += [
        path
        for path in [*files.values(), *hashes]
        if not path or path.startswith("/") or ".." in path or re.search(r"[\\:]", path)
    ]
    return faults + [k for k, v in hashes.items() if not re.fullmatch("[0-9a-f]{64}", v)]


def template_faults(template: dict[str, str] | None) -> list[str]:
    if template is None:
        return []
    holes = {"template": "{user}", "assistant_turn": "{assistant}", "next_user_turn": "{user}"}
    faults = [key for key, hole in holes.items() if hole not in template.get(key, hole)]
    return faults + [key for key in ("template", "system_prompt") if key not in template]
