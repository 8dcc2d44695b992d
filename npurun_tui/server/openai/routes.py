"""OpenAI's routes, as the app, the guard and `/openapi.json` see them."""

from __future__ import annotations

from npurun_tui.server.context import ServerContext
from npurun_tui.server.openai.answers import ChatCompletion, TextCompletion
from npurun_tui.server.openai.chat import Chat, ChatRequest
from npurun_tui.server.openai.completions import CompletionRequest, Completions
from npurun_tui.server.openai.embeddings import Embed, EmbeddingList, EmbeddingRequest
from npurun_tui.server.openai.models import ModelAnswer, ModelList, Models
from npurun_tui.server.openai.responses.answer import ResponseAnswer
from npurun_tui.server.openai.responses.request import ResponseRequest
from npurun_tui.server.openai.responses.route import Responses
from npurun_tui.server.routing import Answer, Route

EVENTS = "text/event-stream"


def routes(context: ServerContext) -> list[Route]:
    """The routes of one server."""
    return [*_models(context), *_answers(context)]


def _models(context: ServerContext) -> list[Route]:
    models = Models(context)
    return [
        Route(
            "GET",
            "/v1/models",
            models.all,
            "openai",
            "infer",
            "The models of this machine",
            answers={200: Answer("All usable models", ModelList)},
        ),
        Route(
            "GET",
            "/v1/models/{id:path}",
            models.one,
            "openai",
            "infer",
            "One model",
            answers={200: Answer("The model", ModelAnswer)},
        ),
    ]


def _answers(context: ServerContext) -> list[Route]:
    return [
        Route(
            "POST",
            "/v1/chat/completions",
            Chat(context).answer,
            "openai",
            "infer",
            "Continue a chat",
            body=ChatRequest,
            answers={
                200: (
                    Answer("The answer", ChatCompletion),
                    Answer("The answer in chunks", media=EVENTS),
                )
            },
        ),
        Route(
            "POST",
            "/v1/completions",
            Completions(context).answer,
            "openai",
            "infer",
            "Continue a raw prompt",
            body=CompletionRequest,
            answers={
                200: (
                    Answer("The completion", TextCompletion),
                    Answer("The completion in chunks", media=EVENTS),
                )
            },
        ),
        Route(
            "POST",
            "/v1/responses",
            Responses(context).answer,
            "openai",
            "infer",
            "Continue a conversation, statelessly",
            body=ResponseRequest,
            answers={
                200: (
                    Answer("The response", ResponseAnswer),
                    Answer("The response in events", media=EVENTS),
                )
            },
        ),
        Route(
            "POST",
            "/v1/embeddings",
            Embed(context).answer,
            "openai",
            "infer",
            "Embed texts",
            body=EmbeddingRequest,
            answers={200: Answer("The vectors", EmbeddingList)},
            large=True,
        ),
    ]
