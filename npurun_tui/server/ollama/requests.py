"""What Ollama's clients send. Every field may be null, unknown ones are ignored, and no content type is asked for.

Fields are as loose as Ollama's where its clients rely on that: options are checked one by one (`options`), so that a
wrong one is named in Ollama's words.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

KeepAlive = float | str
Format = str | dict[str, Any]
Options = dict[str, Any]
AnyInput = Annotated[
    Any,
    msgspec.Meta(
        extra_json_schema={
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}},
                {"type": "null"},
            ]
        }
    ),
]


class OllamaPart(msgspec.Struct):
    """A part of a content that is a list, as OpenAI's clients write it. Only texts are taken."""

    type: str | None = None
    text: str | None = None


class OllamaFunctionCall(msgspec.Struct):
    """What was called; arguments are an object, or the text of one."""

    name: str | None = None
    arguments: dict[str, Any] | str | None = None


class OllamaToolCall(msgspec.Struct):
    """A call in an earlier answer."""

    function: OllamaFunctionCall | None = None
    id: str | None = None


class OllamaMessage(msgspec.Struct):
    """One message. The role's case does not matter."""

    role: str | None = None
    content: str | list[OllamaPart | str] | None = None
    thinking: str | None = None
    images: list[Any] | None = None
    tool_calls: list[OllamaToolCall] | None = None
    tool_name: str | None = None
    name: str | None = None
    tool_call_id: str | None = None


class OllamaFunction(msgspec.Struct):
    """A function that the model may call; `parameters` is a JSON Schema."""

    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None


class OllamaTool(msgspec.Struct):
    """A tool; only functions are offered to a model."""

    type: str | None = None
    function: OllamaFunction | None = None


class _Answered(msgspec.Struct, kw_only=True):
    """What the two routes for answers have in common."""

    model: str | None = None
    stream: bool | None = None
    format: Format | None = None
    options: Options | None = None
    keep_alive: KeepAlive | None = None
    think: bool | str | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class OllamaChat(_Answered, kw_only=True):
    """`POST /api/chat`."""

    messages: list[OllamaMessage] | None = None
    tools: list[OllamaTool] | None = None


class OllamaGenerate(_Answered, kw_only=True):
    """`POST /api/generate`."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: list[int] | None = None
    raw: bool | None = None
    images: list[Any] | None = None


class OllamaShow(msgspec.Struct):
    """`POST /api/show`; `name` is the older word for `model`."""

    model: str | None = None
    name: str | None = None
    verbose: bool | None = None


class OllamaPull(msgspec.Struct):
    """`POST /api/pull`; `insecure` and the like are ignored."""

    model: str | None = None
    name: str | None = None
    stream: bool | None = None


class OllamaDelete(msgspec.Struct):
    """`DELETE /api/delete`."""

    model: str | None = None
    name: str | None = None


class OllamaCopy(msgspec.Struct):
    """`POST /api/copy`."""

    source: str | None = None
    destination: str | None = None


class OllamaEmbed(msgspec.Struct):
    """`POST /api/embed`; `input` is a text or a list of texts."""

    model: str | None = None
    input: AnyInput = None
    truncate: bool | None = None
    dimensions: int | None = None
    options: Options | None = None
    keep_alive: KeepAlive | None = None


class OllamaEmbeddings(msgspec.Struct):
    """`POST /api/embeddings`, the older route for one text."""

    model: str | None = None
    prompt: str | None = None
    options: Options | None = None
    keep_alive: KeepAlive | None = None
