"""Which package indexes to ask: the ones that the user's pip or uv is configured with.

The environment comes before the files and pip before uv; where nobody names an index, the default is the one that
the `pypi-simple` library knows. Credentials in an address are taken out of it here, kept apart, and never shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from npurun_tui.models.pull.config_files import pip_settings, uv_settings

_NAMED: Final = re.compile(r"[A-Za-z0-9_.-]+=(?=[a-z]+:)")
_YES: Final = {"y", "yes", "t", "true", "on", "1"}
"""What pip takes for a yes."""
_BUNDLE_VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Index:
    """One package index: its address without credentials and without a slash at the end."""

    url: str
    credentials: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """Everything of the user's configuration that a pull follows."""

    indexes: tuple[Index, ...]
    """In the order in which they are asked. Only http and https; a `file:` index cannot be pulled from."""
    certificates: Path | None = None
    """A CA bundle in place of the system's."""
    proxy: str = field(default="", repr=False)
    """Empty: the usual environment variables decide."""


def configured(environ: Mapping[str, str] = os.environ) -> IndexConfig:
    """The configuration in force. Reads a handful of small files: blocking, under a millisecond."""
    pip, uv = pip_settings(environ), uv_settings(environ)
    main = next(filter(None, _main_candidates(environ, pip, uv)), None) or _default()
    extra = [url for text in _extra_candidates(environ, pip, uv) for url in text.split()]
    found: dict[str, Index] = {}
    off = (environ.get("PIP_NO_INDEX") or pip.get("no-index", "")).strip().lower() in _YES
    for address in () if off else (main, *extra):  # whoever turned it off means every program
        index = _index(address)
        if index is not None:
            found.setdefault(index.url, index)
    bundle = environ.get("PIP_CERT") or pip.get("cert")
    if not bundle and not environ.get("SSL_CERT_FILE"):
        bundle = next(filter(None, map(environ.get, _BUNDLE_VARIABLES)), None)
    return IndexConfig(
        indexes=tuple(found.values()),
        certificates=_path(bundle) if bundle else None,
        proxy=environ.get("PIP_PROXY") or pip.get("proxy", ""),
    )


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except (
        RuntimeError
    ):  # `~name` of nobody: what cannot be read is said, by this name, where it is read
        return Path(text)


def _default() -> str:
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


def _main_candidates(
    environ: Mapping[str, str], pip: Mapping[str, str], uv: Mapping[str, Any]
) -> Iterator[str | None]:
    for variable in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        yield environ.get(variable)
    yield pip.get("index-url")
    yield from (table["url"] for table in _uv_tables(uv) if table.get("default") is True)
    yield from _texts(uv.get("index-url"))


def _extra_candidates(
    environ: Mapping[str, str], pip: Mapping[str, str], uv: Mapping[str, Any]
) -> Iterator[str]:
    for variable in ("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        yield environ.get(variable, "")
    yield pip.get("extra-index-url", "")
    for table in _uv_tables(uv):
        if table.get("default") is not True and table.get("explicit") is not True:
            yield table["url"]
    yield from _texts(uv.get("extra-index-url"))


def _uv_tables(uv: Mapping[str, Any]) -> list[dict[str, Any]]:
    tables = uv.get("index")
    if not isinstance(tables, list):
        return []
    return [t for t in tables if isinstance(t, dict) and isinstance(t.get("url"), str)]


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]


def _index(address: str) -> Index | None:
    """The index at `address` (uv's `name=url` too); None where it is not http or https."""
    address = _NAMED.sub("", address.strip(), count=1)
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not host:
        return None
    netloc = f"[{host}]" if ":" in host else host
    netloc = f"{netloc}:{port}" if port else netloc
    credentials = None
    if parts.username is not None:
        credentials = (unquote(parts.username), unquote(parts.password or ""))
    return Index(urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", "")), credentials)
