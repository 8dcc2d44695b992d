"""Anthropic's routes, as the app, the guard and `/openapi.json` see them."""

from __future__ import annotations

from npurun_tui.server.anthropic.answers import MessageAnswer
from npurun_tui.server.anthropic.messages import Messages
from npurun_tui.server.anthropic.request import MessagesRequest
from npurun_tui.server.context import ServerContext
from npurun_tui.server.routing import Answer, Route


def routes(context: ServerContext) -> list[Route]:
    """The routes of one server."""
    messages = Messages(context)
    return [
        Route(
            "POST",
            "/v1/messages",
            messages.answer,
            "anthropic",
            "infer",
            "Continue a conversation",
            body=MessagesRequest,
            answers={
                200: (
                    Answer("The answer", MessageAnswer),
                    Answer("The answer in events", media="text/event-stream"),
                )
            },
        ),
        Route(
            "POST",
            "/v1/messages/count_tokens",
            messages.count,
            "anthropic",
            "infer",
            "Not here",
            listed=False,
        ),
    ]
