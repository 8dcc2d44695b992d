"""All plots of a session as one picture."""

from __future__ import annotations

from npurun_tui.bench.compare import Comparison
from npurun_tui.bench.exports.markup import safe
from npurun_tui.bench.exports.plots.chart import WIDTH, svg_element
from npurun_tui.bench.exports.plots.drawing import box, fitted, wrapped, written
from npurun_tui.bench.exports.plots.style import PLOT_STYLE
from npurun_tui.bench.exports.report import change_words, verdicts
from npurun_tui.bench.exports.session_plots import plots
from npurun_tui.bench.exports.wording import heading, length, moment
from npurun_tui.bench.records import Session

_ROW = 19
_GAP = 20


def svg(session: Session, comparison: Comparison | None = None) -> str:
    """A picture by itself: its stylesheet is in it, and nothing is fetched."""
    title = f"Bench of {heading(session)}"
    room = WIDTH - 32
    first, *others = (side.label for side in session.sides)
    heads = [f"Bench of {first}", *(f"against {label}" for label in others)]
    y = 34.0
    body = []
    for head in heads:
        body.append(written((16, y), fitted(head, room, "b-head"), "b-head"))
        y += 25
    facts = ", ".join(filter(None, (moment(session), length(session), _machine(session))))
    body.append(written((16, y), fitted(facts, room), "b-quiet"))
    sentences = verdicts(session)[:4]
    if comparison is not None and comparison.figures:
        sentences += ["Against an earlier bench:", *change_words(comparison)]
    for row in (row for sentence in sentences for row in wrapped(sentence, room)):
        y += _ROW
        body.append(written((16, y), row))
    y += _GAP
    drawn = plots(session)
    for plot in drawn:
        body.append(svg_element(plot, y=y, outer=False))
        y += plot.height + _GAP
    described = safe("; ".join(plot.title for plot in drawn) or "No run has measured anything.")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y:.0f}" viewBox="0 0 {WIDTH} {y:.0f}" '
        'role="img" aria-labelledby="b-session-title b-session-desc">\n'
        f'<title id="b-session-title">{safe(title)}</title>\n'
        f'<desc id="b-session-desc">{described}</desc>\n'
        f"<style>{PLOT_STYLE}</style>\n"
        f"{box((0, 0), WIDTH, y, 'b-paper')}\n" + "\n".join(body) + "\n</svg>\n"
    )


def _machine(session: Session) -> str:
    return session.machine.soc or session.machine.system
