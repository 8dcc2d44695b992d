"""Whatever fits the schema of OpenAI's and Anthropic's routes, and much that does not, is answered as `/openapi.json`
says: schemathesis."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis.strategies import booleans
from schemathesis import Case
from schemathesis.generation import GenerationMode

from npurun_tui.server import anthropic, openai
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.context import ServerContext
from npurun_tui.server.openapi import openapi_document
from tests.server.scripted import CALLING, THINKING, Scripted, Shelf, served
from tests.support.exploring import CHECKS, QUICK, Operation, operations_of


async def test_every_answer_is_as_documented() -> None:
    context = ServerContext(ServerConfig(), Scripted(), Shelf())
    routes = [*openai.routes(context), *anthropic.routes(context)]
    async with served([*THINKING[:-1], *CALLING]) as server:
        operations = operations_of(openapi_document(routes, url=server.url))
        assert len(operations) == 7
        for operation in operations:
            await asyncio.to_thread(explore, operation, server.url)
    asked = Counter((record.route, record.status) for record in server.recorder.ended)
    for route in ("chat/completions", "completions", "embeddings", "responses", "messages"):
        assert asked[f"/v1/{route}", 200] > 5, asked
    assert {status for _, status in asked} <= {200, 400, 404}


GOOD: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/embeddings": {"input": ["Hi", "Ho"]},
    "/v1/messages": {
        "model": "thinker",
        "messages": [{"role": "user", "content": "Hi"}],
        "system": "Be brief.",  # blocks at random are mostly refused
    },
    "/v1/responses": {"input": "Hi"},
}
REFUSED = (
    *("background", "conversation", "previous_response_id", "suffix"),
    *("dimensions", "logprobs", "top_logprobs", "tools", "tool_choice"),
    *("response_format", "output_config", "output_format", "text"),
)
"""Fields that are mostly refused, for reasons that a schema cannot say."""


def whole(case: Case[Any]) -> None:
    """Some requests are to get as far as the answer."""
    if not isinstance(case.body, dict) or case.path not in GOOD:
        return
    case.body = {
        **{name: value for name, value in case.body.items() if name not in REFUSED},
        "max_tokens": 5,
        **({} if case.path == "/v1/completions" else {"prompt": None}),
        **GOOD[case.path],
    }


def explore(operation: Operation, url: str) -> None:
    """Ask one operation for what schemathesis thinks of, as it is and made whole."""
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue

        @QUICK
        @given(case=operation.as_strategy(generation_mode=mode), made_whole=booleans())
        def ask(case: Case[Any], made_whole: bool) -> None:
            if made_whole:
                whole(case)
            case.call_and_validate(base_url=url, checks=list(CHECKS))

        ask()
