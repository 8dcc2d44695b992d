"""What the Models tab says: one row for each installed, broken, half-fetched or available model. Knows no Textual.

Everything here is a pure function of what the store, the catalog and the running jobs report, so that a row can
be tested without a terminal and compared with the one on the screen before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.files import typed
from npurun_tui.models.names import fault_of_name
from npurun_tui.screens.model_disk import FilesSeen
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
    pull_pace,
)
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.fit import Fit
    from npurun_tui.models.jobs import PullJob
    from npurun_tui.models.store import BrokenModel, InstalledModel
    from npurun_tui.screens.model_local import Check, Import

_SHORT_BACKENDS: Final = {"llama.cpp": "CPU", "genie": "NPU"}
_TOLD: Final = frozenset({"queued", "running", "failed"})
"""The states of a pull that its model's row tells of."""
TRY_AGAIN: Final = "Press p to try again."


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that rows are made from."""

    installed: Sequence[InstalledModel] = ()
    broken: Sequence[BrokenModel] = ()
    partials: Mapping[str, int] = field(default_factory=dict)
    """Bytes that unfinished pulls have left."""
    files: Mapping[str, FilesSeen] = field(default_factory=dict)
    """Of each installed model."""
    catalog: Sequence[CatalogEntry] = ()
    jobs: Mapping[str, PullJob] = field(default_factory=dict)
    fits: Mapping[str, Fit] = field(default_factory=dict)
    """Whether a model of the catalog runs here; empty until this machine has been asked."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    """The last hashing of each installed model."""
    imports: Sequence[Import] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """What another program works on -> its process id, or nothing."""
    kept: KeptRows = field(default_factory=KeptRows)
    """Rows from before, of what is not on its way."""


def model_rows(known: Known) -> list[ModelRow]:
    """Installed models by name, imports, broken ones, then what can be pulled in the catalog's order."""
    rows: dict[str, ModelRow] = {}
    for row in _all_rows(known):
        rows.setdefault(row.name, row)
    for name, process in known.elsewhere.items():
        if name in rows and not rows[name].on_its_way:
            rows[name] = _elsewhere(rows[name], process)
    return list(rows.values())


def _elsewhere(row: ModelRow, process: str) -> ModelRow:
    """One that another program pulls, removes or imports at this moment."""
    who = f"Another program (process {process})" if process else "Another program"
    line = f"{who} works on it right now; what comes of that is shown here."
    state = row.state if row.kind is Kind.INSTALLED else "↓ elsewhere"
    return replace(row, state=state, progress=line, pull="", elsewhere=True)


def _all_rows(known: Known) -> Iterator[ModelRow]:
    entries = {entry.name: entry for entry in known.catalog}
    for model in sorted(known.installed, key=lambda model: model.name):
        yield _installed(model, known, entries.get(model.name))
    for job in known.imports:
        yield _importing(job)
    for broken in sorted(known.broken, key=lambda model: model.name):
        yield _broken(broken, known, entries.get(broken.name))
    for entry in known.catalog:
        yield _available(entry, known)
    for name, size in sorted(known.partials.items()):
        yield _orphan(name, size)


def _installed(model: InstalledModel, known: Known, entry: CatalogEntry | None) -> ModelRow:
    name = model.name
    check, job = known.checks.get(name), known.jobs.get(name)
    fit, files = known.fits.get(name), known.files.get(name, FilesSeen())
    part = known.partials.get(name, 0)
    if check is None:
        row = known.kept.row(
            Kind.INSTALLED,
            name,
            (model, entry, fit, files, part),
            lambda: _here(model, entry, fit, files, part, None),
        )
    else:
        row = _checked(_here(model, entry, fit, files, part, check), check, entry)
    if entry is None:
        return row
    return _replaced(row, entry, job) if job is not None and job.state in _TOLD else row


def _here(
    model: InstalledModel,
    entry: CatalogEntry | None,
    fit: Fit | None,
    files: FilesSeen,
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
        part=part,
        progress=_kept(entry, part) if entry and part else "",
        pull="Resume" if entry and part else "",
        replaces=bool(entry and part),
        command=f"npurun-tui run {model.name}",
    )


