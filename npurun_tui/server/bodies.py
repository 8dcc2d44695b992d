"""Request bodies: read within their limits, then decoded into what the route takes.

The limits of size and time are held where bytes arrive (`BodyGate`), so that no route can forget them; what the text
may be (depth, NUL, types) is checked when it is decoded.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from typing import Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from npurun_tui.server.config import Limits
from npurun_tui.server.disconnect import ClientGone
from npurun_tui.server.faults import BadRequest, Busy, TooLarge, TooSlow
from npurun_tui.server.fieldwords import field_words
from npurun_tui.server.routing import Dialect

T = TypeVar("T")

SLOWEST: Final = 4096
"""Bytes in a second, on average, that a body must bring once the first `body_idle` seconds are over."""

AT_ONCE: Final = 128 << 10
"""Bytes of a body that is decoded on the server's loop, in a few milliseconds; a thread's turn costs more than that."""

BRACKETS: Final = 50_000
COMMAS: Final = 200_000
"""What a body may have of these, in its texts too: they bound its values, and with them the time that decoding holds up
every other client, in a thread too: msgspec keeps the interpreter. 15 MB of `[],` take ten seconds."""

NUL: Final = b"\\u0000"

PIECE: Final = 128 << 10
"""Bytes that are looked through at once; in between other threads get their turn."""

_ESCAPE: Final = re.compile(rb"\\[^u]", re.DOTALL)
_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_OTHERS: Final = bytes(set(range(256)) - set(b"[]{}"))


class Budget:
    """The memory that all bodies together may take. On the server's loop only."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0
        """Bytes."""

    def take(self, size: int) -> None:
        """Room for `size` more bytes. Raises Busy where there is none."""
        if self.taken + size > self._limit:
            raise Busy("Too many large requests are on their way.", mend="Try again soon.")
        self.taken += size

    def give_back(self, size: int) -> None:
        """What was taken."""
        self.taken -= size


class BodyGate:
    """A request's `receive`, counted, timed and hashed. It also tells of the client's leaving, as `receive` does."""

    def __init__(
        self, receive: Receive, limits: Limits, size: int, budget: Budget, *, keep: bool
    ) -> None:
        """`size` is the limit in bytes; `keep` keeps the body, for the log."""
        self._receive = receive
        self._limits = limits
        self._budget = budget
        self._taken = 0
        self._size = size
        self._hash = hashlib.sha256()
        self._began = time.monotonic()
        self._whole = False
        self._kept: list[bytes] | None = [] if keep else None
        self.received = 0
        """Bytes so far."""

    async def __call__(self) -> Message:
        """The next message.

        Raises:
            TooLarge, TooSlow: the client is over its limits.
            Busy: all clients together are.
        """
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._limits.body_idle):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow() from None
        if message["type"] == "http.request":
            self._take(message.get("body", b""))
            self._whole = not message.get("more_body", False)
        return message

    def _take(self, piece: bytes) -> None:
        self.received += len(piece)
        if self.received > self._size:
            raise too_large(self._size)
        self._budget.take(len(piece))
        self._taken += len(piece)
        late = time.monotonic() - self._began - self._limits.body_idle
        if late * SLOWEST > self.received:
            raise self._too_slow()
        self._hash.update(piece)
        if self._kept is not None:
            self._kept.append(piece)

    def close(self) -> None:
        """The request is over: its body's memory is free."""
        self._budget.give_back(self._taken)
        self._taken = 0

    def _too_slow(self) -> TooSlow:
        return TooSlow(
            f"The body came too slowly: {self.received} bytes, then too little for too long."
        )

    @property
    def sha256(self) -> str:
        """Of what has been read; empty where that is nothing."""
        return self._hash.hexdigest() if self.received else ""

    @property
    def kept(self) -> bytes | None:
        """The body, where it was to be kept."""
        return None if self._kept is None else b"".join(self._kept)


def too_large(limit: int) -> TooLarge:
    """The refusal of a body of more than `limit` bytes."""
    return TooLarge(f"The body is larger than this route takes ({limit:,} bytes).")


async def read_body(request: Request, kind: type[T], limits: Limits, dialect: Dialect) -> T:
    """The request's body as a `kind`. Unknown fields are ignored, and no content type is asked for.

    Raises:
        BadRequest: it is missing, not JSON, nested too deeply, or a field is not what it has to be.
        TooLarge, TooSlow: see `BodyGate`.
        ClientGone: the client left before it was whole.
    """
    try:
        body = await request.body()
    except ClientDisconnect:
        raise ClientGone from None
    if not body.strip():
        raise BadRequest("missing request body")  # Ollama's words, which its clients compare
    if len(body) > AT_ONCE:
        return await asyncio.to_thread(decode, body, kind, limits.depth, dialect)
    return decode(body, kind, limits.depth, dialect)


def decode(body: bytes, kind: type[T], depth: int, dialect: Dialect) -> T:
    """`body` as a `kind`; nested at most `depth` deep. Raises BadRequest."""
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > BRACKETS or body.count(b",") > COMMAS:
        raise BadRequest("The body has too many parts.")
    try:
        value = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _field_fault(str(error), dialect) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fault = str(error).removeprefix("JSON is malformed: ")  # msgspec's way to begin
        raise BadRequest(f"The body is not JSON: {fault}.") from None
    except RecursionError:
        raise _too_deep(depth) from None
    if brackets > depth or NUL in body:
        _look_through(body, depth)
    return value


def _field_fault(text: str, dialect: Dialect) -> BadRequest:
    """The refusal for what msgspec says of a field. Ollama's clients are told no `param`."""
    words = field_words(text)
    code = "missing_required_parameter" if words.missing else "invalid_type"
    param = words.path if dialect != "ollama" else ""
    return BadRequest(words.text, param=param or None, code=code if words.path else None)


def _too_deep(depth: int) -> BadRequest:
    return BadRequest(f"The body is nested more than {depth} levels deep.")


def _look_through(body: bytes, depth: int) -> None:
    """Raises BadRequest where valid JSON has a NUL in a string, or is nested more than `depth` deep. At C's speed and
    piece by piece, because the client chooses the shape."""
    kept: list[bytes] = []
    carry, inside = b"", 0
    for start in range(0, len(body), PIECE):
        # What is left is \u, or cut off.
        piece = _ESCAPE.sub(b"", carry + body[start : start + PIECE])
        if NUL in piece:
            raise BadRequest("The body has a NUL character in a string.")
        cut = piece.rfind(b"\\", max(len(piece) - len(NUL) + 1, 0))
        piece, carry = (piece[:cut], piece[cut:]) if cut >= 0 else (piece, b"")
        parts = piece.split(b'"')
        kept += (part.translate(_BRACKETS, _OTHERS) for part in parts[inside::2])
        inside ^= (len(parts) - 1) & 1
    if not _shallow(b"".join(kept), depth):
        raise _too_deep(depth)


def _shallow(brackets: bytes, depth: int) -> bool:
    """Whether matching brackets are nested at most `depth` deep."""
    for _ in range(depth):
        if not brackets:
            return True
        brackets = brackets.replace(b"[]", b"")
    return not brackets
