"""`/openapi.json`: made of the routes that the app is made of, so that it is true to the code.

What the guard may answer to any request (limits, tokens, foreign origins) is added to each route here; what a route
itself answers, and the type of its body, the route says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from npurun_tui import __version__
from npurun_tui.server.address import is_loopback
from npurun_tui.server.routing import Answer, Dialect, Route

_REF: Final = "#/components/schemas/{name}"
_PARAMETER: Final = re.compile(r"{(\w+)(?::\w+)?}")

_ERRORS: Final[dict[Dialect, dict[str, Any]]] = {
    "openai": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                },
            }
        },
    },
    "anthropic": {
        "type": "object",
        "required": ["type", "error"],
        "properties": {
            "type": {"const": "error"},
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
            },
            "request_id": {"type": ["string", "null"]},
        },
    },
    "ollama": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}},
    },
}
_ERROR_NAMES: Final[dict[Dialect, str]] = {
    "openai": "OpenAIError",
    "anthropic": "AnthropicError",
    "ollama": "OllamaError",
    "plain": "OpenAIError",
}

_ALWAYS: Final = {
    400: "The request is not what the route takes",
    403: "Host, Origin or the token's scope is not allowed",
    408: "The request did not arrive in time",
    413: "The body is too large",
    415: "The body is compressed or multipart",
    431: "The head is too large",
    500: "The server is at fault",
    503: "The server is full, shuts down, or has no model",
}
_WITH_TOKEN: Final = {
    401: "No token, or not the right one",
    429: "Too many wrong tokens came from this address",
}
_WITH_MODEL: Final = {
    404: "No such model",
    429: "The waiting line is full, or too many wrong tokens came from this address",
}


def openapi_document(
    routes: Sequence[Route], *, url: str = "", version: str = __version__
) -> dict[str, Any]:
    """The document of all listed `routes`, OpenAPI 3.1. `version` is the server's, empty where it is not told."""
    listed = [route for route in routes if route.listed]
    types = [route.body for route in listed if route.body is not None]
    for route in listed:
        types += [answer.body for _, answer in _answers(route) if _has_schema(answer)]
    unique = list({repr(kind): kind for kind in types}.values())
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REF)
    schema_of = {repr(kind): schema for kind, schema in zip(unique, schemas, strict=True)}
    for dialect, schema in _ERRORS.items():
        components[_ERROR_NAMES[dialect]] = schema
    paths: dict[str, dict[str, Any]] = {}
    for route in listed:
        operations = paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})
        operations[route.method.lower()] = _operation(route, schema_of)
        if route.head:
            operations["head"] = _operation(route, schema_of, empty=True)
    return {
        "openapi": "3.1.0",
        "info": {"title": "npurun-tui", "version": version or "0"},  # the key is required
        "servers": [{"url": url or "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _answers(route: Route) -> list[tuple[int, Answer]]:
    pairs = []
    for status, answers in route.answers.items():
        several = answers if isinstance(answers, tuple) else (answers,)
        pairs += [(status, answer) for answer in several]
    return pairs


def _has_schema(answer: Answer) -> bool:
    return answer.body is not None and answer.media == "application/json"


def _operation(
    route: Route, schema_of: dict[str, dict[str, Any]], *, empty: bool = False
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "tags": [route.dialect],
        "operationId": _operation_id(route, "head" if empty else route.method),
        "responses": {
            str(status): answer for status, answer in _responses(route, schema_of, empty)
        },
    }
    names = _PARAMETER.findall(route.path)
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ]
    if route.query:
        operation.setdefault("parameters", []).extend(
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in route.query.items()
        )
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of[repr(route.body)]}},
        }
    if route.scope != "open":
        operation["security"] = [{"bearer": []}, {"key": []}, {}]
    return operation


def _responses(
    route: Route, schema_of: dict[str, dict[str, Any]], empty: bool
) -> list[tuple[int, dict[str, Any]]]:
    found: dict[int, dict[str, Any]] = {}
    for status, answer in _answers(route):
        entry = found.setdefault(status, {"description": answer.description})
        if empty or (answer.body is None and answer.media == "application/json"):
            continue
        # A stream's events are objects of several kinds, and readers of this document differ in how they see one.
        other = {} if answer.body is None else {"type": "string"}
        schema = schema_of[repr(answer.body)] if _has_schema(answer) else other
        entry.setdefault("content", {})[answer.media] = {"schema": schema}
    error = {
        "application/json": {"schema": {"$ref": _REF.format(name=_ERROR_NAMES[route.dialect])}}
    }
    for status, description in _refusals(route).items():
        if status not in found:
            found[status] = {"description": description} | ({} if empty else {"content": error})
    return sorted(found.items())


def _refusals(route: Route) -> dict[int, str]:
    texts = dict(_ALWAYS)
    if route.scope != "open":
        texts |= _WITH_TOKEN
    if route.body is not None:
        texts |= _WITH_MODEL
    elif "{" in route.path:
        texts[404] = _WITH_MODEL[404]
    return texts


def _operation_id(route: Route, method: str) -> str:
    words = re.sub(r"\W+", "_", _PARAMETER.sub(r"\1", route.path)).strip("_")
    return f"{method.lower()}_{words or 'root'}"


def openapi_route(routes: Sequence[Route], *, host: str) -> Route:
    """The route that tells of `routes` and of itself; the document is made when it is first asked for. `host` is what
    the server listens on: strangers do not learn the version."""
    made: list[bytes] = []
    version = __version__ if is_loopback(host) else ""

    async def answer(request: Request) -> Response:
        del request
        if not made:
            made.append(msgspec.json.encode(openapi_document([*routes, itself], version=version)))
        return Response(made[0], media_type="application/json")

    itself = Route(
        "GET",
        "/openapi.json",
        answer,
        "plain",
        "open",
        "This document",
        answers={200: Answer("OpenAPI 3.1", dict[str, Any])},
    )
    return itself
