"""Which web pages may call this server.

CORS headers only hide an answer from a page; the request has run by then. So a page that is not allowed is refused
before its request reaches a route. Programs that are no browsers send neither `Origin` nor `Sec-Fetch-Site`.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import Response

from npurun_tui.server.config import ServerConfig
from npurun_tui.server.faults import Forbidden
from npurun_tui.server.heads import Head

_OURS: Final = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?"
    r"|(?:app|tauri|vscode-webview)://[A-Za-z0-9._-]*(?::[0-9]{1,5})?"
)
"""Pages of this machine's own programs. Neither `file://` nor `null`: any downloaded page is that."""

_HEADERS: Final = ", ".join(
    (
        "authorization",
        "content-type",
        "accept",
        "cache-control",
        "user-agent",
        "x-requested-with",
        "x-api-key",
        "api-key",
        "openai-beta",
        "openai-organization",
        "openai-project",
        "anthropic-version",
        "anthropic-beta",
        "anthropic-dangerous-direct-browser-access",
        *(
            f"x-stainless-{name}"
            for name in (
                "arch",
                "async",
                "custom-poll-interval",
                "helper-method",
                "lang",
                "os",
                "package-version",
                "poll-helper",
                "read-timeout",
                "retry-count",
                "runtime",
                "runtime-version",
                "timeout",
            )
        ),
    )
)
"""What the SDKs send from a browser; Ollama's list and Anthropic's headers."""

_EXPOSED: Final = b"retry-after, x-request-id, x-npurun-warning"


class OriginPolicy:
    """Decides about pages, and writes their CORS headers."""

    def __init__(self, config: ServerConfig) -> None:
        self._named = frozenset(name.rstrip("/").lower() for name in config.cors_origins)
        self._any = "*" in self._named and bool(config.infer_token)

    def check(self, head: Head) -> str:
        """The page's origin; empty where it is no page that asks.

        Raises:
            Forbidden: a page that may not.
        """
        origins = head.all(b"origin")
        if not origins:
            if head.first(b"sec-fetch-site").lower() == "cross-site":
                raise _refused()
            return ""
        origin = origins[0]
        if len(origins) > 1 or not self._allowed(origin, head):
            raise _refused()
        return origin

    def _allowed(self, origin: str, head: Head) -> bool:
        if origin == "null" or not origin.isprintable():
            return False
        own = origin in {f"{scheme}://{head.first(b'host')}" for scheme in ("http", "https")}
        return own or self._any or origin in self._named or _OURS.fullmatch(origin) is not None


def _refused() -> Forbidden:
    return Forbidden(
        "Web pages of this origin may not use this server.",
        mend="Allow one with --cors-origin.",
    )


def cors_headers(origin: str) -> list[tuple[bytes, bytes]]:
    """What lets the page at `origin`, which was allowed, read the answer. Credentials are never allowed."""
    if not origin:
        return []
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED),
    ]


def is_preflight(head: Head) -> bool:
    """Whether a browser asks before it sends the request itself."""
    return (
        head.method == "OPTIONS" and b"origin" in head and b"access-control-request-method" in head
    )


def preflight(head: Head) -> Response:
    """The answer to a preflight of an allowed origin."""
    headers = {
        "access-control-allow-methods": "GET, HEAD, POST, DELETE, OPTIONS",
        "access-control-allow-headers": _HEADERS,
        "access-control-max-age": "600",
    }
    if head.first(b"access-control-request-private-network") == "true":
        headers["access-control-allow-private-network"] = "true"
    return Response(status_code=204, headers=headers)