def _kept(entry: CatalogEntry, part: int) -> str:
    """How far the pull of a new copy came."""
    whole = entry.about(entry.download_size)
    return f"A pull of a new copy was begun: {units.size(part)} of {whole} are here."


def _replaced(row: ModelRow, entry: CatalogEntry, job: PullJob) -> ModelRow:
    """One that is here, damaged or broken, while a new copy of it is pulled, or where that has failed."""
    if job.state.open:
        return _on_its_way(row, job)
    return replace(
        row,
        progress=_kept(entry, row.part) if row.part else "",
        note=one_line(f"Pulling it anew failed. {_failure(job)}", 400),
        pull="Retry",
        replaces=True,
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
        pull=row.pull or ("Replace" if entry else ""),
        replaces=entry is not None,
        command=f"npurun-tui pull {row.name} --force" if entry else f"npurun-tui rm {row.name}",
    )


def mend(name: str, *, pullable: bool) -> str:
    """What to do about a model whose files are not what they should be."""
    if pullable:
        return f"Press p to pull {name} anew; until that is done the old one stays."
    return "Press r to remove it, and bring it here again."


def _importing(job: Import) -> ModelRow:
    facts = said((("From", str(job.wish.path)), ("Way", job.wish.how)))
    if job.fault:
        note = one_line(f"{job.fault} Press o to try again, c to put it aside.", 500)
        return ModelRow(job.name, Kind.IMPORTING, "✗ not imported", "", note=note, facts=facts)
    return ModelRow(
        name=job.name,
        kind=Kind.IMPORTING,
        state=local_cell(job, "importing"),
        size=units.size(job.total) if job.total else "",
        count=job.total,
        pace=pace(job),
        progress=local_line(job, "importing"),
        note="Press c to stop; what was copied so far is then taken away again.",
        facts=facts,
    )


def _broken(model: BrokenModel, known: Known, entry: CatalogEntry | None) -> ModelRow:
    name = model.name
    part, job = known.partials.get(name, 0), known.jobs.get(name)
    command = f"npurun-tui pull {name} --force" if entry else f"npurun-tui rm {typed(name)}"
    row = ModelRow(
        name=name,
        kind=Kind.BROKEN,
        state="✗ broken",
        size=units.size(model.size),
        count=model.size,
        note=one_line(
            f"{model.reason} {mend(name, pullable=True)}" if entry else model.reason, 400
        ),
        facts=said((("On disk", units.size(model.size)), ("Folder", str(model.folder)))),
        on_disk=model.size + part,
        part=part,
        progress=_kept(entry, part) if entry and part else "",
        pull="" if entry is None else "Resume" if part else "Replace",
        replaces=entry is not None,
        command="" if fault_of_name(name) else command,
    )
    if entry is None or job is None or job.state not in _TOLD:
        return row
    return _replaced(row, entry, job)


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
        part=size,
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
        return _stopped(row, entry, here, _failure(job))
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
        part=here,
        pull="Pull",
        command=f"npurun-tui pull {entry.name}",
    )
    return _stopped(row, entry, here, "") if here else row


def _failure(job: PullJob) -> str:
    """Why it failed, and what to do."""
    mend = job.error.mend if job.error else ""
    return str(job.error) if mend else f"{job.error} {TRY_AGAIN}"


def _on_its_way(row: ModelRow, job: PullJob) -> ModelRow:
    if job.state == "queued":
        waits = "Queued: it begins when one of those before it has ended."
        return replace(row, kind=Kind.QUEUED, state="… queued", progress=waits, pull="")
    return replace(
        row,
        kind=Kind.PULLING,
        state=pull_cell(job),
        progress=progress_line(job),
        pace=pull_pace(job),
        pull="",
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
            progress=f"{kept}; trying again goes on from there." if here else "",
            note=one_line(failure, 400),
            pull="Retry",
        )
    line = f"Paused: {kept}; pulling goes on from there."
    return replace(row, kind=Kind.PAUSED, state=f"‖ paused{share}", progress=line, pull="Resume")


def _runs(fit: Fit | None) -> str:
    if fit is None:
        return ""
    if not fit.sure:
        return "?"
    return "✓ yes" if fit.runs else "✗ no"
