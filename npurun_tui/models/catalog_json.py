"""Catalog entries as a JSON document, and back: what a signed catalog carries.

The document is `{"schema": 1, "minor": 0, "entries": [...]}`. A field that this version does not know is passed over;
an entry that would be misunderstood without it says so (`"minor": N`, the lowest minor that knows it) and is left
out by older programs, as is one of an unknown kind of source or backend. Everything else that is wrong refuses the
whole document: a signature says who wrote it, not that it is harmless, and half of a broken list is nobody's list.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NoReturn, cast

from npurun_tui.engine.spec import Backend
from npurun_tui.errors import ManifestInvalid
from npurun_tui.models.catalog import CatalogEntry, PipIndexSource, Variant
from npurun_tui.models.catalog_sources import (
    KINDS,
    SourceFields,
    parse_source,
    parse_url_source,
    source_document,
)
from npurun_tui.models.manifest import parse_template
from npurun_tui.models.names import fault_of_name
from npurun_tui.text import one_line

SCHEMA: Final = 1
MINOR: Final = 0
MAX_DOCUMENT: Final = 8_000_000
"""Bytes: some thirty times what a thousand entries take."""

_HEXAGON: Final = re.compile(r"v[0-9]{2,3}")
_QAIRT: Final = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}")
_BACKENDS: Final = ("llama.cpp", "genie")

_log = logging.getLogger(__name__)


def dump(entries: Sequence[CatalogEntry]) -> bytes:
    """The document with `entries`, as UTF-8 text that people can read in a diff. Its `catalog` names are left out."""
    document = {
        "schema": SCHEMA,
        "minor": MINOR,
        "entries": [_entry_document(entry) for entry in entries],
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def load(data: bytes, where: str, *, catalog: str = "") -> tuple[CatalogEntry, ...]:
    """The entries of the document `data`; each says that it is from `catalog`.

    `where` names the document in the sentences of errors. Entries that need a newer version are left out and logged.

    Raises:
        ManifestInvalid: it is no such document, or a field of an entry cannot be true; the sentence names it.
    """
    fields = SourceFields(Path(where), _object(data, where))
    if fields.number("schema") != SCHEMA:
        raise ManifestInvalid(
            f"{one_line(where)} is written for a newer npurun-tui.", mend="Update npurun-tui."
        )
    entries: dict[str, CatalogEntry] = {}
    for item in fields.objects("entries"):
        if why := _too_new(item):
            name = one_line(str(item.text("name", default="")), 100)
            _log.warning("%s: the entry %r is left out: %s", one_line(where), name, why)
            continue
        entry = _entry(item, catalog)
        if entry.name in entries:
            raise item.invalid("name", "is there twice")
        entries[entry.name] = entry
    return tuple(entries.values())


def left_out(data: bytes, where: str) -> int:
    """How many entries of the document `load` would leave out as too new. Raises ManifestInvalid."""
    fields = SourceFields(Path(where), _object(data, where))
    return sum(bool(_too_new(item)) for item in fields.objects("entries"))


def _object(data: bytes, where: str) -> dict[str, Any]:
    shown = one_line(where)
    if len(data) > MAX_DOCUMENT:
        raise ManifestInvalid(f"{shown} is larger than {MAX_DOCUMENT // 1_000_000} MB.")
    try:
        document = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        # Also no UTF-8, NaN, a number of thousands of digits.
        why = one_line(str(error), 100)
        raise ManifestInvalid(f"{shown} is not JSON that can be read: {why}.") from None
    if not isinstance(document, dict):
        raise ManifestInvalid(f"{shown} must hold one JSON object.")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _too_new(item: SourceFields) -> str:
    """Why this version cannot understand the entry; empty where it can."""
    if item.has("minor") and item.number("minor") > MINOR:
        return "it needs a newer npurun-tui"
    if (backend := item.text("backend", limit=64)) not in _BACKENDS:
        return f"its backend {one_line(backend, 40)!r} is not known"
    sources = [item, *item.objects("variants")]
    for each in sources:
        if (kind := each.object("source").text("kind", limit=64)) not in KINDS:
            return f"its kind of source {one_line(kind, 40)!r} is not known"
    return ""


def _entry(item: SourceFields, catalog: str) -> CatalogEntry:
    name = item.text("name")
    if fault := fault_of_name(name):
        raise item.invalid("name", fault)
    backend = cast("Backend", item.text("backend"))
    hexagon = _matching(item, "hexagon", _HEXAGON, "must be like v73")
    if backend != "genie" and (hexagon or item.has("variants")):
        raise item.invalid("hexagon", "belongs only to models for the NPU")
    entry = CatalogEntry(
        name=name,
        title=item.label("title", limit=200),
        backend=backend,
        arch=item.label("arch", limit=64),
        parameters=item.label("parameters", limit=64),
        quant=item.label("quant", limit=64),
        context=item.number("context"),
        licence=item.label("licence"),
        download_size=item.size("download_size"),
        installed_size=item.size("installed_size"),
        source=parse_source(item.object("source"), backend),
        sha256=item.sha256("sha256", optional=True),
        note=item.label("note", default=""),
        hexagon=hexagon,
        qnn_sdk=_matching(item, "qnn_sdk", _QAIRT, "must be MAJOR.MINOR.PATCH"),
        template=parse_template(item.object("template")) if item.has("template") else None,
        variants=tuple(_variant(each) for each in item.objects("variants")),
        catalog=catalog,
    )
    if isinstance(entry.source, PipIndexSource) and not entry.sha256:
        raise item.invalid("sha256", "is missing")
    if len(set(entry.hexagons)) != len(entry.hexagons) or (entry.variants and not hexagon):
        raise item.invalid("variants", "must each be for another Hexagon")
    return entry


def _variant(item: SourceFields) -> Variant:
    hexagon = _matching(item, "hexagon", _HEXAGON, "must be like v73")
    if not hexagon:
        raise item.invalid("hexagon", "is missing")
    return Variant(
        hexagon=hexagon,
        source=parse_url_source(item.object("source"), "genie"),
        download_size=item.size("download_size"),
        installed_size=item.size("installed_size"),
        qnn_sdk=_matching(item, "qnn_sdk", _QAIRT, "must be MAJOR.MINOR.PATCH"),
    )


def _matching(item: SourceFields, field: str, pattern: re.Pattern[str], fault: str) -> str:
    value = item.label(field, default="", limit=64)
    if value and pattern.fullmatch(value) is None:
        raise item.invalid(field, fault)
    return value


def _entry_document(entry: CatalogEntry) -> dict[str, Any]:
    document: dict[str, Any] = {
        key: getattr(entry, key)
        for key in (
            *("name", "title", "backend", "arch", "parameters", "quant", "context", "licence"),
            *("download_size", "installed_size", "sha256", "note", "hexagon", "qnn_sdk"),
        )
    }
    document = {key: value for key, value in document.items() if value != ""}
    document["source"] = source_document(entry.source)
    if entry.template:
        document["template"] = {k: v for k, v in asdict(entry.template).items() if v}
    if entry.variants:
        document["variants"] = [
            {
                "hexagon": variant.hexagon,
                "source": source_document(variant.source),
                "download_size": variant.download_size,
                "installed_size": variant.installed_size,
                "qnn_sdk": variant.qnn_sdk,
            }
            for variant in entry.variants
        ]
    return document
