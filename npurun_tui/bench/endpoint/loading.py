"""Having a model loaded at an endpoint that can be told to (Ollama's `POST /api/generate` without a prompt), so that no
answer has the load in it. Nothing is unloaded: others may be using it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from npurun_tui.attach.answer import whole
from npurun_tui.attach.http import ServerRefused
from npurun_tui.bench.endpoint.address import Address
from npurun_tui.bench.endpoint.finding import ask
from npurun_tui.bench.endpoint.ollama import LEAST_LOAD, milliseconds
from npurun_tui.bench.endpoint.said import text_in
from npurun_tui.errors import EngineError, NetworkUnavailable

LOADING: Final = 600.0
"""Seconds for a load: of a large model from a slow disk it takes minutes."""


NO_SUCH_THING: Final = (400, 404, 405, 422, 501)
"""Of servers that cannot be told to load, such as the Rust program's, which has its model from the beginning."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """How the model is loaded there."""

    context: int = 0
    """Its window in tokens; 0 where that is not told."""
    ms: float = 0.0
    """What the load took, by the endpoint's clock where it tells, else by ours; 0 where it was loaded already."""


async def have_loaded(
    address: Address, token: str, model: str, context: int, on_load: Callable[[], None]
) -> Loaded:
    """Have `model` loaded with a window of `context` tokens (0: its own); `on_load` is called before a load.

    Raises:
        EngineError, NetworkUnavailable: it cannot be had.
    """
    window = await window_of(address, token, model)
    if window is not None and context in (0, window):
        return Loaded(window)
    on_load()
    body: dict[str, Any] = {"model": model, "stream": False}
    if context:
        body["options"] = {"num_ctx": context}
    began = time.perf_counter()
    try:
        document = await ask("POST", address, "/api/generate", token, body, LOADING)
    except ServerRefused as error:
        if error.status not in NO_SUCH_THING:
            raise
        return Loaded(window or 0)
    took = (time.perf_counter() - began) * 1000
    told = milliseconds(document.get("load_duration")) or took
    window = await window_of(address, token, model)
    return Loaded(window or context, told if told >= LEAST_LOAD else 0.0)


async def window_of(address: Address, token: str, model: str) -> int | None:
    """The window of the model that is loaded, 0 where that is not told; None where it is not loaded, or where the
    endpoint does not say what is."""
    try:
        document = await ask("GET", address, "/api/ps", token)
    except NetworkUnavailable:
        raise
    except EngineError:
        return None
    entries = document.get("models")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and _bare(text_in(entry, "name")) == _bare(model):
            return whole(entry.get("context_length")) or 0
    return None


def _bare(name: str) -> str:
    return name.removesuffix(":latest")
