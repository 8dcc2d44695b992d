"""A session as Markdown, short enough for an issue.

What others chose (models, prompts, devices, faults) stands in code spans, where no forge makes links, pictures,
mentions or markup of it. Sentences, which may quote such texts, are escaped sign by sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from npurun_tui.bench.compare import Comparison
from npurun_tui.bench.exports.markup import plain
from npurun_tui.bench.exports.report import Table, verdicts
from npurun_tui.bench.exports.tables import (
    clocks_table,
    comparison_table,
    energy_table,
    loads_table,
    machine_table,
    model_table,
    prompts_table,
    speedup_table,
    summary_table,
)
from npurun_tui.bench.exports.wording import NOTHING, length, moment
from npurun_tui.bench.records import Session

_SIGNS: Final = re.compile(r"[\\`*_\[\]<>|#~!&]")
_TICKS: Final = re.compile(r"`+")
_LONGEST: Final = 120


def markdown(session: Session, comparison: Comparison | None = None) -> str:
    """The session's findings."""
    parts = [f"### Bench of {code(session.sides[0].label)}"]
    parts.append(f"{moment(session)}, {length(session)}.")
    parts.append("\n".join(f"- {escaped(text)}" for text in verdicts(session, comparison)))
    tables = [
        summary_table(session),
        speedup_table(session),
        comparison_table(comparison),
        prompts_table(session),
        clocks_table(session),
        loads_table(session),
        energy_table(session),
    ]
    parts += [_table(table) for table in tables if table.rows]
    facts = [machine_table(session), *(model_table(session, side) for side in session.sides)]
    parts += [_facts(table) for table in facts if table.rows]
    if session.notes:
        notes = "\n".join(f"- {escaped(note)}" for note in session.notes)
        parts.append(f"**Notes**\n\n{notes}")
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """A sentence that reads as it is. A zero-width space keeps `@name` from telling somebody of it."""
    text = _SIGNS.sub(lambda sign: f"\\{sign.group()}", plain(text))
    return text.replace("@", "@\u200b")


def code(text: str) -> str:
    """A text in a code span, fit for a table: the fence is longer than any inside, and only pipes need an escape."""
    text = plain(text, _LONGEST)
    if not text:
        return NOTHING
    fence = "`" * (max((len(found) for found in _TICKS.findall(text)), default=0) + 1)
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def _table(table: Table) -> str:
    heads = _line(escaped(head) for head in table.heads)
    rule = _line("---" if at in table.words else "--:" for at, _ in enumerate(table.heads))
    rows = [
        _line(
            code(cell) if at in table.names and cell != NOTHING else escaped(cell)
            for at, cell in enumerate(row)
        )
        for row in table.rows
    ]
    note = f"\n\n{escaped(table.note)}" if table.note else ""
    return f"**{escaped(table.title)}**\n\n" + "\n".join([heads, rule, *rows]) + note


def _facts(table: Table) -> str:
    facts = "\n".join(f"- {escaped(name)}: {code(value)}" for name, value in table.rows)
    return f"**{escaped(table.title)}**\n\n{facts}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
