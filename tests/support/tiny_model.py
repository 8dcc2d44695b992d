"""A model small enough to be pulled hundreds of times: a GGUF file in a wheel, and its catalog entry."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from npurun_tui.models.catalog import CatalogEntry, PipIndexSource
from tests.support.gguf import build_gguf

NAME = "tiny-test"
PROJECT = "tiny_model"
FILENAME = "tiny_model-1.0-py3-none-any.whl"
MEMBER = "tiny_model/Tiny.Q4_1.gguf"


@dataclass(frozen=True)
class TinyModel:
    """The bytes of the model file and of the wheel that brings it, and the entry that pins both."""

    gguf: bytes
    wheel: bytes
    entry: CatalogEntry

    def with_wheel(self, wheel: bytes) -> TinyModel:
        """The same entry, pinning another wheel (what is in it may be wrong)."""
        source = replace(self.entry.source, sha256=_sha256(wheel), size=len(wheel))
        entry = replace(self.entry, source=source, download_size=len(wheel))
        return replace(self, wheel=wheel, entry=entry)


def build_wheel(member: bytes, *, name: str = MEMBER, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A wheel with `member` in it, and what wheels have beside it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("tiny_model/__init__.py", "")
        file.writestr(name, member)
        file.writestr("tiny_model-1.0.dist-info/METADATA", "Name: tiny-model\nVersion: 1.0\n")
    return buffer.getvalue()


def build_tiny_model(*, tensor_bytes: int = 1 << 20, seed: int = 1) -> TinyModel:
    """A model of about `tensor_bytes`."""
    gguf = build_gguf(tensor_bytes=tensor_bytes, seed=seed)
    wheel = build_wheel(gguf)
    entry = CatalogEntry(
        name=NAME,
        title="Tiny",
        backend="llama.cpp",
        arch="llama",
        parameters="0M",
        quant="Q4_1",
        context=512,
        licence="CC0-1.0",
        download_size=len(wheel),
        installed_size=len(gguf),
        source=PipIndexSource(PROJECT, "1.0", FILENAME, _sha256(wheel), len(wheel), MEMBER),
        sha256=_sha256(gguf),
    )
    return TinyModel(gguf, wheel, entry)


def write_entry(entry: CatalogEntry, path: Path) -> None:
    """For a child process, which reads it back with `read_entry`."""
    path.write_text(json.dumps(asdict(entry)))


def read_entry(path: Path) -> CatalogEntry:
    """What `write_entry` wrote."""
    document = json.loads(path.read_text())
    return CatalogEntry(**{**document, "source": PipIndexSource(**document["source"])})


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
