"""`catalog list` and `catalog update`: what can be pulled, who says so, and how fresh that is."""

from __future__ import annotations

import sys
from typing import Any, Final

from npurun_tui import units
from npurun_tui.commands.tables import write_json, write_line, write_table
from npurun_tui.errors import NpurunError
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.remote.faults import CatalogError
from npurun_tui.models.remote.known import known_catalog
from npurun_tui.models.remote.sources import all_sources
from npurun_tui.models.remote.stored import SourceState, read_state
from npurun_tui.models.remote.updating import Update, update_one
from npurun_tui.settings import Paths
from npurun_tui.text import one_line

_PLACES: Final = {"llama.cpp": "CPU", "genie": "NPU"}


# --- list --------------------------------------------------------------------------------------


def list_catalog(paths: Paths, *, json: bool) -> int:
    """Print every model that can be pulled, and how each source stands. No network.

    Raises:
        SourceInvalid: the list of sources cannot be used.
    """
    states = [read_state(paths, source) for source in all_sources(paths)]
    entries = known_catalog(paths)
    if json:
        write_json(
            {
                "entries": [_entry_document(entry) for entry in entries],
                "sources": [_state_document(state) for state in states],
            }
        )
        return 0
    write_table(
        ("NAME", "SIZE", "ON", "QUANT", "SHA256", "CATALOG"),
        [_entry_row(entry) for entry in entries],
        right="b",
    )
    write_line()
    if not states:
        write_line("No other catalogs; `npurun-tui catalog add-source` adds one.")
        return 0
    write_table(
        ("SOURCE", "STATE", "VERSION", "EXPIRES", "UPDATED", "ADDRESS"),
        [_state_row(state) for state in states],
        right="c",
    )
    return 0


def _entry_row(entry: CatalogEntry) -> tuple[str, ...]:
    return (
        one_line(entry.name, 40),
        entry.about(entry.download_size),
        _PLACES[entry.backend],
        one_line(entry.quant, 12),
        _integrity(entry),
        entry.catalog or "built-in",
    )


def _integrity(entry: CatalogEntry) -> str:
    return "pinned" if entry.pinned else "recorded"


def _state_row(state: SourceState) -> tuple[str, ...]:
    record = state.record
    return (
        state.source.name,
        state.state,
        str(record.version) if record else "-",
        one_line(record.expires[:10], 10) if record else "-",
        one_line(record.updated[:10], 10) if record else "-",
        one_line(state.source.url, 100),
    )


def _entry_document(entry: CatalogEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.title,
        "backend": entry.backend,
        "quantisation": entry.quant,
        "context": entry.context,
        "download_size": entry.download_size,
        "licence": entry.licence,
        "source": str(entry.source),
        "hash": _integrity(entry),
        "hexagons": list(entry.hexagons),
        "catalog": entry.catalog or "built-in",
    }


def _state_document(state: SourceState) -> dict[str, Any]:
    record = state.record
    return {
        "name": state.source.name,
        "url": state.source.url,
        "ships_with_program": state.source.builtin,
        "state": state.state,
        "version": record.version if record else None,
        "expires": record.expires if record else None,
        "updated": record.updated if record else None,
        "entries": len(state.entries),
    }


# --- update ------------------------------------------------------------------------------------


def update(paths: Paths, *, json: bool) -> int:
    """Fetch and verify every source's catalog; a line for each.

    Raises:
        SourceInvalid: the list of sources cannot be used.
        CatalogError: at least one was refused or not reached; the others are updated all the same.
    """
    updates = []
    for source in all_sources(paths):
        if sys.stderr.isatty():  # it may take minutes
            sys.stderr.write(f"Asking {one_line(source.url, 200)} ...\n")
        each = update_one(paths, source)
        updates.append(each)
        if not json:
            write_line(_update_line(each, paths))
    if json:
        write_json({"sources": [_update_document(each, paths) for each in updates]})
    elif not updates:
        write_line("There is no catalog to update: only the built-in list.")
    failed = sum(each.error is not None for each in updates)
    if failed:
        raise CatalogError(
            f"{failed} of {units.count(len(updates), 'catalog')} could not be updated.",
            mend="The built-in list and what was verified before stay in use.",
        )
    return 0


def _update_line(each: Update, paths: Paths) -> str:
    name = each.source.name
    if each.error is not None or each.record is None:
        return f"{name}: {_word(each.error)}: {each.error} {_in_use(each, paths)}"
    news = "new" if each.changed else "unchanged"
    entries = units.count(len(each.entries), "model")
    until = one_line(each.record.expires[:10], 10)
    return f"{name}: version {each.record.version}, {news}, {entries}, good until {until}"


def _word(error: NpurunError | None) -> str:
    kind = error.kind if isinstance(error, CatalogError) else "failed"
    return kind if kind in {"offline", "failed"} else f"refused ({kind.replace('_', ' ')})"


def _in_use(each: Update, paths: Paths) -> str:
    kept = read_state(paths, each.source)
    if kept.record is None:
        return f"The built-in list of {units.count(len(CATALOG), 'model')} stays in use."
    expired = ", which is past its date" if kept.state == "expired" else ""
    return f"Version {kept.record.version}{expired}, and the built-in list, stay in use."


def _update_document(each: Update, paths: Paths) -> dict[str, Any]:
    document: dict[str, Any] = {"name": each.source.name, "updated": each.error is None}
    if each.error is not None:
        kind = each.error.kind if isinstance(each.error, CatalogError) else "failed"
        document |= {"reason": kind, "message": each.error.message, "mend": each.error.mend}
    state = read_state(paths, each.source)
    return document | {"changed": each.changed, "in_use": _state_document(state)}
