"""Who and what gets to a route: asked before routing, for every request, and denied unless each answer is yes.

The order is what keeps a refusal from telling more than it must: Host, then the web page, then method and route, size
and headers, and the token last. The permit is the inference's.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from npurun_tui.server.bodies import too_large
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.faults import BadRequest, WrongMedia
from npurun_tui.server.heads import Head
from npurun_tui.server.hosts import HostList
from npurun_tui.server.origins import OriginPolicy, is_preflight, preflight
from npurun_tui.server.routing import Route
from npurun_tui.server.table import Match, RouteTable
from npurun_tui.server.tokens import TokenPolicy


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may reach its route."""

    match: Match
    size: int
    """Bytes that its body may have."""
    admin: bool
    """Whoever asks may also do what only admins may."""


class Guard:
    """The checks, each a part of its own."""

    def __init__(self, config: ServerConfig, table: RouteTable) -> None:
        self._limits = config.limits
        self._hosts = HostList(config.host, config.allowed_hosts)
        self._origins = OriginPolicy(config)
        self._tokens = TokenPolicy(config)
        self._table = table

    def origin(self, head: Head) -> str:
        """The web page that asks, if one does, after Host and page were found right.

        Raises:
            Forbidden: they are not.
        """
        self._hosts.check(head)
        return self._origins.check(head)

    def admit(self, head: Head) -> Admitted | Response:
        """The request's route; or the answer where it only asks what it may ask. `origin` comes first.

        Raises:
            RequestFault: it may not.
        """
        if head.method == "OPTIONS":
            return preflight(head) if is_preflight(head) else self._options(head)
        match = self._table.find(head.method, head.path)
        size = self._size(match.route)
        _check_body(head, size)
        return Admitted(match, size, admin=self._tokens.check(head, match.route.scope))

    def _options(self, head: Head) -> Response:
        allowed = self._table.allowed(head.path)
        if not allowed:
            self._table.find("OPTIONS", head.path)
        return Response(status_code=204, headers={"allow": ", ".join(allowed)})

    def _size(self, route: Route) -> int:
        return self._limits.body if route.large else self._limits.body_text


def _check_body(head: Head, size: int) -> None:
    """What the head says of the body. Compressed ones are refused: a small one can be any size (CVE-2024-12886)."""
    length = head.first(b"content-length")
    if length:
        if not (length.isascii() and length.isdigit()):
            raise BadRequest("The Content-Length is not a number.")
        if len(length) > 15 or int(length) > size:
            raise too_large(size)
    if head.first(b"content-encoding").lower() not in ("", "identity"):
        raise WrongMedia("Compressed bodies are not taken.", mend="Send the JSON as it is.")
    if head.first(b"content-type").lower().startswith("multipart/"):
        raise WrongMedia("Multipart bodies are not taken.", mend="Send JSON.")
