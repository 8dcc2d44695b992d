"""`ps`: what a running server has loaded, and what it is doing."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any

from npurun_tui import units
from npurun_tui.attach.http import base_url, fetch
from npurun_tui.commands.tables import write_json, write_line, write_table
from npurun_tui.errors import EngineError
from npurun_tui.server.address import DEFAULT_ADDRESS
from npurun_tui.text import one_line


def ps(address: str, token: str, *, as_json: bool) -> int:
    """Ask the server at `address` (this machine's own where it is empty); returns the exit status.

    Raises:
        NetworkUnavailable: nothing answers there.
        EngineError: it refuses, or is no server of this kind.
    """
    url = base_url(address or DEFAULT_ADDRESS)
    health, models = asyncio.run(_ask(url, token))
    if as_json:
        write_json({"url": url, "server": health, "models": models})
    else:
        _print(url, health, models)
    return 0


async def _ask(url: str, token: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    health = await fetch("GET", url, "/healthz", token)
    if "status" not in health:
        raise EngineError(f"What answers at {url} is not a server of this kind.")
    try:
        document = await fetch("GET", url, "/api/ps", token)
    except EngineError as error:
        if (
            "404" in error.message
        ):  # the Rust program has no such route: its one model is in /healthz
            return health, _from_health(health)
        raise
    models = document.get("models")
    return health, [m for m in models if isinstance(m, dict)] if isinstance(models, list) else []


def _from_health(health: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": health["model"]}] if isinstance(health.get("model"), str) else []


def _print(url: str, health: dict[str, Any], models: list[dict[str, Any]]) -> None:
    version = one_line(str(health.get("version", "")), 40)
    write_line(f"{url}  {one_line(str(health['status']), 40)}  {version}".rstrip())
    if not models:
        write_line("No model is loaded.")
        return
    rows = [
        [
            one_line(str(model.get("name", "")), 60),
            _size(model.get("size_vram") or model.get("size")),
            _whole(model.get("context_length")),
            _place(model, health),
            _until(model.get("expires_at")),
        ]
        for model in models
    ]
    write_table(["NAME", "MEMORY", "CONTEXT", "RUNS ON", "UNTIL"], rows, right="bc")


def _place(model: dict[str, Any], health: dict[str, Any]) -> str:
    """Where it runs. Ollama's list of models, which `/api/ps` is, has no place for that."""
    bare = str(model.get("name", "")).removesuffix(":latest")
    place = health.get("place")
    return one_line(place, 40) if isinstance(place, str) and bare == health.get("model") else ""


def _size(value: object) -> str:
    return units.size(value) if isinstance(value, int) and value > 0 else ""


def _whole(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _until(value: object) -> str:
    """`4 min from now`; what a client cannot read is left out."""
    if not isinstance(value, str):
        return ""
    try:
        left = datetime.fromisoformat(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return ""
    if left > 10 * 365 * 86400:
        return "for ever"
    return f"{units.duration(left)} from now" if left > 0 else "now"
