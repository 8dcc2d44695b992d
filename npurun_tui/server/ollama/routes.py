"""The routes of this dialect. What Ollama has and this server has not (`/api/create`, `/api/push`, blobs, accounts) is
answered with 501 by the route table."""

from __future__ import annotations

from functools import partial

from npurun_tui.server.context import ServerContext
from npurun_tui.server.ollama.answering import Answering
from npurun_tui.server.ollama.answers import (
    OllamaChatAnswer,
    OllamaEmbedded,
    OllamaEmbedding,
    OllamaGenerated,
    OllamaModels,
    OllamaProcesses,
    OllamaShown,
    OllamaStatus,
    OllamaSuccess,
    OllamaVersion,
)
from npurun_tui.server.ollama.changing import Changing
from npurun_tui.server.ollama.embed import Embedding
from npurun_tui.server.ollama.listing import Listing
from npurun_tui.server.ollama.ndjson import MEDIA
from npurun_tui.server.ollama.requests import (
    OllamaChat,
    OllamaCopy,
    OllamaDelete,
    OllamaEmbed,
    OllamaEmbeddings,
    OllamaGenerate,
    OllamaPull,
    OllamaShow,
)
from npurun_tui.server.ollama.show import show
from npurun_tui.server.routing import Answer, Endpoint, Route

_MISSING = Answer("No such model")
_IN_USE = Answer("The model is at work, or being pulled")


def routes(context: ServerContext) -> list[Route]:
    """All routes of the dialect, over `context`."""
    listing = Listing(context)
    return [
        Route(
            "GET",
            "/api/version",
            listing.version,
            "ollama",
            "open",
            "The version",
            answers={200: Answer("The version", OllamaVersion)},
            head=True,
        ),
        _get("/api/status", listing.status, "Ollama's cloud: there is none", OllamaStatus),
        _get("/api/tags", listing.tags, "The installed models", OllamaModels, head=True),
        _get("/api/ps", listing.processes, "The loaded models", OllamaProcesses),
        Route(
            "POST",
            "/api/show",
            partial(show, context),
            "ollama",
            "infer",
            "All that is known of a model",
            body=OllamaShow,
            answers={200: Answer("The model", OllamaShown)},
        ),
        *_answering(Answering(context)),
        *_embedding(Embedding(context)),
        *_changing(Changing(context)),
    ]


def _get(path: str, endpoint: Endpoint, summary: str, body: type, *, head: bool = False) -> Route:
    answers = {200: Answer(summary, body)}
    return Route("GET", path, endpoint, "ollama", "infer", summary, answers=answers, head=head)


def _answering(routes: Answering) -> list[Route]:
    lines = Answer("A line for each piece", str, MEDIA)
    return [
        Route(
            "POST",
            "/api/chat",
            routes.chat,
            "ollama",
            "infer",
            "Answer a conversation; without messages, load or unload the model",
            body=OllamaChat,
            answers={200: (Answer("The answer", OllamaChatAnswer), lines)},
        ),
        Route(
            "POST",
            "/api/generate",
            routes.generate,
            "ollama",
            "infer",
            "Answer a prompt; without one, load or unload the model",
            body=OllamaGenerate,
            answers={200: (Answer("The answer", OllamaGenerated), lines)},
        ),
    ]


def _embedding(routes: Embedding) -> list[Route]:
    return [
        Route(
            "POST",
            "/api/embed",
            routes.embed,
            "ollama",
            "infer",
            "Make vectors of texts",
            body=OllamaEmbed,
            answers={200: Answer("The vectors", OllamaEmbedded)},
        ),
        Route(
            "POST",
            "/api/embeddings",
            routes.embeddings,
            "ollama",
            "infer",
            "Make a vector of one text",
            body=OllamaEmbeddings,
            answers={200: Answer("The vector", OllamaEmbedding)},
        ),
    ]


def _changing(routes: Changing) -> list[Route]:
    return [
        Route(
            "POST",
            "/api/pull",
            routes.pull,
            "ollama",
            "admin",
            "Pull a model of the catalog",
            body=OllamaPull,
            answers={
                200: (Answer("It is here", OllamaSuccess), Answer("How far it is", str, MEDIA)),
                409: _IN_USE,
            },
        ),
        Route(
            "DELETE",
            "/api/delete",
            routes.delete,
            "ollama",
            "admin",
            "Delete a model",
            body=OllamaDelete,
            answers={200: Answer("It is gone"), 409: _IN_USE},
        ),
        Route(
            "POST",
            "/api/delete",
            routes.delete_by_post,
            "ollama",
            "admin",
            "Delete a model, as the Rust program has it",
            body=OllamaDelete,
            answers={200: Answer("It is gone", OllamaSuccess), 409: _IN_USE},
        ),
        Route(
            "POST",
            "/api/copy",
            routes.copy,
            "ollama",
            "admin",
            "Copy a model under another name",
            body=OllamaCopy,
            answers={200: Answer("It is copied"), 409: _IN_USE},
        ),
    ]
