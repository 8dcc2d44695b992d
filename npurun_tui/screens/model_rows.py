"""What the Models tab says: one row for each installed, broken, half-fetched or available model. Knows no Textual.

Everything here is a pure function of what the store, the catalog and the running downloads report, so that a row can
be tested without a terminal and compared with the one on the screen before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.engine.spec import BACKEND_LABELS
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.jobs import PullJob
    from npurun_tui.models.store import BrokenModel, InstalledModel

BAR_WIDTH: Final = 6
DETAIL_BAR_WIDTH: Final = 16

_SHORT_BACKENDS: Final = {"llama.cpp": "CPU", "genie": "NPU"}
_HASH_WORDS: Final = {
    "pinned": "sha256, pinned",
    "recorded": "sha256, recorded",
    "": "no sha256",
}
_PHASES: Final = {
    "resolving": "looking up",
    "downloading": "downloading",
    "verifying": "verifying",
    "unpacking": "unpacking",
    "done": "finishing",
}


class Kind(StrEnum):
    """What can be done with a row follows from this."""

    INSTALLED = "installed"
    BROKEN = "broken"
    PULLING = "pulling"
    PAUSED = "paused"
    FAILED = "failed"
    AVAILABLE = "available"


_PULLABLE: Final = frozenset({Kind.AVAILABLE, Kind.PAUSED, Kind.FAILED})


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model, in words."""

    name: str
    kind: Kind
    state: str
    size: str
    backend: str = ""
    quant: str = ""
    context: str = ""
    title: str = ""
    progress: str = ""
    """While it is pulled: `progress_line`; while it is paused, how much is here."""
    note: str = ""
    """A sentence: the reason where it is broken or failed, else what the catalog says of it."""
    facts: tuple[tuple[str, str], ...] = ()
    """Label and value, in the order in which they are read."""
    on_disk: int = 0
    """Bytes that removing it frees."""

    @property
    def pullable(self) -> bool:
        """A pull can be begun or gone on with."""
        return self.kind in _PULLABLE

    @property
    def removable(self) -> bool:
        """Something of it is on the disk, and nothing writes there."""
        here = self.on_disk > 0 or self.kind in {Kind.INSTALLED, Kind.BROKEN}
        return here and self.kind is not Kind.PULLING

    @property
    def label(self) -> str:
        """The name as it may be shown: a broken model's is whatever its folder is called."""
        return one_line(self.name, 100)


def model_rows(
    installed: Iterable[InstalledModel],
    broken: Iterable[BrokenModel],
    partials: Mapping[str, int],
    catalog: Sequence[CatalogEntry],
    jobs: Mapping[str, PullJob],
) -> list[ModelRow]:
    """Installed models by name, then broken ones, then what can be pulled in the catalog's order."""
    entries = {entry.name: entry for entry in catalog}
    rows = [
        _installed(model, entries.get(model.name), partials.get(model.name, 0))
        for model in sorted(installed, key=lambda model: model.name)
    ]
    rows += [
        _broken(model, partials.get(model.name, 0))
        for model in sorted(broken, key=lambda model: model.name)
    ]
    present = {row.name for row in rows}
    rows += [
        _available(entry, partials.get(entry.name, 0), jobs.get(entry.name))
        for entry in catalog
        if entry.name not in present
    ]
    present |= entries.keys()
    rows += [_orphan(name, size) for name, size in sorted(partials.items()) if name not in present]
    return rows


def _installed(model: InstalledModel, entry: CatalogEntry | None, part: int) -> ModelRow:
    manifest = model.manifest
    hash_words = _HASH_WORDS[manifest.hash_origin if manifest.sha256 else ""]
    facts = (
        ("Backend", model.place),
        ("Architecture", manifest.arch),
        ("Parameters", manifest.parameters),
        ("Quantisation", manifest.quant),
        ("Context", _tokens(manifest.context)),
        ("On disk", units.size(model.size)),
        ("Licence", manifest.licence),
        ("Integrity", hash_words),
        ("Folder", str(model.folder)),
    )
    return ModelRow(
        name=manifest.name,
        kind=Kind.INSTALLED,
        state="✓ installed",
        size=units.size(model.size),
        backend=model.processor,
        quant=one_line(manifest.quant, 20),
        context=_thousands(manifest.context),
        title=one_line(entry.title if entry else "", 80),
        note=one_line(entry.note if entry else "", 300),
        facts=_said(facts),
        on_disk=model.size + part,
    )


def _broken(model: BrokenModel, part: int) -> ModelRow:
    return ModelRow(
        name=model.name,
        kind=Kind.BROKEN,
        state="✗ broken",
        size=units.size(model.size),
        note=one_line(model.reason, 300),
        facts=_said((("On disk", units.size(model.size)), ("Folder", str(model.folder)))),
        on_disk=model.size + part,
    )


def _orphan(name: str, size: int) -> ModelRow:
    """A half-fetched model that the catalog no longer has: it can only be removed."""
    return ModelRow(
        name=name,
        kind=Kind.BROKEN,
        state="✗ unfinished",
        size=units.size(size),
        note="A download that was never finished, of a model that can no longer be pulled.",
        facts=(("On disk", units.size(size)),),
        on_disk=size,
    )


