"""What is here, what is loaded, and what this server is."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from npurun_tui import __version__
from npurun_tui.server.address import is_loopback
from npurun_tui.server.context import ModelCard, RunningModel, ServerContext
from npurun_tui.server.ollama.answers import (
    OllamaCloud,
    OllamaDetails,
    OllamaModel,
    OllamaModels,
    OllamaProcesses,
    OllamaRunning,
    OllamaStatus,
    OllamaVersion,
)
from npurun_tui.server.ollama.clock import stamp
from npurun_tui.server.ollama.names import listed
from npurun_tui.server.ollama.ndjson import struct_response


class Listing:
    """The routes of one server that only tell."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def version(self, request: Request) -> Response:
        """`GET /api/version`: a plain dotted number, as clients compare it with the Ollama that they need. Nobody is
        asked for a token, so that only this machine is told our own version."""
        del request
        ours = __version__ if is_loopback(self._context.config.host) else ""
        return struct_response(OllamaVersion(self._context.ollama_version, ours))

    async def status(self, request: Request) -> Response:
        """`GET /api/status`."""
        del request
        return struct_response(OllamaStatus(OllamaCloud(disabled=True, source="none")))

    async def tags(self, request: Request) -> Response:
        """`GET /api/tags`."""
        del request
        cards = await self._context.directory.cards()
        return struct_response(OllamaModels([_model(card) for card in cards]))

    async def processes(self, request: Request) -> Response:
        """`GET /api/ps`."""
        del request
        running = await self._context.directory.running()
        return struct_response(OllamaProcesses([_running(model) for model in running]))


def details_of(card: ModelCard) -> OllamaDetails:
    """What every answer about a model has."""
    return OllamaDetails(
        parent_model="",
        format=card.format,
        family=card.family,
        families=[card.family],
        parameter_size=card.parameter_size,
        quantization_level=card.quantisation,
    )


def _model(card: ModelCard) -> OllamaModel:
    return OllamaModel(
        name=listed(card),
        model=listed(card),
        modified_at=stamp(card.modified),
        size=card.size,
        digest=card.digest,
        details=details_of(card),
        capabilities=list(card.capabilities),
    )


def _running(model: RunningModel) -> OllamaRunning:
    """`size_vram` is what does not lie in the CPU's hands: clients show 100 % CPU where it is 0."""
    card = model.card
    size = model.memory or card.size
    return OllamaRunning(
        name=listed(card),
        model=listed(card),
        size=size,
        digest=card.digest,
        details=details_of(card),
        expires_at=stamp(model.expires),
        size_vram=0 if model.place.startswith("CPU") else size,
        context_length=model.context,
    )
