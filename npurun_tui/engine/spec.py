"""What the engine must know of a model to load it: plain data that crosses the process boundary as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Backend = Literal["llama.cpp", "genie"]

BACKEND_LABELS: dict[str, str] = {"llama.cpp": "CPU (llama.cpp)", "genie": "NPU (Genie)"}
"""How a backend is named to people. The CPU is always called so: a silent fallback is what users fear most."""


@dataclass(frozen=True, slots=True)
class SimpleTemplate:
    """The manifest's own chat template: plain text with `{system}`, `{user}` and `{assistant}` in it."""

    template: str
    system_prompt: str = ""
    assistant_turn: str = ""
    next_user_turn: str = ""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One loadable model."""

    name: str
    backend: Backend
    folder: Path
    """The model's folder, absolute."""
    model_file: Path | None = None
    """What the engine opens first, absolute: the GGUF file, or the bundle's `genie_config.json`."""
    context: int = 0
    """Context window to open, in tokens; 0 is the model's own, within what the engine thinks fit."""
    threads: int = 0
    """CPU threads; 0 chooses."""
    template: SimpleTemplate | None = None
    """Used where the model's own files hold no Jinja template."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        document = asdict(self)
        document["folder"] = str(self.folder)
        document["model_file"] = str(self.model_file) if self.model_file else None
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ModelSpec:
        """The spec that `to_json` wrote."""
        template = document["template"]
        model_file = document["model_file"]
        return cls(
            name=document["name"],
            backend=document["backend"],
            folder=Path(document["folder"]),
            model_file=Path(model_file) if model_file else None,
            context=document["context"],
            threads=document["threads"],
            template=SimpleTemplate(**template) if template else None,
        )


def fingerprint(spec: ModelSpec) -> str:
    """What a saved cache of `spec` can be restored into: the same file, not changed since, with the same window; ""
    where that cannot be told."""
    file = spec.model_file
    if file is None:
        return ""
    try:
        status = file.stat()
    except OSError:  # the load itself will say what is wrong
        return ""
    stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return json.dumps([spec.backend, str(file), *stamp, spec.context])
