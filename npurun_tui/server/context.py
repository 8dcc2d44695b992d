"""What the routes stand on. One of these for each running server, made by `control`, given to each dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import Request

from npurun_tui.server.asking import Answerer
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.faults import Forbidden
from npurun_tui.server.records import RequestRecord


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What clients are told of one installed model; read from its files without loading it."""

    name: str
    digest: str
    """64 hex digits; another one where the model's files or its capabilities change."""
    size: int
    """Bytes on disk."""
    modified: float
    """Unix time."""
    backend: str
    family: str
    """`llama`, `qwen2`; never empty."""
    parameter_size: str
    """`135M`; "unknown" where nothing says."""
    quantisation: str
    format: str
    """`gguf`, `qnn-genie-bundle`."""
    context: int
    """Tokens, as the server would load it."""
    embedding_length: int
    """0 where it is not known."""
    vocabulary: int
    capabilities: tuple[str, ...]
    """Of `completion`, `tools`, `thinking`, `embedding`."""
    template: str
    """The chat template's source; may be empty."""
    licence: str = ""
    system: str = ""
    stops: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further facts for `model_info`, keys as Ollama has them."""


@dataclass(frozen=True, slots=True)
class RunningModel:
    """The model that is loaded."""

    card: ModelCard
    context: int
    memory: int
    """Bytes of the engine process."""
    expires: float | None
    """Unix time; None where it stays for ever."""
    place: str
    """Where it runs, in words."""


class Directory(Protocol):
    """The models of this machine as the routes see and change them. Called on the server's loop; never blocks it."""

    async def cards(self) -> Sequence[ModelCard]:
        """All usable models, by name."""

    async def card(self, name: str) -> ModelCard:
        """The model that a client calls `name` (`:latest` stripped). Raises UnknownModel."""

    async def running(self) -> Sequence[RunningModel]:
        """What is loaded now."""

    def pull(self, name: str) -> AsyncIterator[dict[str, Any]]:
        """Ollama's progress lines of a pull from the catalog; closing the iterator stops it, resumable."""

    async def delete(self, name: str) -> None:
        """Remove a model. Raises UnknownModel, InUse."""

    async def copy(self, source: str, destination: str) -> None:
        """Copy a model under another name. Raises UnknownModel, BadRequest, InUse."""


@dataclass(frozen=True, slots=True)
class ServerContext:
    """One running server."""

    config: ServerConfig
    answerer: Answerer
    directory: Directory
    ollama_version: str = "0.32.15"
    """A plain dotted number: clients compare it, and refuse what is below 0.6.4."""


def record_of(request: Request) -> RequestRecord:
    """The request's own record; the guard has put it there."""
    record: RequestRecord = request.scope["state"]["record"]
    return record


def require_admin(request: Request, what: str) -> None:
    """Raises Forbidden unless the guard found that whoever asks may do what only admins may; `what` ends a sentence."""
    if not request.scope["state"].get("admin"):
        raise Forbidden(f"This token may not {what}.", mend="Use the admin token.")
