"""Finding out what an endpoint is: which dialect, whose server, which models. A few GET requests, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from npurun_tui.attach.answer import whole
from npurun_tui.attach.http import ServerRefused, fetch
from npurun_tui.bench.endpoint.address import Address, Dialect
from npurun_tui.bench.endpoint.said import text_in
from npurun_tui.errors import EngineError, NetworkUnavailable, UsageError
from npurun_tui.text import one_line

Kind = Literal["npurun", "ollama", "llama-server", "other"]

PATIENCE: Final = 10.0
"""Seconds for an answer that a server gives at once."""
MOST_MODELS: Final = 2000
LONGEST_NAME: Final = 300
SHOWN: Final = 6
"""Models that an error names."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One model of an endpoint; what it does not tell is empty or 0. Texts but the name are one printable line."""

    name: str
    """As the endpoint calls it: it is sent back so, and cleaned where it is shown."""
    context: int = 0
    digest: str = ""
    quant: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What answers."""

    kind: Kind
    dialect: Dialect
    version: str
    """In words: `Ollama 0.33.0`; empty where it is not told."""
    models: tuple[Listed, ...]


async def find(address: Address, token: str) -> Found:
    """Ask.

    Raises:
        NetworkUnavailable: nobody answers.
        EngineError: it refuses, or what answers speaks neither dialect.
    """
    if address.dialect != "openai":
        version = await _version(address, token)
        if version is not None:
            return await _ollama(address, token, version)
        if address.dialect == "ollama":
            raise EngineError(
                f"What answers at {address.where} does not speak Ollama's dialect.",
                mend="Leave /api out to have the dialect found.",
            )
    return await _openai(address, token)


async def _version(address: Address, token: str) -> dict[str, Any] | None:
    """What `/api/version` says; None where there is no such thing."""
    try:
        document = await ask("GET", address, "/api/version", token)
    except NetworkUnavailable:
        raise
    except EngineError:
        return None  # a page in HTML for any path, a refusal: the other dialect is asked
    return document if isinstance(document.get("version"), str) else None


async def _ollama(address: Address, token: str, version: dict[str, Any]) -> Found:
    tags = await ask("GET", address, "/api/tags", token)
    models = tuple(_tag(entry) for entry in _objects(tags.get("models")))
    ours = one_line(text_in(version, "npurun_version"), 40)
    if ours or await _is_ours(address, token):
        # To our own server `:latest` means nothing.
        models = tuple(replace(each, name=each.name.removesuffix(":latest")) for each in models)
        words = f"npurun-tui {ours}" if ours else "npurun"
        return Found("npurun", address.dialect or "openai", words, models)
    words = f"Ollama {one_line(text_in(version, 'version'), 40)}"
    return Found("ollama", "ollama", words, models)


async def _is_ours(address: Address, token: str) -> bool:
    """Our own server, which does not tell strangers its version, or the Rust program's; Ollama has no such page."""
    try:
        health = await ask("GET", address, "/healthz", token)
    except NetworkUnavailable:
        raise
    except EngineError:
        return False
    return health.get("status") in ("ready", "no_model_loaded")


async def place_of(address: Address, token: str) -> str:
    """Where our own server runs what is loaded, in its words; empty where it does not say."""
    try:
        health = await ask("GET", address, "/healthz", token)
    except NetworkUnavailable:
        raise
    except EngineError:
        return ""
    return one_line(text_in(health, "place"), 40)


async def _openai(address: Address, token: str) -> Found:
    try:
        document = await ask("GET", address, "/v1/models", token)
    except ServerRefused as error:
        if error.status not in (404, 405, 501) or not address.model:
            raise
        return Found("other", "openai", "", ())  # it lists none; the model was named
    entries = list(_objects(document.get("data")))
    if not isinstance(document.get("data"), list):
        raise EngineError(
            f"What answers at {address.where} speaks neither OpenAI's dialect nor Ollama's.",
            mend="Look at the address: it is that of a server, without the path of a page.",
        )
    owners = {text_in(entry, "owned_by") for entry in entries}
    models = tuple(Listed(_name(entry, "id"), _context(entry)) for entry in entries)
    models = tuple(model for model in models if model.name)
    if "npurun" in owners:
        return Found("npurun", "openai", "npurun", models)
    if "llamacpp" in owners:
        return await _llama_server(address, token, models)
    return Found("other", "openai", "", models)


