"""`GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from npurun_tui.server.context import ModelCard, ServerContext, record_of
from npurun_tui.server.respond import json_response, shown


class ModelAnswer(msgspec.Struct, kw_only=True):
    """One model; what is behind `owned_by` is more than OpenAI tells."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "npurun"
    context_length: int = 0
    """Tokens; vLLM calls it `max_model_len`, which is sent as well."""
    max_model_len: int = 0
    capabilities: list[str] = msgspec.field(default_factory=list)


class ModelList(msgspec.Struct, kw_only=True):
    """All models."""

    object: Literal["list"] = "list"
    data: list[ModelAnswer]


def _model(card: ModelCard) -> ModelAnswer:
    return ModelAnswer(
        id=card.name,
        created=int(card.modified),
        context_length=card.context,
        max_model_len=card.context,
        capabilities=list(card.capabilities),
    )


class Models:
    """The routes."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def all(self, request: Request) -> Response:
        """Every usable model."""
        record_of(request).dialect = "openai"
        cards = await self._context.directory.cards()
        return json_response(ModelList(data=[_model(card) for card in cards]))

    async def one(self, request: Request) -> Response:
        """The model that the client calls so. Raises UnknownModel."""
        record = record_of(request)
        name = request.path_params["id"]
        record.model = shown(name)
        return json_response(_model(await self._context.directory.card(name)))
