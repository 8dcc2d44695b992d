"""Model folders for tests: real manifests beside files of a few bytes, which nothing here loads."""

from __future__ import annotations

from pathlib import Path

from npurun_tui.models.manifest import Files, Manifest


def add_cpu_model(root: Path, name: str, *, size: int = 1000, context: int = 8192) -> Path:
    """An installed model for the CPU whose model file has `size` bytes."""
    manifest = Manifest(
        name=name,
        arch="llama",
        vocab=1000,
        context=context,
        quant="Q4_1",
        files=Files(model="model.gguf"),
        backend="llama.cpp",
        licence="Apache-2.0",
        parameters="135M",
    )
    return _add(root, manifest, "model.gguf", size)


def add_npu_model(root: Path, name: str, *, size: int = 1000) -> Path:
    """An installed Genie bundle."""
    manifest = Manifest(
        name=name,
        arch="llama",
        vocab=1000,
        context=4096,
        quant="w4a16",
        files=Files(genie_config="genie_config.json"),
        licence="Llama 3.2",
        parameters="3B",
    )
    return _add(root, manifest, "genie_config.json", size)


def add_broken_model(root: Path, name: str) -> Path:
    """A folder whose manifest is not JSON."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "npurun.json").write_text("{")
    return folder


def _add(root: Path, manifest: Manifest, file: str, size: int) -> Path:
    folder = root / manifest.name
    folder.mkdir(parents=True)
    (folder / file).write_bytes(b"x" * size)
    manifest.write(folder)
    return folder
