"""`pull`: download a model, with a bar on a terminal, plain lines in a log, JSON lines for programs."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Final

from npurun_tui.commands.pull_reports import JsonReport, PlainReport, Report, TerminalReport
from npurun_tui.errors import NpurunError
from npurun_tui.models.catalog import CatalogEntry, find
from npurun_tui.models.pull import pull
from npurun_tui.models.store import ModelStore
from npurun_tui.settings import Paths

INTERRUPTED: Final = 130


def run(paths: Paths, name: str, *, force: bool = False, as_json: bool = False) -> int:
    """Pull the catalog's model `name`; returns the exit status: 130 after Ctrl+C.

    Raises:
        NpurunError: as `npurun_tui.models.pull.pull`; with `as_json` the last line on stdout says the same.
    """
    report = _report(name, as_json=as_json)
    try:
        return pull_entry(find(name), ModelStore(paths.models), report, force=force)
    except NpurunError as error:
        report.failed(error)
        raise


def pull_entry(entry: CatalogEntry, store: ModelStore, report: Report, *, force: bool) -> int:
    """Pull `entry` into `store`, telling `report` how it goes; returns the exit status."""
    try:
        with report:
            asyncio.run(_pull(entry, store, report, force=force))
    except KeyboardInterrupt:
        report.interrupted(store.partials().get(entry.name, 0), entry.download_size)
        return INTERRUPTED
    report.done(store.get(entry.name))
    return 0


async def _pull(entry: CatalogEntry, store: ModelStore, report: Report, *, force: bool) -> None:
    report.start(entry)
    async with aclosing(pull(entry, store, force=force)) as steps:
        async for progress in steps:
            report.progress(progress)


def _report(name: str, *, as_json: bool) -> Report:
    if as_json:
        return JsonReport(name)
    return TerminalReport(name) if TerminalReport.fits() else PlainReport(name)
