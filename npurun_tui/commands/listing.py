"""`list`: what is on this machine and what can be pulled, in plain text or JSON."""

from __future__ import annotations

from npurun_tui import units
from npurun_tui.commands.convertible import convertible
from npurun_tui.commands.model_documents import broken_document, entry_document, model_document
from npurun_tui.commands.tables import write_json, write_line, write_table
from npurun_tui.engine.spec import BACKEND_LABELS
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.fit import machine_facts
from npurun_tui.models.layout import announced_bytes
from npurun_tui.models.lock import holder_of
from npurun_tui.models.remote.known import known_catalog
from npurun_tui.models.store import InstalledModel, ModelStore
from npurun_tui.settings import Paths
from npurun_tui.text import one_line


def list_models(paths: Paths, *, json: bool) -> int:
    """Print the models that are here, the damaged ones, and what can be pulled."""
    store = ModelStore(paths.models)
    installed, broken = store.scan()
    partials = store.partials()
    taken = {model.name for model in installed} | {model.name for model in broken}
    known = {entry.name: entry for entry in known_catalog(paths)}
    available = _suited([entry for name, entry in known.items() if name not in taken])
    unfinished = {n: size for n, size in partials.items() if n in taken or n not in known}
    if json:
        write_json(
            {
                "folder": str(store.root),
                "models": [model_document(model) for model in installed],
                "damaged": [broken_document(model) for model in broken],
                "available": [
                    entry_document(
                        e, here := partials.get(e.name, 0), puller_of(store, e.name, here)
                    )
                    for e in available
                ],
                "unfinished": [
                    {"name": name, "downloaded": size} for name, size in unfinished.items()
                ],
                "convertible": [
                    {"path": str(each.path), "command": each.command}
                    for each in convertible(store.root)
                ],
            }
        )
        return 0
    rows = [_installed_row(model) for model in installed]
    rows += [_available_row(entry, _state(store, entry, partials)) for entry in available]
    write_table(("NAME", "SIZE", "BACKEND", "QUANT", "CONTEXT", "STATE"), rows, right="be")
    for model in broken:
        reason = one_line(model.reason, 500)
        write_line(f"\n{one_line(model.name, 60)} is damaged ({units.size(model.size)}): {reason}")
    for name, size in unfinished.items():
        words = _unfinished(store, name, size, known=name in known, taken=name in taken)
        write_line(f"\n{name}: {words}")
    for each in convertible(store.root):
        write_line(f"\n{one_line(each.path.name, 60)} is no model yet. To make it one:")
        write_line(f"  {one_line(each.command, 500)}")
    return 0


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


def _installed_row(model: InstalledModel) -> tuple[str, ...]:
    manifest = model.manifest
    return (
        model.name,  # whole, however long: it has to be typed
        units.size(model.size),
        model.processor,
        one_line(manifest.quant, 12),
        f"{manifest.context:,}",
        "installed",
    )


def _suited(entries: list[CatalogEntry]) -> list[CatalogEntry]:
    """The variants that `pull` would take. The machine is asked only where there are any: that can take a second."""
    if not any(entry.variants for entry in entries):
        return entries
    hexagons = machine_facts().hexagons
    return [entry.suited(hexagons) for entry in entries]


def _state(store: ModelStore, entry: CatalogEntry, partials: dict[str, int]) -> str:
    """How far a pull of `entry` is. The catalog may only estimate its size, so the server's word goes first."""
    here = partials.get(entry.name, 0)
    if not here:
        return "not pulled"
    total = announced_bytes(store.layout.partial(entry.name)) or entry.download_size
    share = f"{min(99, here * 100 // total)} %"
    if puller_of(store, entry.name, here) is not None:
        return f"{share}, being pulled"
    return f"{share} pulled"


def puller_of(store: ModelStore, name: str, here: int) -> str | None:
    """The process id of who pulls `name`, of which `here` bytes are there already; None where nobody does."""
    return holder_of(store.layout.partial_root, name) if here else None


def _available_row(entry: CatalogEntry, state: str) -> tuple[str, ...]:
    return (
        entry.name,
        entry.about(entry.installed_size),
        _short_backend(entry.backend),
        entry.quant,
        f"{entry.context:,}",
        state,
    )


def _short_backend(backend: str) -> str:
    return BACKEND_LABELS[backend].split()[0]


def who(puller: str) -> str:
    """A process id, or what there is of it, in words."""
    return f"process {puller}" if puller else "another program"
