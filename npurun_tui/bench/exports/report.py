"""What a report says, as sentences and tables, before it is Markdown or HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from npurun_tui.bench.compare import Comparison
from npurun_tui.bench.exports.wording import joules, of
from npurun_tui.bench.records import Session
from npurun_tui.bench.statistics import UNITS, Figure, summaries
from npurun_tui.bench.throttling import throttling
from npurun_tui.bench.verdicts import (
    clock_words,
    comparison_words,
    difference_words,
    speedup_words,
    throttling_words,
)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads. The texts may be hostile: they are as the session has them."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[int] = frozenset({0})
    """The columns that hold words; the others hold figures, and are flush right."""
    names: frozenset[int] = frozenset()
    """Those of `words` that hold texts which somebody else chose."""
    note: str = ""


def verdicts(session: Session, comparison: Comparison | None = None) -> list[str]:
    """What the bench has found, most important first, one sentence or two each."""
    first = session.sides[0]
    found: list[str] = []
    if not session.complete:
        found.append(_sentence(f"Incomplete: {session.reason or 'it was ended before its end'}"))
    found.append(_headline(session))
    found.append(speedup_words(session))
    if session.plan.get("duration_s"):
        halves = throttling(session, first.key)
        found += throttling_words(halves) if halves else []
    found.append(clock_words(session, first.key))
    found += _energy(session)
    if comparison is not None:
        found += comparison_words(comparison)
    return [sentence for sentence in found if sentence]


def change_words(comparison: Comparison) -> list[str]:
    """What has changed since an earlier bench, one sentence or two a figure, with both medians."""
    return [
        f"{difference_words(found)} The median was {of(name, found.median_a)} {UNITS[name]}, "
        f"and is {of(name, found.median_b)}."
        for name, found in comparison.figures.items()
    ]


def _headline(session: Session) -> str:
    found = summaries(session, session.sides[0].key)
    decode, ttft = found["decode_tps"], found["ttft_ms"]
    if decode is None and ttft is None:
        return "No run has measured anything."
    parts = []
    if decode:
        spread = f" ({_range('decode_tps', decode.min, decode.max)})" if decode.n > 1 else ""
        parts.append(f"{of('decode_tps', decode.p50)} tok/s{spread}")
    if ttft:
        spread = f" ({_range('ttft_ms', ttft.min, ttft.max)})" if ttft.n > 1 else ""
        parts.append(f"{of('ttft_ms', ttft.p50)} ms to the first token{spread}")
    runs = max(summary.n for summary in (decode, ttft) if summary)
    over = f", median of {runs:,} runs" if runs > 1 else ", of a single run"
    return f"{' and '.join(parts)}{over}."


def _range(name: Figure, low: float, high: float) -> str:
    return f"{of(name, low)} to {of(name, high)}"


def _energy(session: Session) -> list[str]:
    if not session.energy:
        if not session.energy_note and not session.plan.get("energy", True):
            return []  # nobody asked for it
        note = session.energy_note or "not measurable here"
        if note[1:2].islower():  # no abbreviation
            note = f"{note[0].lower()}{note[1:]}"
        return [_sentence(f"Energy: {note}")]
    names = {side.key: side.model for side in session.sides}
    many = len(session.energy) > 1
    found = []
    for energy in session.energy:
        whose = f" for {names.get(energy.side, energy.side)}" if many else ""
        text = f"{joules(energy)} J a token{whose}, measured by {energy.source}"
        found.append(f"{_sentence(text)} {_sentence(energy.warning)}".rstrip())
    return found


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


def several(items: Sequence[object]) -> bool:
    """Whether a column that tells items apart is worth its place."""
    return len(set(items)) > 1