async def _llama_server(address: Address, token: str, models: tuple[Listed, ...]) -> Found:
    """`/props` has its build and its window; a server may keep it to itself."""
    try:
        props = await ask("GET", address, "/props", token)
    except NetworkUnavailable:
        raise
    except EngineError:
        props = {}
    build = one_line(text_in(props, "build_info"), 40)
    settings = props.get("default_generation_settings")
    window = whole(settings.get("n_ctx")) if isinstance(settings, dict) else None
    known = tuple(Listed(model.name, window or 0) for model in models)
    return Found("llama-server", "openai", f"llama-server {build}".strip(), known)


# --- which model -------------------------------------------------------------------------------


def choose(found: Found, address: Address, wanted: str) -> Listed:
    """The model that is asked: the one that the address names, else the endpoint's `wanted`, else its only one.

    Raises:
        UsageError: it has no such model, or several.
    """
    if address.model:
        named = _same(found.models, address.model)
        if named is None and found.models:
            raise UsageError(
                f"The endpoint {address.where} has no model {one_line(address.model, 80)}.",
                mend=f"It has {_some(found.models)}.",
            )
        return named or Listed(address.model)
    same = _same(found.models, wanted) if wanted else None
    if same is not None:
        return same
    if len(found.models) == 1:
        return found.models[0]
    if not found.models:
        raise UsageError(
            f"The endpoint {address.where} lists no models.",
            mend="Name one behind the address: URL#MODEL.",
        )
    raise UsageError(
        f"The endpoint {address.where} has several models: {_some(found.models)}.",
        mend="Name one behind the address: URL#MODEL.",
    )


def _same(models: tuple[Listed, ...], name: str) -> Listed | None:
    """A missing tag and `:latest` are the same, as Ollama has it."""
    bare = name.removesuffix(":latest")
    return next((model for model in models if model.name.removesuffix(":latest") == bare), None)


def _some(models: tuple[Listed, ...]) -> str:
    names = ", ".join(one_line(model.name, 60) for model in models[:SHOWN])
    more = len(models) - SHOWN
    return f"{names} and {more:,} more" if more > 0 else names


# --- reading -----------------------------------------------------------------------------------


async def ask(
    method: str,
    address: Address,
    path: str,
    token: str,
    body: object | None = None,
    seconds: float = PATIENCE,
) -> dict[str, Any]:
    """The JSON object that the endpoint answers with, within `seconds`; raises as `attach.http.fetch`."""
    try:
        async with asyncio.timeout(seconds):
            return await fetch(method, address.url, path, token, body)
    except TimeoutError:
        raise NetworkUnavailable(f"The endpoint {address.where} does not answer.") from None


def _objects(value: object) -> Iterator[dict[str, Any]]:
    several = value[:MOST_MODELS] if isinstance(value, list) else []
    return (entry for entry in several if isinstance(entry, dict))


def _name(entry: dict[str, Any], key: str) -> str:
    name = text_in(entry, key)
    return name if len(name) <= LONGEST_NAME else ""


def _context(entry: dict[str, Any]) -> int:
    for key in ("context_length", "max_model_len"):
        if (tokens := whole(entry.get(key))) is not None:
            return tokens
    return 0


def _tag(entry: dict[str, Any]) -> Listed:
    details = entry.get("details")
    details = details if isinstance(details, dict) else {}
    return Listed(
        _name(entry, "name"),
        0,
        one_line(text_in(entry, "digest"), 80),
        one_line(text_in(details, "quantization_level"), 20),
    )
