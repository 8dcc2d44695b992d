"""A session as one HTML file that fetches nothing and runs nothing, so that it can be mailed and kept.

Its content security policy says the same to the browser: no scripts, no pictures, no network, and of styles only the
one whose hash it names. So even a text that got past the escaping could do nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from npurun_tui.bench.compare import Comparison
from npurun_tui.bench.exports.markup import safe
from npurun_tui.bench.exports.page_style import PAGE_STYLE
from npurun_tui.bench.exports.plots.chart import svg_element
from npurun_tui.bench.exports.plots.style import PLOT_STYLE
from npurun_tui.bench.exports.report import Table, verdicts
from npurun_tui.bench.exports.session_plots import plots
from npurun_tui.bench.exports.tables import (
    clocks_table,
    comparison_table,
    energy_table,
    loads_table,
    machine_table,
    model_table,
    prompts_table,
    runs_table,
    settings_table,
    speedup_table,
    summary_table,
)
from npurun_tui.bench.exports.wording import heading, length, moment
from npurun_tui.bench.records import Session

_OPEN_ROWS = 60
"""Of the table of runs: a longer one is folded."""


def html(session: Session, comparison: Comparison | None = None) -> str:
    """The report."""
    title = safe(f"Bench of {heading(session)}")
    style = f"{PAGE_STYLE}{PLOT_STYLE}"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    body = "\n".join(_body(session, comparison))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{_foreign(f'Bench of {heading(session)}')}</h1>\n"
        f"<p>{safe(moment(session))}, {safe(length(session))}</p>\n"
        f"{body}\n</main>\n</body>\n</html>\n"
    )


def _body(session: Session, comparison: Comparison | None) -> Iterable[str]:
    yield _list("verdicts", "What was found", verdicts(session, comparison))
    yield _table(summary_table(session))
    yield _table(speedup_table(session))
    yield _table(comparison_table(comparison))
    yield from _plots(session)
    yield _table(prompts_table(session))
    yield _table(clocks_table(session))
    yield _runs(session)
    yield _table(loads_table(session))
    yield _energy(session)
    facts = [machine_table(session), *(model_table(session, side) for side in session.sides)]
    facts.append(settings_table(session))
    yield f'<div class="facts">{"".join(_facts(table) for table in facts if table.rows)}</div>'
    yield _list("notes", "Notes", session.notes)


def _plots(session: Session) -> Iterable[str]:
    for plot in plots(session):
        yield f'<figure class="plot">{svg_element(plot)}</figure>'


def _energy(session: Session) -> str:
    table = energy_table(session)
    warnings = [item.warning for item in session.energy if item.warning]
    if table.rows:
        return _table(table) + "".join(f"<p>{_foreign(text)}</p>" for text in warnings)
    why = session.energy_note or "Not measurable here."
    return f"<section><h2>Energy</h2><p>{_foreign(why)}</p></section>"


def _runs(session: Session) -> str:
    table = runs_table(session)
    if len(table.rows) <= _OPEN_ROWS:
        return _table(table)
    count = f"{len(session.runs):,} runs"
    return f"<section><h2>Runs</h2><details><summary>{count}</summary>{_grid(table)}</details></section>"


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    return f"<section><h2>{safe(table.title)}</h2>{_grid(table)}</section>"


def _grid(table: Table) -> str:
    kinds = ['"word"' if at in table.words else '"figure"' for at, _ in enumerate(table.heads)]
    heads = "".join(
        f'<th scope="col" class={kind}>{safe(head)}</th>'
        for kind, head in zip(kinds, table.heads, strict=True)
    )
    rows = "\n".join(
        "<tr>"
        + "".join(
            f"<td class={kind}>{_foreign(cell) if at in table.names else safe(cell)}</td>"
            for at, (kind, cell) in enumerate(zip(kinds, row, strict=True))
        )
        + "</tr>"
        for row in table.rows
    )
    note = f"<p>{safe(table.note)}</p>" if table.note else ""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{safe(table.title)}"><table>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody>\n</table></div>{note}"
    )


def _facts(table: Table) -> str:
    facts = "".join(
        f"<dt>{safe(name)}</dt><dd>{_foreign(value)}</dd>" for name, value in table.rows
    )
    return f"<section><h2>{safe(table.title)}</h2><dl>{facts}</dl></section>"


def _list(css: str, title: str, sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{_foreign(sentence)}</li>" for sentence in sentences)
    return (
        f'<section><h2>{safe(title)}</h2><ul class="{css}">{items}</ul></section>' if items else ""
    )


def _foreign(text: str) -> str:
    """A text that somebody else chose: written from right to left, it does not turn what stands beside it."""
    return f"<bdi>{safe(text)}</bdi>"
