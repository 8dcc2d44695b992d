"""The server's set-up as a form: how each field is named, read, checked and explained. Knows no Textual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from npurun_tui.chat.fields import whole
from npurun_tui.errors import UsageError
from npurun_tui.screens.form import Field
from npurun_tui.server.address import (
    host_or_name,
    is_loopback,
    parse_bind,
    url_host,
    web_origin,
)
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.keepalive import parse_keep_alive

NONE, KEEP, NEW = "none", "keep", "new"
"""What becomes of a token."""

TOOLS: Final = (
    ("auto: those that do not fit the window are dropped", "auto"),
    ("strict: refuse what does not fit", "strict"),
    ("ignore: drop all tools", "ignore"),
)


def _bind(text: str) -> tuple[str, int]:
    return parse_bind(text)


def _path(text: str) -> Path | None:
    text = text.strip()
    return Path(text).expanduser().absolute() if text else None


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    for name in names:
        try:
            host_or_name(name)
        except ValueError:
            raise ValueError(f"has {name!r}, which is not a host's name") from None
    return names


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(text.replace(",", " ").split())
    for origin in origins:
        try:
            web_origin(origin)
        except ValueError:
            raise ValueError("wants origins such as https://app.example, or *") from None
    return origins


FIELDS: Final = (
    Field("bind", "Address", "HOST:PORT; 0.0.0.0: all networks", _bind),
    Field("max_queue", "Queue", "how many may wait; 0: none, 429", whole(0)),
    Field("keep_alive", "Keep alive", "of unused models: 5m, 0, -1", parse_keep_alive),
    Field("tls_cert", "TLS cert", "a PEM file; empty: plain HTTP", _path),
    Field("tls_key", "TLS key", "its key, a PEM file", _path),
    Field("allowed_hosts", "Host names", "further names of this machine", _names),
    Field("cors_origins", "Web origins", "of web pages that may ask", _origins),
)


@dataclass(frozen=True, slots=True)
class Filled:
    """What a form was left with: texts by their fields' keys, and the choices."""

    texts: Mapping[str, str]
    token: str = KEEP
    admin_token: str = KEEP
    tools: str = "auto"
    log_prompts: bool = False
    insecure: bool = False


def as_texts(config: ServerConfig) -> dict[str, str]:
    """What the fields show of `config`."""
    return {
        "bind": f"{url_host(config.host)}:{config.port}",
        "max_queue": str(config.max_queue),
        "keep_alive": keep_alive_text(config.keep_alive),
        "tls_cert": str(config.tls_cert or ""),
        "tls_key": str(config.tls_key or ""),
        "allowed_hosts": " ".join(config.allowed_hosts),
        "cors_origins": " ".join(config.cors_origins),
    }


def keep_alive_text(seconds: float) -> str:
    """As people write it, and as `parse_keep_alive` reads it."""
    if seconds < 0:
        return "-1"
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s" if seconds else "0"


def checked(filled: Filled, before: ServerConfig) -> tuple[ServerConfig, dict[str, str]]:
    """The new set-up, and what is wrong by the fields' keys; with faults the set-up means nothing.

    A new token is not in it yet: its maker puts in the hash.
    """
    values, faults = _parsed(filled.texts)
    if faults:
        return before, faults
    host, port = values.pop("bind")
    config = replace(
        before,
        host=host,
        port=port,
        infer_token=before.infer_token if filled.token == KEEP else b"",
        admin_token=before.admin_token if filled.admin_token == KEEP else b"",
        tools=filled.tools,  # type: ignore[arg-type]  # one of TOOLS
        log_prompts=filled.log_prompts,
        insecure=filled.insecure,
        **values,
    )
    return config, _together(config, asks=bool(config.infer_token) or filled.token == NEW)


def _parsed(texts: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for field in FIELDS:
        try:
            values[field.key] = field.parse(texts[field.key].strip())
        except UsageError as error:
            faults[field.key] = str(error)
        except ValueError as error:
            faults[field.key] = f"{field.label} {error}."
    return values, faults


def _together(config: ServerConfig, *, asks: bool) -> dict[str, str]:
    """What is wrong of fields that are right by themselves. `asks`: a token will be asked for."""
    faults = {}
    if not (asks or config.insecure or is_loopback(config.host)):
        faults["bind"] = (
            f"Other machines can reach {config.host}, and no token is set: make one, "
            "or say Insecure if everybody may use and delete these models."
        )
    if (config.tls_cert is None) != (config.tls_key is None):
        missing = "tls_key" if config.tls_key is None else "tls_cert"
        faults[missing] = "TLS needs a certificate and its key; give both files, or none."
    if "*" in config.cors_origins and not asks:
        faults["cors_origins"] = "Any web page could ask then: * needs a token."
    return faults


def missing_files(config: ServerConfig) -> dict[str, str]:
    """What is wrong with the files that are named. Asks the disk."""
    faults = {}
    for key, path in (("tls_cert", config.tls_cert), ("tls_key", config.tls_key)):
        if path is not None and not path.is_file():
            faults[key] = f"There is no file {path}."
    return faults
