"""`/api/embed` and its older form for one text, `/api/embeddings`."""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from npurun_tui.server.asking import Embeddings
from npurun_tui.server.bodies import read_body
from npurun_tui.server.context import ServerContext, record_of
from npurun_tui.server.disconnect import unless_gone
from npurun_tui.server.faults import BadRequest
from npurun_tui.server.ollama.answers import OllamaEmbedded, OllamaEmbedding
from npurun_tui.server.ollama.asks import keep_alive_of
from npurun_tui.server.ollama.clock import nanoseconds
from npurun_tui.server.ollama.names import meant, ollamas_words, require
from npurun_tui.server.ollama.ndjson import struct_response
from npurun_tui.server.ollama.requests import OllamaEmbed, OllamaEmbeddings


class Embedding:
    """The routes of one server that make vectors."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._limits = context.config.limits

    async def embed(self, request: Request) -> Response:
        """`POST /api/embed`."""
        body = await read_body(request, OllamaEmbed, self._limits, "ollama")
        texts = _texts(body.input)
        if len(texts) > self._limits.messages:
            raise BadRequest(f"there may be at most {self._limits.messages} inputs", param="input")
        if body.dimensions is not None and body.dimensions < 0:
            raise BadRequest("dimensions must not be negative", param="dimensions")
        name, made = await self._make(
            request, body.model, texts, body.keep_alive, truncate=body.truncate is not False
        )
        return struct_response(
            OllamaEmbedded(
                model=name,
                embeddings=[_shortened(vector, body.dimensions) for vector in made.vectors],
                total_duration=nanoseconds(made.total_ms),
                load_duration=nanoseconds(made.load_ms),
                prompt_eval_count=made.prompt_tokens,
            )
        )

    async def embeddings(self, request: Request) -> Response:
        """`POST /api/embeddings`; without a prompt the vector is empty."""
        body = await read_body(request, OllamaEmbeddings, self._limits, "ollama")
        texts = (body.prompt,) if body.prompt else ()
        _, made = await self._make(request, body.model, texts, body.keep_alive, truncate=True)
        return struct_response(OllamaEmbedding([*made.vectors[0]] if made.vectors else []))

    async def _make(
        self,
        request: Request,
        model: str | None,
        texts: tuple[str, ...],
        keep_alive: float | str | None,
        *,
        truncate: bool,
    ) -> tuple[str, Embeddings]:
        """The model's name as it is echoed, and the vectors. Without texts the model is only loaded."""
        record = record_of(request)
        record.dialect, record.model = "ollama", (model or "")[:256]
        seconds = keep_alive_of(keep_alive)
        name, card = await meant(self._context, model)
        record.model = name
        require(card, name, "embedding", "embeddings")
        answerer = self._context.answerer
        if not texts:
            load_ms = await unless_gone(request, answerer.load(card.name, seconds))
            return name, Embeddings((), 0, load_ms=load_ms, total_ms=load_ms)
        work = answerer.embed(card.name, texts, truncate=truncate, keep_alive=seconds)
        with ollamas_words(name):
            made = await unless_gone(request, work)
        record.prompt_tokens, record.load_ms = made.prompt_tokens, made.load_ms
        return name, made


def _texts(value: Any) -> tuple[str, ...]:
    """The texts in `input`. Raises BadRequest."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,) if value else ()  # as Ollama: no text, no vector
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return tuple(value)
    raise BadRequest("invalid input type", param="input")


def _shortened(vector: tuple[float, ...], dimensions: int | None) -> list[float]:
    """The first `dimensions` values, again of unit length."""
    if not dimensions or dimensions >= len(vector):
        return list(vector)
    kept = vector[:dimensions]
    length = math.hypot(*kept)
    return [value / length for value in kept] if length else list(kept)
