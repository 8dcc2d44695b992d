"""Where an entry of a JSON catalog is fetched from, checked field by field; and the rule for addresses."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from npurun_tui.engine.spec import Backend
from npurun_tui.models.catalog import PipIndexSource, Source, UrlSource
from npurun_tui.models.fields import MAX_ADDRESS, MAX_TEXT, Fields
from npurun_tui.models.names import fault_of_relative_path
from npurun_tui.text import printable

PIP, URL = "pip-index", "url"
KINDS: Final = (PIP, URL)
MAX_SIZE: Final = 1 << 40
"""Bytes. No single model comes near; a number above it is a slip or an attack on the free-space check."""

_MAX_HOSTS: Final = 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PROJECT: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.!+_-]{0,63}")
_HOST: Final = re.compile(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)
_ADDRESS: Final = re.compile(r"[!-~]+")


class SourceFields(Fields):
    """`Fields` with the kinds of value that a catalog has beside a manifest's. Each getter raises ManifestInvalid."""

    def __init__(self, file: Path, document: Mapping[str, Any], prefix: str = "") -> None:
        super().__init__(file, document, prefix)

    def object(self, field: str) -> SourceFields:
        """A nested object; one without fields where it is absent or null."""
        super().object(field)
        value = self._document.get(field) or {}
        return SourceFields(self._file, value, f"{self._prefix}{field}.")

    def objects(self, field: str) -> list[SourceFields]:  # type: ignore[override] # a list that nobody adds to
        """A list of objects; empty where the field is absent or null."""
        super().objects(field)
        return [
            SourceFields(self._file, value, f"{self._prefix}{field}[{index}].")
            for index, value in enumerate(self._document.get(field) or [])
        ]

    def label(self, field: str, *, default: str | None = None, limit: int = MAX_TEXT) -> str:
        """A text of one line, without anything that a terminal would act on."""
        value = self.text(field, default=default, limit=limit)
        if printable(value) != value or any(map(_is_unseen, value)):
            raise self.invalid(field, "has control characters in it")
        return value

    def size(self, field: str, *, optional: bool = False) -> int:
        """A size in bytes, above 0 and at most MAX_SIZE; 0 where an optional one is absent."""
        value = self._document.get(field)
        if value is None and optional:
            return 0
        if value is None:
            raise self.invalid(field, "is missing")
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_SIZE:
            raise self.invalid(field, "must be a whole number of bytes from 1 to 1 TiB")
        return value

    def sha256(self, field: str, *, optional: bool = False) -> str:
        """64 lowercase hexadecimal digits; empty where an optional one is absent."""
        value = self.text(field, default="" if optional else None, limit=64)
        if value and _SHA256.fullmatch(value) is None:
            raise self.invalid(field, "must be 64 lowercase hexadecimal digits")
        return value

    def file_name(self, field: str) -> str:
        """The name of a file, without a folder."""
        value = self.text(field, limit=255)
        if fault := fault_of_file_name(value):
            raise self.invalid(field, fault)
        return value

    def hosts(self, field: str) -> tuple[str, ...]:
        """Host names, or `.suffix` with at least two labels; empty where the field is absent or null."""
        values = self._list(field)
        if len(values) > _MAX_HOSTS:
            raise self.invalid(field, f"has more than {_MAX_HOSTS} entries")
        for value in values:
            if not isinstance(value, str) or len(value) > 253 or not _is_host(value):
                raise self.invalid(field, "must be a list of host names or .domains")
        return tuple(values)


def _is_unseen(character: str) -> bool:
    """True for what ends a line, and for what changes how others look without a look of its own.

    The joiners are let through: Persian and the languages of India cannot be written without them.
    """
    kind = unicodedata.category(character)
    return kind in {"Cc", "Zl", "Zp"} or (kind == "Cf" and character not in "\u200c\u200d")


def _is_host(text: str) -> bool:
    bare = text.removeprefix(".")
    # A suffix of one label would be all of .com.
    return _HOST.fullmatch(bare) is not None and (bare == text or "." in bare)


def parse_source(section: SourceFields, backend: Backend) -> Source:
    """The source of an entry for `backend`. Raises ManifestInvalid."""
    if section.text("kind") == URL:
        return parse_url_source(section, backend)
    if backend != "llama.cpp":
        raise section.invalid("kind", f"must be {URL} for a model that runs on the NPU")
    project, version = section.text("project"), section.text("version")
    if _PROJECT.fullmatch(project) is None:
        raise section.invalid("project", "is not a project's name")
    if _VERSION.fullmatch(version) is None:
        raise section.invalid("version", "is not a version")
    member = section.path("member")
    if not member.lower().endswith(".gguf"):
        raise section.invalid("member", "must name a .gguf file")
    return PipIndexSource(
        project=project,
        version=version,
        filename=section.file_name("filename"),
        sha256=section.sha256("sha256"),
        size=section.size("size"),
        member=member,
    )


def parse_url_source(section: SourceFields, backend: Backend) -> UrlSource:
    """A source of the kind `url` for `backend`. Raises ManifestInvalid."""
    if section.text("kind") != URL:
        raise section.invalid("kind", f"must be {URL}")
    address = section.text("url", limit=MAX_ADDRESS)
    if fault := fault_of_address(address):
        raise section.invalid("url", fault)
    source = UrlSource(
        address,
        sha256=section.sha256("sha256", optional=True),
        size=section.size("size", optional=True),
        hosts=section.hosts("hosts"),
    )
    if fault := fault_of_file_name(source.filename):
        raise section.invalid("url", f"ends with a file name that {fault}")
    if source.packed != (backend == "genie"):
        wanted = "must not" if backend == "genie" else "must"
        raise section.invalid("url", f"{wanted} end with .gguf")
    return source


def source_document(source: Source) -> dict[str, Any]:
    """The JSON object that `parse_source` reads back."""
    if isinstance(source, PipIndexSource):
        keys = ("project", "version", "filename", "sha256", "size", "member")
        return {"kind": PIP, **{key: getattr(source, key) for key in keys}}
    document: dict[str, Any] = {"kind": URL, "url": source.url}
    for key in ("sha256", "size"):
        if value := getattr(source, key):
            document[key] = value
    if source.hosts:
        document["hosts"] = list(source.hosts)
    return document


def fault_of_file_name(name: str) -> str:
    """Why `name` cannot be a file's name, as the end of a sentence; empty where it can."""
    return fault_of_relative_path(name) or ("has a slash in it" if "/" in name else "")


def fault_of_address(address: str) -> str:
    """Why nothing is fetched from `address`, as the end of a sentence; empty where it may be.

    It has to be https, or http to this very machine; without credentials, which would end up in logs.
    """
    if len(address) > MAX_ADDRESS or _ADDRESS.fullmatch(address) is None or "\\" in address:
        return "is not an address"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not an address"
    if not host or parts.fragment:
        return "is not an address"
    if parts.username is not None or parts.password is not None:
        return "must not have credentials in it"
    return "" if is_safe(parts, host) else "must be https (http only to this machine)"


def is_safe(parts: SplitResult, host: str) -> bool:
    """An address is https, or http to this very machine."""
    if parts.scheme == "https":
        return True
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return parts.scheme == "http" and loopback
