"""The server that the workbench is attached to, each request a method: bounded in time, errors in one sentence.

What comes back is checked: it may be another program's server, or another version's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote, urlencode, urlsplit

from npurun_tui.attach.answer import whole
from npurun_tui.attach.http import base_url, fetch, lines_of, send
from npurun_tui.attach.requests import RemoteRequest, request_of
from npurun_tui.errors import EngineError, NetworkUnavailable
from npurun_tui.text import one_line

PATIENCE: Final = 10.0
"""Seconds for an answer that a server gives at once."""
REFUSED: Final = 30.0
"""Seconds after which a server that refuses is asked again: it logs each refusal, and the token stays what it is."""
CHANGING: Final = 120.0
"""Seconds for deleting and unloading, which wait for what runs."""

_FACTS: Final = (
    ("backend", "Engine"),
    ("architecture", "Architecture"),
    ("parameter_count", "Parameters"),
    ("quantization_level", "Quantisation"),
    ("context", "Context"),
    ("trained_context", "Trained for"),
    ("block_count", "Layers"),
    ("embedding_length", "Vector"),
    ("vocab", "Vocabulary"),
)
"""The last part of a key in `model_info`, and what people call it."""


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """One model of that machine. Texts are the server's, on one line."""

    name: str
    size: int = 0
    """Bytes."""
    parameters: str = ""
    quantisation: str = ""
    format: str = ""
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteLoaded:
    """A model that is loaded there."""

    name: str
    context: int
    """Tokens; 0 where it is not told."""
    memory: int
    """Bytes."""
    expires: str
    """RFC 3339; empty where it is not told."""


@dataclass(frozen=True, slots=True)
class RemoteDetails:
    """What `/api/show` tells beyond the list."""

    context: int
    """Tokens; 0 where it is not told."""
    backend: str
    """`llama.cpp`, `genie`; empty where it is not told."""
    facts: tuple[tuple[str, str], ...]
    """Labels and values for people."""


