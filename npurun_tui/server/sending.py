"""What goes out: every answer's common headers, and what was sent of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from starlette.types import Message, Send

RawHeaders = Sequence[tuple[bytes, bytes]]

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"vary", b"Origin"),
)


def common_headers(version: str) -> RawHeaders:
    """Headers of every answer; `version` is empty where strangers should not learn it."""
    name = f"npurun-tui/{version}" if version else "npurun-tui"
    return (*_ALWAYS, (b"server", name.encode()))


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


class Sender:
    """A request's `send`."""

    def __init__(self, send: Send, headers: RawHeaders, request_id: str) -> None:
        """`headers` are added where the answer does not set them itself. Nothing of the request may be in them."""
        self._send = send
        self.headers = (*headers, (b"x-request-id", request_id.encode()))
        self.status = 0
        """HTTP's; 0 before the answer has begun."""
        self.complete = False

    async def __call__(self, message: Message) -> None:
        """Send one message of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [*message.get("headers", ()), (b"date", _date(int(time.time())))]
            set_already = {name for name, _ in own}
            own += [header for header in self.headers if header[0] not in set_already]
            message = {**message, "headers": own}
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.complete = True
        await self._send(message)
