"""What becomes of a bench that has ended: said to people or written as JSON, kept, exported."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from npurun_tui.bench.compare import Comparison, compare_sessions
from npurun_tui.bench.exports import EXPORTS, export
from npurun_tui.bench.exports.json_export import bench_document
from npurun_tui.bench.exports.report import verdicts
from npurun_tui.bench.exports.writing import write_export
from npurun_tui.bench.records import Session
from npurun_tui.commands import bench_lines as lines
from npurun_tui.commands.bench_files import REPORTS
from npurun_tui.commands.bench_history import comparison_lines
from npurun_tui.commands.speaking import say
from npurun_tui.commands.tables import write_json, write_line, write_table
from npurun_tui.errors import NpurunError
from npurun_tui.services import Services
from npurun_tui.text import one_line

log = logging.getLogger(__name__)


class Wanted(Protocol):
    """Where it is to go; empty texts: nowhere."""

    @property
    def json(self) -> bool:
        """To stdout, as one document."""

    @property
    def markdown(self) -> str:
        """To a file; `-` is stdout."""

    @property
    def report(self) -> str:
        """To a file with plots."""

    @property
    def save(self) -> bool:
        """To the history."""

    @property
    def title(self) -> str:
        """Its name there."""


@dataclass(slots=True)
class Outcome:
    """How it ended."""

    interrupted: bool
    faults: list[NpurunError] = field(default_factory=list)
    """What failed, in order; whatever failed, the rest was done."""
    unforeseen: Exception | None = None
    """The first fault that is this program's, or stdout's, whose reader has gone."""

    @contextmanager
    def noting(self) -> Iterator[None]:
        """What fails inside is noted, and the rest goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised at the end, when all else was done
            self.note(error)

    def note(self, error: Exception) -> None:
        """Something has failed."""
        if isinstance(error, NpurunError):
            self.faults.append(error)
        elif self.unforeseen is None:
            self.unforeseen = error
        else:
            log.error("and another fault", exc_info=error)


def hand_on(wanted: Wanted, session: Session, services: Services, interrupted: bool) -> Outcome:
    """Do with the session all that is wanted, each whatever becomes of the others. Blocks; call it in a thread."""
    outcome = Outcome(interrupted)
    before: Session | None = None
    comparison: Comparison | None = None
    kept = False
    with outcome.noting():
        before = _before(session, services)
        comparison = compare_sessions(before, session) if before is not None else None
    if wanted.save:
        with outcome.noting():
            services.bench_history.add(session, wanted.title)
            kept = True
    with outcome.noting():
        _show(wanted, session, comparison, before)
    for file in (wanted.markdown, wanted.report):
        if file not in ("", "-"):
            with outcome.noting():
                _write(Path(file), session, comparison)
    if kept:
        say(f"[kept as {session.id[:8]}: npurun-tui bench compare says what has changed]")
    if interrupted:
        say("[interrupted: the figures are of what was measured until then]")
    elif not session.complete:
        reason = one_line(session.reason, 400)
        outcome.faults.append(NpurunError(f"The bench ended early: {reason}"))
    return outcome


def _write(path: Path, session: Session, comparison: Comparison | None) -> None:
    if path.suffix.lower() in REPORTS:
        export(session, path, comparison=comparison)
    else:  # Markdown, whatever its file is called
        write_export(path, EXPORTS[".md"](session, comparison))
    say(f"[written to {one_line(str(path), 300)}]")


def _before(session: Session, services: Services) -> Session | None:
    """The last kept one that asked the same. A history that cannot be read does not spoil the measurement."""
    if not services.paths.database.exists():
        return None
    try:
        return services.bench_history.like(session)
    except NpurunError as error:
        say(f"[no comparison with kept benches: {one_line(str(error), 300)}]")
        return None


def _show(
    wanted: Wanted, session: Session, comparison: Comparison | None, before: Session | None
) -> None:
    if wanted.json:
        write_json(bench_document(session, comparison))
    elif wanted.markdown == "-":
        write_line(EXPORTS[".md"](session, comparison).rstrip("\n"))
    else:
        _tell(session, comparison, before)


def _tell(session: Session, comparison: Comparison | None, before: Session | None) -> None:
    for side in session.sides:
        write_line()
        if len(session.sides) > 1:
            write_line(f"{side.key}: {one_line(side.label, 120)}")
        _tables(session, side.key)
    write_line()
    for sentence in verdicts(session):
        write_line(one_line(sentence, 600))
    for side in session.sides:
        loads = [load for load in session.loads if load.side == side.key]
        for words in lines.load_words(loads, side.key if len(session.sides) > 1 else ""):
            write_line(words)
    if comparison is not None and before is not None:
        for words in comparison_lines(comparison, before):
            write_line(words)


def _tables(session: Session, key: str) -> None:
    heads, rows = lines.summary_table(session, key)
    if not rows:
        write_line("No run has ended with an answer that counts.")
        return
    write_table(heads, rows, right="bcdefgh")
    heads, rows = lines.prompt_table(session, key)
    if len(rows) > 1:
        write_line()
        write_table(heads, rows, right="bcdefg")
