"""What the Models tab knows at this moment. Knows no Textual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from npurun_tui.screens.model_disk import NOTHING, Scan, still_needed
from npurun_tui.screens.model_kept import KeptRows
from npurun_tui.screens.model_local import Check, Import, LocalJob
from npurun_tui.screens.model_row import ModelRow
from npurun_tui.screens.model_rows import Known, model_rows

if TYPE_CHECKING:
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.fit import Fit, MachineFacts
    from npurun_tui.models.jobs import PullManager


@dataclass(slots=True)
class ModelsState:
    """Filled by the pane, on the event loop."""

    pulls: PullManager
    seen: Scan = NOTHING
    machine: MachineFacts | None = None
    entries: dict[str, CatalogEntry] = field(default_factory=dict)
    """The catalog, each model in the variant for this machine once that is known."""
    fits: dict[str, Fit] = field(default_factory=dict)
    others: dict[str, Fit] = field(default_factory=dict)
    """The same of what is installed and in no catalog."""
    checks: dict[str, Check] = field(default_factory=dict)
    imports: dict[str, Import] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    """Of each installed model: when its manifest was written, as it was seen before."""
    rows: dict[str, ModelRow] = field(default_factory=dict)
    kept: KeptRows = field(default_factory=KeptRows)
    suited: tuple[tuple[CatalogEntry, ...], MachineFacts | None] = ((), None)
    """What `entries` and `fits` were made from."""

    @property
    def local(self) -> Sequence[LocalJob]:
        """The jobs that run in threads."""
        return [job for job in (*self.checks.values(), *self.imports.values()) if job.running]

    @property
    def busy(self) -> bool:
        """Something is on its way."""
        return bool(self.pulls.open_jobs or self.local)

    @property
    def needed(self) -> int:
        """Bytes that the pulls which run or wait will still write."""
        return still_needed(self.pulls.open_jobs)

    @property
    def used(self) -> int:
        """Bytes of all models and of the parts of others; of those on their way what is here by now, not when the disk
        was last looked at."""
        before = self.seen.partials
        names = [job.name for job in self.pulls.open_jobs]
        return self.seen.used + sum(self.arrived(name) - before.get(name, 0) for name in names)

    def suit(self) -> None:
        """Take up another catalog, or what this machine is."""
        self._suit_catalog()
        if self.machine is not None:
            from npurun_tui.models.fit import fit_of_installed

            others = [m for m in self.seen.installed if m.name not in self.entries]
            self.others = {m.name: fit_of_installed(m, self.machine) for m in others}

    def _suit_catalog(self) -> None:
        machine = self.machine
        made_from = (tuple(self.seen.catalog), machine)
        if made_from == self.suited:
            return
        self.suited, self.kept = made_from, KeptRows()
        self.entries = {entry.name: entry for entry in self.seen.catalog}
        if machine is not None:
            from npurun_tui.models.fit import fit

            self.fits = {name: fit(entry, machine) for name, entry in self.entries.items()}
            self.entries = {n: e.suited(machine.hexagons) for n, e in self.entries.items()}

    def make_rows(self) -> list[ModelRow]:
        """Every model's row, as things stand now."""
        seen = self.seen
        # A pull goes on where the catalog that it was begun from no longer has its model.
        others = [job.entry for job in self.pulls.open_jobs if job.name not in self.entries]
        rows = model_rows(
            Known(
                seen.installed,
                seen.broken,
                seen.partials,
                seen.files,
                (*self.entries.values(), *others),
                self.pulls.jobs,
                {**self.others, **self.fits},
                self.checks,
                tuple(self.imports.values()),
                seen.elsewhere,
                self.kept,
            )
        )
        self.rows = {row.name: row for row in rows}
        return rows

    def arrived(self, name: str) -> int:
        """Bytes of an unfinished pull that are here."""
        job = self.pulls.jobs.get(name)
        progress = job.progress if job is not None and job.state.open else None
        if job is None or progress is None or progress.phase == "resolving":
            return self.seen.partials.get(name, 0)
        return progress.done if progress.phase == "downloading" else job.entry.download_size

    def drop_what_is_over(self) -> None:
        """What was found of a model's files says nothing of those that have taken their place since, whoever brought
        them; and a pull that failed before is no longer of interest."""
        now = {model.name: model.written for model in self.seen.installed}
        for name, check in list(self.checks.items()):
            if not check.running and now.get(name) != check.model.written:
                del self.checks[name]
        for name, job in list(self.pulls.jobs.items()):
            if job.state == "failed" and now.get(name, 0) != self.written.get(name, 0):
                self.pulls.forget(name)
        self.written = now
