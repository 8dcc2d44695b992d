"""What a bench means, in sentences; their intervals are drawn by lot, which takes a thread. Knows no Textual."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from npurun_tui.bench.compare import compare_sessions
from npurun_tui.bench.exports.report import verdicts
from npurun_tui.bench.verdicts import comparison_words
from npurun_tui.errors import NpurunError
from npurun_tui.screens.bench_words import when
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.bench.records import Session

Section = tuple[str, list[str]]
"""A heading, and the sentences under it."""

AGAINST: Final = "Against the bench of "


def meaning_of(session: Session, before: Callable[[Session], Session | None]) -> list[Section]:
    """What `session` says for itself, and against the one before it. Blocks, for a second where there are many runs."""
    sections = [("What it means", _lines(verdicts(session)))]
    try:
        old = before(session)
    except NpurunError as error:
        sections.append(("Against earlier benches", [str(error)]))
        old = None
    if old is not None:
        found = comparison_words(compare_sessions(old, session))
        sections.append((f"{AGAINST}{when(old.began)}", _lines(found)))
    return [section for section in sections if section[1]]


def _lines(sentences: list[str]) -> list[str]:
    return [one_line(sentence, 600) for sentence in sentences]
