"""What a route is, beyond a path and a function: the app, the guard, the 404s and `/openapi.json` are made of this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

Scope = Literal["open", "infer", "admin"]
"""Who may: anybody; a holder of the infer token; a holder of the admin token."""

Dialect = Literal["openai", "anthropic", "ollama", "plain"]

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One kind of answer that a route gives."""

    description: str
    body: Any = None
    """A type that msgspec knows; None where the body is empty or not JSON."""
    media: str = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path."""

    method: str
    path: str
    """Starlette's syntax: `/v1/models/{id:path}`."""
    endpoint: Endpoint
    dialect: Dialect
    scope: Scope
    summary: str
    body: Any = None
    """The msgspec type of the request's body; None where it has none."""
    answers: Mapping[int, Answer | tuple[Answer, ...]] = field(default_factory=dict)
    """By status. What the guard may answer (400, 401, 403, 413, 415, 500, ...) is added by the app."""
    head: bool = False
    """HEAD is answered too."""
    large: bool = False
    """The larger body limit holds: many texts come at once (or pictures, once a model here reads them)."""
    listed: bool = True
    """Stands in `/openapi.json`; a route that only says 501 does not."""
    query: Mapping[str, Any] = field(default_factory=dict)
    """The JSON Schema of each parameter in the query; all may be left out."""
