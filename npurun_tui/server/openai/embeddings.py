"""`POST /v1/embeddings`."""

from __future__ import annotations

import base64
import math
import sys
from array import array
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from npurun_tui.server.bodies import read_body
from npurun_tui.server.context import ServerContext, record_of
from npurun_tui.server.disconnect import unless_gone
from npurun_tui.server.faults import BadRequest, Unsupported
from npurun_tui.server.openai.fields import bounded, one_of
from npurun_tui.server.respond import json_response, model_name, shown

MOST_INPUTS: Final = 2048
"""OpenAI's own limit."""


class EmbeddingRequest(msgspec.Struct):
    """Texts to be embedded."""

    input: str | list[str | int | list[int]] | None = None
    """A text or texts; token ids are understood, and refused."""
    model: str | None = None
    encoding_format: Annotated[str, one_of("float", "base64")] | None = None
    """`float` (the default) or `base64`: 32-bit floats, little-endian."""
    dimensions: int | None = None
    """Fewer than the model has: the first ones, made a unit vector again."""


class EmbeddingAnswer(msgspec.Struct, kw_only=True):
    """One vector."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(msgspec.Struct):
    """Tokens."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, kw_only=True):
    """The vectors, in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[EmbeddingAnswer]
    model: str
    usage: EmbeddingUsage


def texts_of(body: EmbeddingRequest) -> tuple[str, ...]:
    """The texts. Raises BadRequest, Unsupported."""
    texts = (body.input,) if isinstance(body.input, str) else tuple(body.input or ())
    if not texts:
        raise BadRequest("`input` is missing or empty.", param="input")
    bounded(len(texts), MOST_INPUTS, "input")
    found = tuple(text for text in texts if isinstance(text, str))
    if len(found) != len(texts):
        raise Unsupported("Inputs of token ids are not supported: send text.", param="input")
    if not all(found):
        raise BadRequest("`input` may not have an empty text in it.", param="input")
    return found


def _encoding(body: EmbeddingRequest) -> str:
    wanted = body.encoding_format or "float"
    if wanted not in ("float", "base64"):
        raise BadRequest("`encoding_format` must be float or base64.", param="encoding_format")
    if body.dimensions is not None and body.dimensions < 1:
        raise BadRequest("`dimensions` must be 1 or more.", param="dimensions")
    return wanted


def shortened(vector: Sequence[float], dimensions: int | None) -> Sequence[float]:
    """The first `dimensions` of a vector, of unit length again. Raises BadRequest where there are not so many."""
    if dimensions is None or dimensions == len(vector):
        return vector
    if dimensions > len(vector):
        raise BadRequest(
            f"`dimensions` is more than the model's {len(vector)}.", param="dimensions"
        )
    first = vector[:dimensions]
    length = math.sqrt(math.fsum(value * value for value in first))
    return [value / length for value in first] if length else first


def packed(vector: Sequence[float]) -> str:
    """32-bit floats, little-endian, in base64."""
    floats = array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode("ascii")


def _written(vector: Sequence[float], dimensions: int | None, encoding: str) -> list[float] | str:
    short = shortened(vector, dimensions)
    return packed(short) if encoding == "base64" else list(short)


class Embed:
    """The route."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        record = record_of(request)
        body = await read_body(request, EmbeddingRequest, self._context.config.limits, "openai")
        record.model = shown(body.model)
        texts, encoding = texts_of(body), _encoding(body)
        model = await model_name(self._context, body.model)
        record.model = shown(model)
        found = await unless_gone(
            request,
            self._context.answerer.embed(body.model or "", texts, truncate=False, keep_alive=None),
        )
        record.prompt_tokens, record.load_ms = found.prompt_tokens, found.load_ms
        data = [
            EmbeddingAnswer(index=index, embedding=_written(vector, body.dimensions, encoding))
            for index, vector in enumerate(found.vectors)
        ]
        usage = EmbeddingUsage(found.prompt_tokens, found.prompt_tokens)
        return json_response(EmbeddingList(data=data, model=model, usage=usage))
