"""What a client is told beside its answer, in fixed ASCII words: no text of a request or a model gets into a header."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

HEADER: Final = "x-npurun-warning"

TOOLS_SKIPPED: Final = "A tool of a type that is not a function was left out."

_WORDS: Final = (
    ("tool", "tools-dropped"),
    ("message", "messages-dropped"),
    ("window", "window-full"),
    ("prefill", "prefilled-again"),
    ("trunc", "truncated"),
)


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
