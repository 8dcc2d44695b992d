"""The three voices of `pull`. People are spoken to on stderr, and stdout gets one line when it is done, so that a
script can read it; with `--json` everything is on stdout, one JSON object to a line."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

from npurun_tui import units
from npurun_tui.commands.model_documents import fit_document
from npurun_tui.commands.speaking import say
from npurun_tui.commands.tables import write_line
from npurun_tui.errors import NpurunError
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.fit import Fit
from npurun_tui.models.pull import Phase, PullProgress
from npurun_tui.models.speed import SpeedMeter
from npurun_tui.models.store import InstalledModel
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_SECONDS: Final = 5.0
"""Between two plain lines of the same phase."""
JSON_SECONDS: Final = 0.25


class Report:
    """What every voice shares: the speed, and the words. Use it as a context while the pull runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._meter = SpeedMeter()
        self._last: PullProgress | None = None
        self._spoken = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def start(self, entry: CatalogEntry) -> None:
        """The pull begins."""

    def progress(self, progress: PullProgress) -> None:
        """The pull is at `progress`."""
        changed = self._last is None or progress.phase is not self._last.phase
        self._meter.add(progress.phase, progress.done)
        news = changed or (self._last is not None and progress.note != self._last.note)
        self._last = progress
        self.show(progress, news=news)

    def show(self, progress: PullProgress, *, news: bool) -> None:
        """Say it; `news` is a new phase or a new note, which should not be left unsaid."""

    def done(self, model: InstalledModel, fits: Fit) -> None:
        """The model is in the store; `fits` tells whether it runs here."""
        what = "is here already" if self.was_here else "is installed"
        write_line(f"{model.name} {what}: {units.size(model.size)} in")
        write_line(one_line(str(model.folder), 1000))
        write_line(next_step(model.name, fits))

    @property
    def was_here(self) -> bool:
        """Nothing was pulled, because the model was installed already."""
        return self._last is not None and self._last.phase is Phase.DONE and bool(self._last.note)

    def interrupted(self, here: int, total: int) -> None:
        """Ctrl+C, or what means the same. `here` of `total` bytes of the download are kept."""
        say(
            f"Stopped. {units.size(here)} of {units.size(total)} are kept; the same command goes on from there."
        )

    def failed(self, error: NpurunError) -> None:
        """The pull failed; the command line prints the sentence itself."""

    def _due(self, seconds: float, *, news: bool) -> bool:
        now = time.monotonic()
        if not news and now - self._spoken < seconds:
            return False
        self._spoken = now
        return True


def next_step(name: str, fits: Fit) -> str:
    """What to do with an installed model; what cannot run here is not recommended."""
    if not fits.runs:
        return f"It cannot run on this machine: {fits.words}"
    return f'Try it: npurun-tui run {name} "Hello"'


def moved(progress: PullProgress) -> str:
    """How far, in bytes: `45.1 MB of 92.9 MB`."""
    if progress.total is None:
        return ""
    return f"{units.size(progress.done)} of {units.size(progress.total)}"


class PlainReport(Report):
    """Lines for a log: where it starts, every few seconds, each new phase."""

    _resolving = False
    """That it looks for the file was said; a pull that goes on comes to it twice."""
    _first = ""
    """What is said before anything else; where the model is here already, nothing is pulled and nothing said."""

    def start(self, entry: CatalogEntry) -> None:
        self._first = f"Pulling {entry.name} ({entry.about(entry.download_size)}, {entry.licence})."

    def show(self, progress: PullProgress, *, news: bool) -> None:
        if self._first and not self.was_here:
            say(self._first)
            self._first = ""
        if progress.phase is Phase.DONE or not self._due(PLAIN_SECONDS, news=news):
            return
        if progress.phase is Phase.RESOLVING and not progress.note:
            if self._resolving:
                return
            self._resolving = True
        words = [f"{progress.phase.value}:", moved(progress)]
        if progress.phase is Phase.DOWNLOADING and self._meter.speed:
            words.append(f"({units.speed(self._meter.speed)})")
        if news and progress.resumed_from and progress.phase is Phase.DOWNLOADING:
            words.append(f"(resumed at {units.size(progress.resumed_from)})")
        words.append(progress.note)
        say(" ".join(word for word in words if word).rstrip(":"))


class TerminalReport(Report):
    """A bar on stderr."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    @staticmethod
    def fits() -> bool:
        """Whether there is a terminal that a bar can be drawn on; where the cursor cannot be moved, rich draws none."""
        dumb = os.environ.get("TERM", "").lower() in {"dumb", "unknown"}
        return sys.stderr.isatty() and not dumb

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[words]}", markup=False),
            console=Console(stderr=True),
            expand=True,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None, words="")
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            with suppress(OSError):  # the terminal was closed
                self._bar.stop()

    def show(self, progress: PullProgress, *, news: bool) -> None:
        if self._bar is None or self._task is None or progress.phase is Phase.DONE:
            return
        if news and progress.note:
            self._bar.console.print(one_line(progress.note), markup=False, highlight=False)
        words = [moved(progress)]
        if progress.phase is Phase.DOWNLOADING and progress.total and (speed := self._meter.speed):
            left = (progress.total - progress.done) / speed
            words += [units.speed(speed), f"{units.whole_seconds(left)} left"]
        self._bar.update(
            self._task,
            description=progress.phase.value,
            completed=progress.done,
            total=progress.total,
            words=" · ".join(word for word in words if word),
        )


class JsonReport(Report):
    """JSON lines. Keys are stable: `event` is start, progress, done, interrupted or error."""

    def _write(self, event: str, **fields: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, "name": self.name, **fields}) + "\n")
        sys.stdout.flush()

    def start(self, entry: CatalogEntry) -> None:
        self._write("start", download_size=entry.download_size, installed_size=entry.installed_size)

    def show(self, progress: PullProgress, *, news: bool) -> None:
        if not self._due(JSON_SECONDS, news=news):
            return
        self._write(
            "progress",
            phase=progress.phase.value,
            completed=progress.done,
            total=progress.total,
            resumed_from=progress.resumed_from,
            bytes_per_second=round(self._meter.speed),
            note=progress.note,
        )

    def done(self, model: InstalledModel, fits: Fit) -> None:
        self._write(
            "done",
            folder=str(model.folder),
            size=model.size,
            already_installed=self.was_here,
            **fit_document(fits),
        )

    def interrupted(self, here: int, total: int) -> None:
        self._write("interrupted", completed=here, total=total)
        super().interrupted(here, total)

    def failed(self, error: NpurunError) -> None:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
        self._write("error", kind=kind, message=error.message, mend=error.mend)
