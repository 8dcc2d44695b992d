"""A server's set-up as one line of text, to be kept between runs. Of tokens it holds the hashes, and nothing else.

Whoever can write the file that keeps it can set the server up; so what is read is checked field by field, and what does
not fit counts as its default. A hash that does not fit makes the whole text invalid: a server must not lose its token
because a letter of it was lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from npurun_tui.server.config import ServerConfig

_TOOLS: Final = ("auto", "strict", "ignore")


def dump_config(config: ServerConfig) -> str:
    """`config` as JSON; its limits are not among what people set."""
    return json.dumps(
        {
            "host": config.host,
            "port": config.port,
            "infer_token": config.infer_token.hex(),
            "admin_token": config.admin_token.hex(),
            "insecure": config.insecure,
            "allowed_hosts": list(config.allowed_hosts),
            "cors_origins": list(config.cors_origins),
            "tls_cert": str(config.tls_cert or ""),
            "tls_key": str(config.tls_key or ""),
            "max_queue": config.max_queue,
            "keep_alive": config.keep_alive,
            "tools": config.tools,
            "log_prompts": config.log_prompts,
        }
    )


def load_config(text: str, default: ServerConfig) -> ServerConfig:
    """What `dump_config` has written; `default` where it is not that, and for each field that is not right."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return default
    if not isinstance(found, dict) or not all(
        _is_hash(found.get(name, "")) for name in ("infer_token", "admin_token")
    ):
        return default
    values: dict[str, Any] = {
        name: value(found[name]) for name, value in _FIELDS.items() if _fits(found, name)
    }
    return replace(default, **values)


def _is_hash(value: object) -> bool:
    if value == "":
        return True
    try:
        return isinstance(value, str) and len(bytes.fromhex(value)) == 32
    except ValueError:
        return False


def _path(text: str) -> Path | None:
    return Path(text) if text else None


_FIELDS: Final[Mapping[str, Callable[[Any], object]]] = {
    "host": str,
    "port": int,
    "infer_token": bytes.fromhex,
    "admin_token": bytes.fromhex,
    "insecure": bool,
    "allowed_hosts": tuple,
    "cors_origins": tuple,
    "tls_cert": _path,
    "tls_key": _path,
    "max_queue": int,
    "keep_alive": float,
    "tools": str,
    "log_prompts": bool,
}


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _is_whole(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


_CHECKS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "host": lambda value: isinstance(value, str) and bool(value),
    "port": lambda value: _is_whole(value, 65535),
    "infer_token": _is_hash,
    "admin_token": _is_hash,
    "insecure": lambda value: value is True or value is False,
    "allowed_hosts": _is_list,
    "cors_origins": _is_list,
    "tls_cert": lambda value: isinstance(value, str),
    "tls_key": lambda value: isinstance(value, str),
    "max_queue": lambda value: _is_whole(value, 10_000),
    "keep_alive": lambda value: type(value) in (int, float) and value == value,  # noqa: PLR0124 - no NaN
    "tools": lambda value: value in _TOOLS,
    "log_prompts": lambda value: value is True or value is False,
}


def _fits(found: Mapping[str, object], name: str) -> bool:
    return name in found and _CHECKS[name](found[name])
