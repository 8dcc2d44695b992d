"""What the Models tab says: one row for each installed, broken, half-fetched or available model. Knows no Textual.

Everything here is a pure function of what the store, the catalog and the running jobs report, so that a row can
be tested without a terminal and compared with the one on the screen before anything is drawn.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.models.names import fault_of_name
from npurun_tui.screens.model_facts import (
    entry_facts,
    installed_facts,
    said,
    sections,
    verdict,
)
from npurun_tui.screens.model_kept import KeptRows
from npurun_tui.screens.model_row import Kind, ModelRow
from npurun_tui.screens.model_words import (
    local_cell,
    local_line,
    pace,
    progress_line,
    pull_cell,
)
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.fit import Fit
    from npurun_tui.models.jobs import PullJob
    from npurun_tui.models.store import BrokenModel, InstalledModel
    from npurun_tui.screens.model_local import Check, Import

_SHORT_BACKENDS: Final = {"llama.cpp": "CPU", "genie": "NPU"}


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that rows are made from."""

    installed: Sequence[InstalledModel] = ()
    broken: Sequence[BrokenModel] = ()
    partials: Mapping[str, int] = field(default_factory=dict)
    """Bytes that unfinished pulls have left."""
    files: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    """Of each installed model: paths in its folder, with their sizes; None where one is missing."""
    catalog: Sequence[CatalogEntry] = ()
    jobs: Mapping[str, PullJob] = field(default_factory=dict)
    fits: Mapping[str, Fit] = field(default_factory=dict)
    """Whether a model of the catalog runs here; empty until this machine has been asked."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    """The last hashing of each installed model."""
    imports: Sequence[Import] = ()
    kept: KeptRows = field(default_factory=KeptRows)
    """Rows from before, of what is not on its way."""


def model_rows(known: Known) -> list[ModelRow]:
    """Installed models by name, imports, broken ones, then what can be pulled in the catalog's order."""
    rows: dict[str, ModelRow] = {}
    for row in _all_rows(known):
        rows.setdefault(row.name, row)
    return list(rows.values())


def _all_rows(known: Known) -> Iterator[ModelRow]:
    entries = {entry.name: entry for entry in known.catalog}
    for model in sorted(known.installed, key=lambda model: model.name):
        yield _installed(model, known, entries.get(model.name))
    for job in known.imports:
        yield _importing(job)
    for broken in sorted(known.broken, key=lambda model: model.name):
        yield _broken(broken, known.partials.get(broken.name, 0))
    for entry in known.catalog:
        yield _available(entry, known)
    for name, size in sorted(known.partials.items()):
        yield _orphan(name, size)


def _installed(model: InstalledModel, known: Known, entry: CatalogEntry | None) -> ModelRow:
    name = model.name
    check, job = known.checks.get(name), known.jobs.get(name)
    fit, files = known.fits.get(name), known.files.get(name, {})
    part = known.partials.get(name, 0)
    if check is None:
        row = known.kept.row(
            Kind.INSTALLED,
            name,
            (model, entry, fit, files, part),
            lambda: _here(model, entry, fit, files, part, None),
        )
    else:
        row = _here(model, entry, fit, files, part, check)
    if job is not None and job.state.open:
        return _on_its_way(row, job)
    return _checked(row, check, entry) if check is not None else row


def _here(
    model: InstalledModel,
    entry: CatalogEntry | None,
    fit: Fit | None,
    files: Mapping[str, int | None],
    part: int,
    check: Check | None,
) -> ModelRow:
    manifest = model.manifest
    return ModelRow(
        name=manifest.name,
        kind=Kind.INSTALLED,
        state="✓ installed",
        size=units.size(model.size),
        count=model.size,
        runs=_runs(fit),
        backend=model.processor,
        arch=one_line(manifest.arch, 40),
        quant=one_line(manifest.quant, 20),
        tokens=manifest.context,
        title=one_line(entry.title if entry else "", 80),
        note=one_line(entry.note if entry else "", 300),
        facts=installed_facts(model, entry, fit),
        sections=sections(model, files, check),
        on_disk=model.size - model.shared + part,
        command=f"npurun-tui run {model.name}",
    )


def _checked(row: ModelRow, check: Check, entry: CatalogEntry | None) -> ModelRow:
    """As the hashing of its files has it."""
    if check.running:
        return replace(
            row,
            state=local_cell(check, "hashing"),
            progress=local_line(check, "hashing"),
            pace=pace(check),
            checking=True,
        )
    if not check.faults:
        return row
    faults = units.count(len(check.faults), "file")
    return replace(
        row,
        state="✗ damaged",
        note=f"{faults} not as the manifest says. {mend(row.name, pullable=entry is not None)}",
        damaged=entry is not None,
        command=f"npurun-tui pull {row.name} --force" if entry else f"npurun-tui rm {row.name}",
    )


