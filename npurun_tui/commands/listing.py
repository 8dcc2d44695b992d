"""`list`: what is on this machine and what can be pulled, in plain text or JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from npurun_tui import units
from npurun_tui.commands.convertible import convertible
from npurun_tui.commands.model_documents import (
    broken_document,
    entry_document,
    fit_document,
    model_document,
)
from npurun_tui.commands.tables import write_json, write_line, write_table
from npurun_tui.engine.spec import BACKEND_LABELS
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.fit import Fit, fit, fit_here, machine_facts
from npurun_tui.models.layout import announced_bytes
from npurun_tui.models.lock import holder_of
from npurun_tui.models.remote.known import known_catalog
from npurun_tui.models.store import BrokenModel, InstalledModel, ModelStore
from npurun_tui.settings import Paths
from npurun_tui.text import one_line


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look at the models' folder and the catalog has found."""

    store: ModelStore
    installed: list[InstalledModel]
    broken: list[BrokenModel]
    available: list[CatalogEntry]
    """Each in the variant that `pull` would take."""
    fits: dict[str, Fit]
    partials: dict[str, int]
    unfinished: dict[str, str]
    """The downloads that are neither: their names, and what can be done with them."""


def list_models(paths: Paths, *, json: bool) -> int:
    """Print the models that are here, the damaged ones, and what can be pulled."""
    seen = _look(paths)
    if json:
        write_json(_document(seen))
    else:
        _write(seen)
    return 0


def _look(paths: Paths) -> _Seen:
    store = ModelStore(paths.models)
    installed, broken = store.scan()
    partials = store.partials()
    known = {entry.name: entry for entry in known_catalog(paths)}
    taken = {model.name for model in installed} | {model.name for model in broken}
    offered = [entry for name, entry in known.items() if name not in taken]
    machine = machine_facts()
    fits = {model.name: fit_here(model, known, machine) for model in installed}
    fits |= {entry.name: fit(entry, machine) for entry in offered}
    unfinished = {
        name: _unfinished(store, name, size, known=name in known, taken=name in taken)
        for name, size in partials.items()
        if name in taken or name not in known
    }
    available = [entry.suited(machine.hexagons) for entry in offered]
    return _Seen(store, installed, broken, available, fits, partials, unfinished)


def _document(seen: _Seen) -> dict[str, Any]:
    available = []
    for entry in seen.available:
        here = seen.partials.get(entry.name, 0)
        document = entry_document(entry, here, puller_of(seen.store, entry.name, here))
        available.append(document | fit_document(seen.fits[entry.name]))
    return {
        "folder": str(seen.store.root),
        "models": [model_document(m) | fit_document(seen.fits[m.name]) for m in seen.installed],
        "damaged": [broken_document(model) for model in seen.broken],
        "available": available,
        "unfinished": [
            {"name": name, "downloaded": seen.partials[name]} for name in seen.unfinished
        ],
        "convertible": [
            {"path": str(each.path), "command": each.command}
            for each in convertible(seen.store.root)
        ],
    }


def _write(seen: _Seen) -> None:
    rows = [_installed_row(model, seen.fits[model.name]) for model in seen.installed]
    rows += [_available_row(e, seen.fits[e.name], _state(seen, e)) for e in seen.available]
    write_table(("NAME", "SIZE", "BACKEND", "RUNS", "QUANT", "CONTEXT", "STATE"), rows, right="bf")
    for model in seen.broken:
        reason = one_line(model.reason, 500)
        write_line(f"\n{one_line(model.name, 60)} is damaged ({units.size(model.size)}): {reason}")
    for name, words in seen.unfinished.items():
        write_line(f"\n{name}: {words}")
    for each in convertible(seen.store.root):
        write_line(f"\n{one_line(each.path.name, 60)} is no model yet. To make it one:")
        write_line(f"  {one_line(each.command, 500)}")


def _unfinished(store: ModelStore, name: str, size: int, *, known: bool, taken: bool) -> str:
    """What there is of a download that the table has no row for, and what can be done with it."""
    here = f"{units.size(size)} of a {'new copy' if known else 'download that no catalog knows'} are here"
    if (puller := puller_of(store, name, size)) is not None:
        return f"{here}; {who(puller)} is pulling it."
    if known:
        mends = f"pull {name} --force` goes on with it, `npurun-tui prune --all` removes it."
    else:
        mends = f"{'prune --all' if taken else f'rm {name}'}` removes it."
    return f"{here}. `npurun-tui {mends}"


def _installed_row(model: InstalledModel, fits: Fit) -> tuple[str, ...]:
    manifest = model.manifest
    return (
        model.name,  # whole, however long: it has to be typed
        units.size(model.size),
        model.processor,
        _runs(fits),
        one_line(manifest.quant, 12),
        f"{manifest.context:,}",
        "installed",
    )


def _runs(fits: Fit) -> str:
    return ("yes" if fits.runs else "no") if fits.sure else "?"


def _state(seen: _Seen, entry: CatalogEntry) -> str:
    """How far a pull of `entry` is. The catalog may only estimate its size, so the server's word goes first."""
    here = seen.partials.get(entry.name, 0)
    if not here:
        return "not pulled"
    total = announced_bytes(seen.store.layout.partial(entry.name)) or entry.download_size
    share = f"{min(99, here * 100 // total)} %"
    if puller_of(seen.store, entry.name, here) is not None:
        return f"pulling, {share}"
    return f"{share} pulled"


def puller_of(store: ModelStore, name: str, here: int) -> str | None:
    """The process id of who pulls `name`, of which `here` bytes are there already; None where nobody does."""
    return holder_of(store.layout.partial_root, name) if here else None


def _available_row(entry: CatalogEntry, fits: Fit, state: str) -> tuple[str, ...]:
    return (
        entry.name,
        entry.about(entry.installed_size),
        _short_backend(entry.backend),
        _runs(fits),
        entry.quant,
        f"{entry.context:,}",
        state,
    )


def _short_backend(backend: str) -> str:
    return BACKEND_LABELS[backend].split()[0]


def who(puller: str) -> str:
    """A process id, or what there is of it, in words."""
    return f"process {puller}" if puller else "another program"
