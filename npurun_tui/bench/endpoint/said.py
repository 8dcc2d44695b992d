"""What both dialects do with what an endpoint sends: nobody vouches for it, so each value is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from npurun_tui.attach.http import error_text
from npurun_tui.errors import EngineError
from npurun_tui.text import one_line

Said = Callable[[], object]
"""Told when an endpoint has said something, which is what its silence is counted from."""


def document_of(text: str) -> dict[str, Any]:
    """The JSON object in `text`. Raises EngineError where it is none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise EngineError(f"The endpoint sends what is no answer: {one_line(text, 80)}.")
    return document


def check_fault(document: dict[str, Any]) -> None:
    """Raises EngineError where `document` says that the answer failed."""
    if document.get("error") is not None:
        reason = one_line(error_text(json.dumps(document)), 300).rstrip(".")
        raise EngineError(f"The endpoint failed in the middle: {reason or 'no reason given'}.")


def text_in(document: dict[str, Any], key: str) -> str:
    """The text at `key`; empty where there is none."""
    value = document.get(key)
    return value if isinstance(value, str) else ""


def rate(tokens: int | None, milliseconds: float | None) -> float | None:
    """Tokens a second; None where there was nothing to time."""
    if tokens is None or milliseconds is None or tokens <= 0 or milliseconds <= 0:
        return None
    return tokens * 1000 / milliseconds
