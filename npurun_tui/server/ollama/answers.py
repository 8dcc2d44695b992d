"""What the routes of this dialect answer. Counts and durations (in ns) that are zero are left out, as Ollama does."""

from __future__ import annotations

from typing import Any

import msgspec

from npurun_tui.server.openai.answers import Timings


class OllamaVersion(msgspec.Struct, omit_defaults=True):
    """`version` is the Ollama that this server behaves like: clients compare it."""

    version: str
    npurun_version: str = ""


class OllamaCloud(msgspec.Struct):
    """Ollama's own cloud."""

    disabled: bool
    source: str


class OllamaStatus(msgspec.Struct):
    """There is no cloud here."""

    cloud: OllamaCloud


class OllamaDetails(msgspec.Struct):
    """Every value is a text: parllama checks them strictly."""

    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class OllamaModel(msgspec.Struct):
    """One installed model. `digest` is 64 hex digits, another one for each model."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: OllamaDetails
    capabilities: list[str]


class OllamaModels(msgspec.Struct):
    """The installed models."""

    models: list[OllamaModel]


class OllamaRunning(msgspec.Struct):
    """A loaded model."""

    name: str
    model: str
    size: int
    digest: str
    details: OllamaDetails
    expires_at: str
    size_vram: int
    context_length: int


class OllamaProcesses(msgspec.Struct):
    """The loaded models: none or one."""

    models: list[OllamaRunning]


class OllamaShown(msgspec.Struct):
    """All that is known of one model."""

    license: str
    modelfile: str
    parameters: str
    template: str
    system: str
    renderer: str
    parser: str
    details: OllamaDetails
    messages: list[dict[str, Any]]
    model_info: dict[str, Any]
    projector_info: dict[str, Any]
    tensors: list[dict[str, Any]]
    capabilities: list[str]
    modified_at: str
    requires: str


class OllamaCalledFunction(msgspec.Struct):
    """The arguments are an object here, not a text as in OpenAI's dialect."""

    index: int
    name: str
    arguments: dict[str, Any]


class OllamaCalled(msgspec.Struct):
    """A tool call of an answer, always whole."""

    id: str
    function: OllamaCalledFunction


class OllamaAnswerMessage(msgspec.Struct, omit_defaults=True):
    """The assistant's."""

    role: str
    content: str
    thinking: str = ""
    tool_calls: list[OllamaCalled] = []


class OllamaChatAnswer(msgspec.Struct, omit_defaults=True):
    """A whole answer, or the last line of a stream."""

    model: str
    created_at: str
    message: OllamaAnswerMessage
    done: bool
    done_reason: str
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0
    cached_tokens: int = 0
    """Ours: tokens of the prompt that the cache held already."""
    warnings: list[str] = []
    """Ours: what was left out, in words."""
    timings: Timings | None = None
    """llama-server's block, as on the other routes."""


class OllamaGenerated(msgspec.Struct, omit_defaults=True):
    """A whole answer, or the last line of a stream."""

    model: str
    created_at: str
    response: str
    done: bool
    done_reason: str
    thinking: str = ""
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0
    cached_tokens: int = 0
    """Ours: tokens of the prompt that the cache held already."""
    warnings: list[str] = []
    """Ours: what was left out, in words."""
    timings: Timings | None = None
    """llama-server's block, as on the other routes."""


class OllamaEmbedded(msgspec.Struct, omit_defaults=True):
    """Vectors in the order of the texts."""

    model: str
    embeddings: list[list[float]]
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0


class OllamaEmbedding(msgspec.Struct):
    """The older route's one vector."""

    embedding: list[float]


class OllamaSuccess(msgspec.Struct):
    """`success`, or `deleted`."""

    status: str
