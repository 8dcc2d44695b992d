"""The document is made of the routes, and says of each what it takes and gives."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from npurun_tui.server.openapi import openapi_document
from npurun_tui.server.routing import Answer, Route


class Body(msgspec.Struct):
    model: str
    stream: bool | None = None


class Reply(msgspec.Struct):
    id: str


async def nothing(request: Request) -> Response:
    return Response()


CHAT = Route(
    "POST",
    "/v1/chat/completions",
    nothing,
    "openai",
    "infer",
    "Answer a conversation",
    body=Body,
    answers={200: (Answer("Whole", Reply), Answer("Streamed", media="text/event-stream"))},
)
MODEL = Route(
    "GET",
    "/v1/models/{id:path}",
    nothing,
    "openai",
    "infer",
    "One model",
    answers={200: Answer("The model", Reply)},
    head=True,
)
HIDDEN = Route("POST", "/api/push", nothing, "ollama", "admin", "Not here", listed=False)


def document() -> dict[str, Any]:
    return openapi_document([CHAT, MODEL, HIDDEN])


def test_a_body_and_both_forms_of_an_answer_are_told() -> None:
    operation = document()["paths"]["/v1/chat/completions"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Body"}
    assert document()["components"]["schemas"]["Body"]["required"] == ["model"]
    assert set(operation["responses"]["200"]["content"]) == {
        "application/json",
        "text/event-stream",
    }
    assert {"400", "401", "403", "404", "413", "415", "429", "503"} <= set(operation["responses"])


def test_a_path_parameter_loses_its_converter_and_head_has_no_content() -> None:
    path = document()["paths"]["/v1/models/{id}"]
    assert path["get"]["parameters"][0]["name"] == "id"
    assert "404" in path["get"]["responses"]
    assert {"413", "415"} <= set(path["get"]["responses"]), (
        "the guard asks no route whether it reads a body"
    )
    assert all("content" not in answer for answer in path["head"]["responses"].values())


def test_an_unlisted_route_is_left_out_and_ids_differ() -> None:
    paths = document()["paths"]
    assert "/api/push" not in paths
    ids = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(ids) == len(set(ids)) == 3


def test_errors_have_the_dialects_shape() -> None:
    content = document()["paths"]["/v1/models/{id}"]["get"]["responses"]["404"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/OpenAIError"}
    assert document()["components"]["schemas"]["OllamaError"]["properties"]["error"] == {
        "type": "string"
    }
