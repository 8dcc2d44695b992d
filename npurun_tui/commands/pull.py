"""`pull`: download a model, with a bar on a terminal, plain lines in a log, JSON lines for programs."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from dataclasses import dataclass, field

from npurun_tui.commands.asking import agreed
from npurun_tui.commands.interrupting import INTERRUPTED_STATUS, Interrupts
from npurun_tui.commands.pull_reports import JsonReport, PlainReport, Report, TerminalReport
from npurun_tui.commands.speaking import say
from npurun_tui.ending import ending_signals
from npurun_tui.errors import NpurunError
from npurun_tui.models.catalog import CatalogEntry, find
from npurun_tui.models.fit import Fit, fit, machine_facts
from npurun_tui.models.layout import announced_bytes
from npurun_tui.models.pull import pull
from npurun_tui.models.pull.limiter import RateLimiter
from npurun_tui.models.pull.lookups import Lookups
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.remote.known import known_catalog
from npurun_tui.models.store import ModelStore
from npurun_tui.settings import Paths


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What is asked for. `limit_rate` is bytes per second, 0 for no limit."""

    name: str
    force: bool = False
    accept_changed: bool = False
    yes: bool = False
    connections: int = field(default_factory=lambda: Policy().connections)
    limit_rate: int = 0


def run(paths: Paths, request: PullRequest, *, as_json: bool = False) -> int:
    """Pull the catalog's model; returns the exit status: 130 where it was stopped, 1 where the person said no.

    Raises:
        NpurunError: as `npurun_tui.models.pull.pull`; with `as_json` the last line on stdout says the same.
    """
    report = _report(request.name, as_json=as_json)
    try:
        entry = find(request.name, known_catalog(paths))
        machine = machine_facts()
        entry = entry.suited(machine.hexagons)
        store = ModelStore(paths.models)
        if not _wanted(entry, fit(entry, machine), store, request, as_json=as_json):
            say("Nothing was pulled.")
            return 1
        return pull_entry(entry, store, report, request)
    except NpurunError as error:
        report.failed(error)
        raise


def _wanted(
    entry: CatalogEntry, fits: Fit, store: ModelStore, request: PullRequest, *, as_json: bool
) -> bool:
    """Warn before what cannot run here; a person is asked, a script is told and goes on."""
    if fits.runs or entry.name in {model.name for model in store.scan()[0]}:
        return True
    size = entry.about(entry.download_size)
    say(f"{entry.name} ({size}) cannot run on this machine: {fits.words}")
    if request.yes or as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    return agreed("Pull it all the same?")


def pull_entry(entry: CatalogEntry, store: ModelStore, report: Report, request: PullRequest) -> int:
    """Pull `entry` into `store`, telling `report` how it goes; returns the exit status."""
    try:
        with report:
            finished = asyncio.run(_pull(entry, store, report, request))
    except KeyboardInterrupt:  # pressed again, while the first one was being followed
        finished = False
    if not finished:
        total = announced_bytes(store.layout.partial(entry.name)) or entry.download_size
        report.interrupted(store.partials().get(entry.name, 0), total)
        return INTERRUPTED_STATUS
    report.done(store.get(entry.name), fit(entry, machine_facts()))
    return 0


async def _pull(
    entry: CatalogEntry, store: ModelStore, report: Report, request: PullRequest
) -> bool:
    """False where Ctrl+C, `kill`, or a terminal that is closed ended it: then all is tidied up as by a pause."""
    # The pull's own work has threads of its own, and is waited for.
    asyncio.get_running_loop().set_default_executor(Lookups())
    steps = pull(
        entry,
        store,
        force=request.force,
        accept_changed=request.accept_changed,
        policy=Policy(connections=request.connections),
        limiter=RateLimiter(request.limit_rate),
    )
    ctrl_c = Interrupts(*ending_signals())
    try:
        with ctrl_c:
            async with aclosing(steps):
                begun = False
                async for progress in steps:
                    if not begun:
                        # What is refused, such as a second pull of one model, never began.
                        report.start(entry)
                        begun = True
                    report.progress(progress)
    except asyncio.CancelledError:
        if not ctrl_c.came:
            raise
        return False
    return True


def _report(name: str, *, as_json: bool) -> Report:
    if as_json:
        return JsonReport(name)
    return TerminalReport(name) if TerminalReport.fits() else PlainReport(name)
