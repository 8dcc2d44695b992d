"""What a client is told beside its answer, in fixed ASCII words: no text of a request or a model gets into a header."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

HEADER: Final = "x-npurun-warning"

TOOLS_SKIPPED: Final = "A tool of a type that is not a function was left out."

_WORDS: Final = (
    ("call was asked for", "no-tool-call"),
    ("does not give tools", "tools-ignored"),
    ("tool", "tools-dropped"),
    ("conversation did not fit", "messages-dropped"),
    ("took longer", "time-limit"),
)
"""What a warning says, and the word for it; the first that fits. The whole sentence is in the request log."""


def words(warnings: Iterable[str]) -> str:
    """One word for each kind of warning, separated by commas; empty where there is none."""
    return ", ".join(dict.fromkeys(_word(warning) for warning in warnings))


def _word(warning: str) -> str:
    low = warning.lower()
    return next((word for mark, word in _WORDS if mark in low), "see-log")


def headers(warnings: Iterable[str]) -> dict[str, str]:
    """The header for `warnings`, or none."""
    said = words(warnings)
    return {HEADER: said} if said else {}