def _available(entry: CatalogEntry, here: int, job: PullJob | None) -> ModelRow:
    facts = (
        ("Backend", BACKEND_LABELS[entry.backend]),
        ("Architecture", entry.arch),
        ("Parameters", entry.parameters),
        ("Quantisation", entry.quant),
        ("Context", _tokens(entry.context)),
        ("Download", units.size(entry.download_size)),
        ("Installed", units.size(entry.installed_size)),
        ("Licence", entry.licence),
        ("Integrity", _HASH_WORDS["pinned" if entry.sha256 else ""]),
    )
    kind, state, progress = _pull_state(entry, here, job)
    failure = str(job.error) if kind is Kind.FAILED and job is not None and job.error else ""
    return ModelRow(
        name=entry.name,
        kind=kind,
        state=state,
        size=units.size(entry.installed_size),
        backend=_SHORT_BACKENDS[entry.backend],
        quant=entry.quant,
        context=_thousands(entry.context),
        title=entry.title,
        progress=progress,
        note=one_line(failure or entry.note, 300),
        facts=_said(facts),
        on_disk=here,
    )


def _pull_state(entry: CatalogEntry, here: int, job: PullJob | None) -> tuple[Kind, str, str]:
    """Kind, the State column's words, and the details' progress line."""
    if job is not None and job.state == "running":
        return Kind.PULLING, _pulling(job), progress_line(job)
    share = f"{here * 100 // entry.download_size} %" if here and entry.download_size else ""
    kept = f"{units.size(here)} of {units.size(entry.download_size)} are here"
    if job is not None and job.state == "failed":
        return Kind.FAILED, f"✗ failed, {share}" if share else "✗ failed", kept if here else ""
    if here:
        return Kind.PAUSED, f"‖ paused, {share}", f"Paused: {kept}; pulling goes on from there."
    return Kind.AVAILABLE, "· available", ""


def _pulling(job: PullJob) -> str:
    progress = job.progress
    if progress is None or progress.phase != "downloading" or not progress.total:
        return f"↓ {_phase(job)}…"
    return f"{bar(progress.done / progress.total, BAR_WIDTH)} {_percent(job):>3} %"


def progress_line(job: PullJob) -> str:
    """A running download in lines: phase, bar and percentage; amount; speed and time left."""
    progress = job.progress
    if progress is not None and progress.note:
        return one_line(progress.note, 200)
    if progress is None or not progress.total:
        return f"{_phase(job).capitalize()}…"
    done = bar(progress.done / progress.total, DETAIL_BAR_WIDTH)
    lines = [
        f"{_phase(job).capitalize()}  {done} {_percent(job)} %",
        f"{units.size(progress.done)} of {units.size(progress.total)}",
    ]
    if progress.phase == "downloading" and job.speed > 0:
        left = f"  {_time_left(job.eta)}" if job.eta is not None else ""
        lines.append(f"{units.speed(job.speed)}{left}")
    return "\n".join(lines)


def _time_left(seconds: float) -> str:
    """Whole seconds: tenths of an estimate would only flicker."""
    whole = max(1, round(seconds))
    return f"{whole} s left" if whole < 60 else f"{units.duration(whole)} left"


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, full at 1."""
    full = min(width, max(0, int(share * width)))
    return "━" * full + "─" * (width - full)


def _percent(job: PullJob) -> int:
    progress = job.progress
    return progress.done * 100 // progress.total if progress and progress.total else 0


def _phase(job: PullJob) -> str:
    return _PHASES[job.progress.phase] if job.progress else "starting"


def _said(facts: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((label, one_line(value, 300)) for label, value in facts if value)


def _tokens(context: int) -> str:
    return units.count(context, "token") if context else ""


def _thousands(context: int) -> str:
    return f"{context:,}" if context else ""


def removal_question(row: ModelRow, *, in_use: bool = False) -> str:
    """What is lost, and exactly how much room it frees; `in_use` where the engine has it loaded."""
    what = "the part that has arrived" if row.kind in {Kind.PAUSED, Kind.FAILED} else "the model"
    loaded = "The engine has this model loaded; it is unloaded first. " if in_use else ""
    size = units.size(row.on_disk)
    return f"{loaded}This deletes {what} and frees {size} ({row.on_disk:,} bytes)."


def first_model_card(rows: Sequence[ModelRow]) -> str:
    """What somebody without any model should do; empty where there is one."""
    if not rows or any(row.kind is Kind.INSTALLED for row in rows):
        return ""
    if pulling := [row.name for row in rows if row.kind is Kind.PULLING]:
        return f"{pulling[0]} is on its way. When it is here, press u to chat with it."
    offered = next((row for row in rows if row.pullable), None)
    if offered is None:
        return "No model is here yet, and none can be pulled."
    if offered.kind is Kind.PAUSED:
        return f"No model is here yet. Press Enter to go on pulling {offered.name}."
    return (
        "No model is here yet. Choose one below and press Enter to pull it; "
        f"{offered.name} ({offered.size}) is a good first one."
    )
