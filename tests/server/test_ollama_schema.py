"""Whatever fits the schema of a route, and much that does not, is answered as `/openapi.json` says: schemathesis."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from schemathesis import Case
from schemathesis.generation import GenerationMode

from npurun_tui.models.store import ModelStore
from npurun_tui.server import ollama
from npurun_tui.server.context import ServerContext
from npurun_tui.server.openapi import openapi_document
from tests.server.ollama_site import TOOLS_TEMPLATE, Site, add_model, site
from tests.support.exploring import CHECKS, QUICK, Operation, operations_of


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    store = ModelStore(tmp_path)
    add_model(store, "able", template=TOOLS_TEMPLATE)
    add_model(store, "vectors", architecture="bert")
    async with site(tmp_path) as running:
        yield running


async def test_every_answer_is_as_documented(here: Site) -> None:
    context = ServerContext(here.config, here.answerer, here.directory)
    document = openapi_document(ollama.routes(context), url=here.url)
    operations = operations_of(document)
    assert len(operations) >= 14
    for operation in operations:
        await asyncio.to_thread(explore, operation, here.url)
    asked = Counter((record.route, record.status) for record in here.recorder.ended)
    for route in ("/api/chat", "/api/generate", "/api/show", "/api/embed", "/api/embeddings"):
        assert asked[route, 200] > 10, asked
    assert {status for _, status in asked} <= {200, 400, 404}


def name_a_model(case: Case[Any]) -> None:
    """Random names lead nowhere: most requests are to get as far as the answer."""
    if not isinstance(case.body, dict) or case.path in ("/api/pull", "/api/delete"):
        return
    case.body["model"] = "vectors" if "/embed" in case.path else "able"
    if "source" in case.body:
        case.body["source"] = "able"


def explore(operation: Operation, url: str) -> None:
    """Ask one operation for what schemathesis thinks of."""
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue

        @QUICK
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case[Any]) -> None:
            name_a_model(case)
            case.call_and_validate(base_url=url, checks=list(CHECKS))

        ask()
