"""Which route a method and a path mean; what is none is refused in the words of the path's dialect."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from starlette.convertors import Convertor
from starlette.routing import compile_path

from npurun_tui.server.faults import NotHere, UnknownRoute, WrongMethod
from npurun_tui.server.routing import Dialect, Route

_ABSENT: Final = (
    "/api/blobs/",
    "/api/create",
    "/api/experimental/",
    "/api/me",
    "/api/push",
    "/api/signout",
    "/api/user/",
    "/v1/assistants",
    "/v1/audio/",
    "/v1/batches",
    "/v1/files",
    "/v1/fine_tuning/",
    "/v1/images/",
    "/v1/moderations",
    "/v1/realtime",
    "/v1/threads",
    "/v1/uploads",
    "/v1/vector_stores",
)
"""Routes of the dialects that are not here and that a client may ask for by mistake: 501 says more than 404."""


@dataclass(frozen=True, slots=True)
class Match:
    """A route, and what its path's variables are."""

    route: Route
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Pattern:
    regex: re.Pattern[str]
    convertors: dict[str, Convertor[Any]]
    methods: dict[str, Route]


class RouteTable:
    """All routes of a server."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._plain: dict[str, dict[str, Route]] = {}
        self._patterns: dict[str, _Pattern] = {}
        for route in routes:
            methods = self._methods(route.path)
            methods[route.method] = route
            if route.head:
                methods["HEAD"] = route

    def _methods(self, path: str) -> dict[str, Route]:
        if "{" not in path:
            return self._plain.setdefault(path, {})
        if path not in self._patterns:
            regex, _, convertors = compile_path(path)
            self._patterns[path] = _Pattern(regex, convertors, {})
        return self._patterns[path].methods

    def find(self, method: str, path: str) -> Match:
        """The route for a request.

        Raises:
            UnknownRoute, WrongMethod, NotHere: there is none.
        """
        methods, params = self._find(path)
        if not methods:
            if path.startswith(_ABSENT):
                raise NotHere("This server does not have this part of the interface.")
            raise UnknownRoute("There is no such path here.")
        route = methods.get(method)
        if route is None:
            raise WrongMethod("This path does not take this method.", allowed=self.allowed(path))
        return Match(route, params)

    def allowed(self, path: str) -> tuple[str, ...]:
        """The methods of a path; empty where there is no such path."""
        methods, _ = self._find(path)
        return tuple(sorted({*methods, "OPTIONS"})) if methods else ()

    def _find(self, path: str) -> tuple[dict[str, Route], dict[str, Any]]:
        plain = self._plain.get(path)
        if plain is not None:
            return plain, {}
        for pattern in self._patterns.values():
            found = pattern.regex.match(path)
            if found is not None:
                texts = found.groupdict()
                values = {key: pattern.convertors[key].convert(texts[key]) for key in texts}
                return pattern.methods, values
        return {}, {}


def dialect_of(path: str) -> Dialect:
    """In whose words a path that is no route is refused."""
    if path.startswith("/api/"):
        return "ollama"
    if path == "/v1/messages" or path.startswith("/v1/messages/"):
        return "anthropic"
    return "openai" if path.startswith("/v1/") else "plain"