def mend(name: str, *, pullable: bool) -> str:
    """What to do about a model whose files are not what they should be."""
    if pullable:
        return f"Press p to pull {name} anew; until that is done the old one stays."
    return "Press r to remove it, and bring it here again."


def _importing(job: Import) -> ModelRow:
    return ModelRow(
        name=job.name,
        kind=Kind.IMPORTING,
        state=local_cell(job, "importing"),
        size=units.size(job.total) if job.total else "",
        count=job.total,
        pace=pace(job),
        progress=local_line(job, "importing"),
        note="Press c to stop; what was copied so far is then taken away again.",
        facts=said((("From", str(job.wish.path)), ("Way", job.wish.how))),
    )


def _broken(model: BrokenModel, part: int) -> ModelRow:
    valid = not fault_of_name(model.name)
    return ModelRow(
        name=model.name,
        kind=Kind.BROKEN,
        state="✗ broken",
        size=units.size(model.size),
        count=model.size,
        note=one_line(model.reason, 300),
        facts=said((("On disk", units.size(model.size)), ("Folder", str(model.folder)))),
        on_disk=model.size + part,
        command=f"npurun-tui rm {shlex.quote(model.name)}" if valid else "",
    )


def _orphan(name: str, size: int) -> ModelRow:
    """A half-fetched model that the catalog no longer has: it can only be removed."""
    return ModelRow(
        name=name,
        kind=Kind.BROKEN,
        state="✗ unfinished",
        size=units.size(size),
        count=size,
        note="A download that was never finished, of a model that can no longer be pulled.",
        facts=(("On disk", units.size(size)),),
        on_disk=size,
        command=f"npurun-tui rm {name}",
    )


def _available(entry: CatalogEntry, known: Known) -> ModelRow:
    here, job = known.partials.get(entry.name, 0), known.jobs.get(entry.name)
    fit = known.fits.get(entry.name)
    row = known.kept.row(
        Kind.AVAILABLE, entry.name, (entry, fit, here), lambda: _offered(entry, fit, here)
    )
    if job is not None and job.state.open:
        return _on_its_way(row, job)
    if job is not None and job.state == "failed":
        return _stopped(row, entry, here, str(job.error))
    return row


def _offered(entry: CatalogEntry, fit: Fit | None, here: int) -> ModelRow:
    """As it is while nothing happens to it; a part of it may be here."""
    row = ModelRow(
        name=entry.name,
        kind=Kind.AVAILABLE,
        state="· available",
        size=entry.about(entry.installed_size),
        count=entry.installed_size,
        runs=_runs(fit),
        backend=_SHORT_BACKENDS[entry.backend],
        arch=entry.arch,
        quant=entry.quant,
        tokens=entry.context,
        title=entry.title,
        note=one_line(entry.note, 300),
        progress=verdict(fit),
        facts=entry_facts(entry),
        on_disk=here,
        command=f"npurun-tui pull {entry.name}",
    )
    return _stopped(row, entry, here, "") if here else row


def _on_its_way(row: ModelRow, job: PullJob) -> ModelRow:
    if job.state == "queued":
        waits = "Queued: it begins when one of those before it has ended."
        return replace(row, kind=Kind.QUEUED, state="… queued", progress=waits)
    return replace(
        row,
        kind=Kind.PULLING,
        state=pull_cell(job),
        progress=progress_line(job),
        pace=pace(job),
    )


def _stopped(row: ModelRow, entry: CatalogEntry, here: int, failure: str) -> ModelRow:
    """A pull that was paused, or that failed; a part of it may be here."""
    share = f", {min(99, here * 100 // entry.download_size)} %" if entry.download_size else ""
    kept = f"{units.size(here)} of {entry.about(entry.download_size)} are here"
    if failure:
        return replace(
            row,
            kind=Kind.FAILED,
            state=f"✗ failed{share if here else ''}",
            progress=kept if here else "",
            note=one_line(failure, 300),
        )
    line = f"Paused: {kept}; pulling goes on from there."
    return replace(row, kind=Kind.PAUSED, state=f"‖ paused{share}", progress=line)


def _runs(fit: Fit | None) -> str:
    if fit is None:
        return ""
    if not fit.sure:
        return "?"
    return "✓ yes" if fit.runs else "✗ no"
