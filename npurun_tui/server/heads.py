"""A request's head, as the guard reads it: each header found by name, repeats kept apart."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope


class Head:
    """Method, path, peer and headers of one request. Texts are latin-1, as HTTP has them; `shown` is for people."""

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        client, server = scope.get("client"), scope.get("server")
        self.peer: str = client[0] if client else ""
        self.local: str = server[0] if server and server[0] else ""
        """The address that the client has reached; empty where there is none."""
        self._headers: dict[bytes, list[bytes]] = _grouped(scope["headers"])

    def all(self, name: bytes) -> list[str]:
        """Every value of a header, in lower-case `name`."""
        return [value.decode("latin-1").strip() for value in self._headers.get(name, ())]

    def first(self, name: bytes) -> str:
        """The first value; empty where there is none."""
        values = self._headers.get(name)
        return values[0].decode("latin-1").strip() if values else ""

    def shown(self, name: bytes) -> str:
        """The first value as its writer meant it: in UTF-8, which many clients write, where it is that."""
        values = self._headers.get(name)
        if not values:
            return ""
        try:
            return values[0].decode("utf-8").strip()
        except UnicodeDecodeError:
            return values[0].decode("latin-1").strip()

    def __contains__(self, name: bytes) -> bool:
        return name in self._headers


def _grouped(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    grouped: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return grouped