class ServerThere:
    """One server, by its address and token."""

    def __init__(self, address: str, token: str = "") -> None:
        """Raises UsageError where `address` is none."""
        self.url = base_url(address)
        self.token = token

    @property
    def where(self) -> str:
        """`HOST:PORT`, for people."""
        return one_line(urlsplit(self.url).netloc, 60)

    # --- looking -------------------------------------------------------------------------------

    async def health(self) -> dict[str, Any]:
        """`/healthz`. Raises EngineError where what answers is no server of this kind."""
        document = await self._ask("GET", "/healthz")
        if not isinstance(document.get("status"), str):
            raise EngineError(f"What answers at {self.url} is not a server of this kind.")
        return document

    async def models(self) -> list[RemoteModel]:
        """The installed models."""
        document = await self._ask("GET", "/api/tags")
        return [_model(entry) for entry in _objects(document.get("models"))]

    async def loaded(self) -> list[RemoteLoaded]:
        """The loaded ones."""
        document = await self._ask("GET", "/api/ps")
        return [_loaded(entry) for entry in _objects(document.get("models"))]

    async def details(self, name: str) -> RemoteDetails:
        """All that is told of one model. Raises EngineError where there is none of that name."""
        document = await self._ask("POST", "/api/show", {"model": name})
        info = document.get("model_info")
        return _details(document, info if isinstance(info, dict) else {})

    # --- changing ------------------------------------------------------------------------------

    async def delete(self, name: str) -> None:
        """Remove a model there."""
        await self._ask("POST", "/api/delete", {"model": name}, CHANGING)

    async def unload(self, name: str) -> None:
        """Have it take a model out of memory."""
        body = {"model": name, "keep_alive": 0, "stream": False}
        await self._ask("POST", "/api/generate", body, CHANGING)

    async def pull(self, name: str) -> AsyncGenerator[tuple[str, int, int], None]:
        """What a pull from that machine's catalog says: words, bytes done, bytes in all. Closing it stops the pull.

        Raises:
            EngineError, NetworkUnavailable: it failed; what has arrived there is kept.
        """
        success = False
        async with (
            send("POST", self.url, "/api/pull", self.token, {"model": name}) as response,
            aclosing(cast("AsyncGenerator[str, None]", lines_of(response))) as lines,
        ):
            async for line in lines:
                event = _object(line)
                if (fault := event.get("error")) is not None:
                    raise EngineError(f"{one_line(str(fault), 300).rstrip('.')}.")
                words = one_line(str(event.get("status", "")), 80)
                success = success or words == "success"
                yield words, whole(event.get("completed")) or 0, whole(event.get("total")) or 0
        if not success:
            raise NetworkUnavailable(
                f"The server at {self.url} ended the pull in the middle.",
                mend="Pull again: it goes on from there.",
            )

    # --- the admin's routes --------------------------------------------------------------------

    async def status(self) -> dict[str, Any]:
        """How that server stands and what it has done."""
        return await self._ask("GET", "/npurun/status")

    async def requests(self, limit: int, words: str = "") -> list[RemoteRequest]:
        """Its requests: those on their way, then the newest that have ended."""
        query = urlencode({"limit": limit, "words": words})
        document = await self._ask("GET", f"/npurun/requests?{query}")
        found = map(request_of, _objects(document.get("requests")))
        return [request for request in found if request is not None]

    async def abort(self, request_id: str) -> None:
        """End one request there."""
        await self._ask("POST", f"/npurun/requests/{quote(request_id, safe='')}/abort")

    # -------------------------------------------------------------------------------------------

    async def _ask(
        self, method: str, path: str, body: object | None = None, seconds: float = PATIENCE
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                return await fetch(method, self.url, path, self.token, body)
        except TimeoutError:
            raise NetworkUnavailable(f"The server at {self.url} does not answer.") from None


def _objects(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _object(line: str) -> dict[str, Any]:
    try:
        document = json.loads(line) if line.strip() else {}
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise EngineError(f"The server sends something that is not a pull: {one_line(line, 80)}.")
    return document


def _text(value: object, length: int = 60) -> str:
    return one_line(value, length) if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    several: Sequence[object] = value[:16] if isinstance(value, list) else ()
    return tuple(text for text in map(_text, several) if text)


def _name(entry: dict[str, Any]) -> str:
    """As our own servers write it, `:latest` means nothing."""
    return _text(entry.get("name"), 200).removesuffix(":latest")


def _model(entry: dict[str, Any]) -> RemoteModel:
    details = entry.get("details")
    details = details if isinstance(details, dict) else {}
    return RemoteModel(
        _name(entry),
        whole(entry.get("size")) or 0,
        _text(details.get("parameter_size"), 20),
        _text(details.get("quantization_level"), 20),
        _text(details.get("format"), 30),
        _texts(entry.get("capabilities")),
    )


def _loaded(entry: dict[str, Any]) -> RemoteLoaded:
    return RemoteLoaded(
        _name(entry),
        whole(entry.get("context_length")) or 0,
        whole(entry.get("size")) or 0,
        _text(entry.get("expires_at"), 40),
    )


def _fact(value: object) -> str:
    if isinstance(value, bool):
        return ""
    return f"{value:,}" if isinstance(value, int) and abs(value) < 2**53 else _text(value)


def _details(document: dict[str, Any], info: dict[str, Any]) -> RemoteDetails:
    context = whole(info.get("npurun.context")) or 0
    backend = _text(info.get("npurun.backend"), 20)
    facts = [("Can", ", ".join(_texts(document.get("capabilities"))))]
    told = {key.rpartition(".")[2]: value for key, value in info.items()}
    facts += [(label, _fact(told.get(key))) for key, label in _FACTS]
    facts += [
        (label, _text(document.get(key), 300))
        for label, key in (("Licence", "license"), ("System", "system"))
    ]
    return RemoteDetails(context, backend, tuple(pair for pair in facts if pair[1]))
