"""Whatever fits the schema of a route, and much that does not, is answered as `/openapi.json` says: schemathesis."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from npurun_tui.models.store import ModelStore
from npurun_tui.server import ollama
from npurun_tui.server.context import ServerContext
from npurun_tui.server.openapi import openapi_document
from tests.server.ollama_site import TOOLS_TEMPLATE, Site, add_model, site

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
Operation = APIOperation[Any, Any, Any, Any]
QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


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
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
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
