"""Figures of a session in the words of a report."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from npurun_tui import units
from npurun_tui.bench.exports.markup import plain
from npurun_tui.bench.records import Energy, Session
from npurun_tui.bench.statistics import Figure

_LONGEST: Final = 1e9

NOTHING: Final = "–"
"""Where nothing was measured: an empty cell looks like a mistake, a zero like a result."""


def figure(value: float | None, decimals: int | None = None) -> str:
    """Four digits or so, which is more than a machine repeats."""
    if value is None:
        return NOTHING
    if decimals is None:
        size = abs(value)
        decimals = 0 if size >= 1000 else 1 if size >= 10 else 2
    return f"{value:,.{decimals}f}"


def of(name: Figure, value: float | None) -> str:
    """A time in whole milliseconds from ten on, a rate with a decimal at least."""
    if value is None:
        return NOTHING
    if name == "ttft_ms":
        return figure(value, 0 if abs(value) >= 100 else 1)
    return figure(value, 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2)


def joules(energy: Energy) -> str:
    """Joules a token with their uncertainty, to its second digit."""
    if not 0 < energy.uncertainty < math.inf:
        return f"{energy.joules_per_token:.3g}"
    decimals = min(6, max(0, 1 - math.floor(math.log10(energy.uncertainty))))
    return f"{energy.joules_per_token:.{decimals}f} ± {energy.uncertainty:.{decimals}f}"


def whole(value: int | None) -> str:
    """A count."""
    return NOTHING if value is None else f"{value:,}"


def percent(share: float) -> str:
    """A change: `+4.2 %`, `−0.3 %`."""
    text = f"{abs(share) * 100:.1f} %"
    return text if text == "0.0 %" else f"{'+' if share > 0 else '−'}{text}"


def moment(session: Session) -> str:
    """When it began. In UTC, since a report goes to people elsewhere."""
    try:
        return f"{datetime.fromtimestamp(session.began, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):  # a file may hold any number
        return "At a time that is not known"


def duration(seconds: float) -> str:
    """As `units.duration`, for what a file may say too."""
    return units.duration(seconds) if 0 <= seconds <= _LONGEST else NOTHING


def heading(session: Session) -> str:
    """What was measured."""
    first, *others = session.sides
    text = plain(first.label, 100)
    return f"{text} against {plain(others[0].label, 100)}" if others else text


def length(session: Session) -> str:
    """How much was done."""
    asked = sum(not run.warmup for run in session.runs)
    return f"{units.count(asked, 'run')} in {duration(session.seconds)}"
