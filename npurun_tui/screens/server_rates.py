"""The plot of the Server tab: tokens written over the last minutes, from what the log says of ended answers.

An answer's tokens are spread evenly from its first to its end: the log has no more, and that is where they fell.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from npurun_tui.storage.requests import RequestRow

MINUTES: Final = 5
STEP: Final = 5.0
"""Seconds that one column of the plot stands for."""
STEPS: Final = int(MINUTES * 60 / STEP)


def token_rates(rows: Iterable[RequestRow], now: float) -> list[float]:
    """Tokens per second in each step, the oldest first; `now` is Unix time."""
    begin = now - STEPS * STEP
    tokens = [0.0] * STEPS
    for row in rows:
        if not row.completion_tokens:
            continue
        end = row.began + (row.total_ms or 0.0) / 1000
        start = min(end, row.began + (row.ttft_ms or 0.0) / 1000)
        _spread(tokens, row.completion_tokens, start - begin, end - begin)
    return [count / STEP for count in tokens]


def _spread(tokens: list[float], count: int, start: float, end: float) -> None:
    """Add `count` evenly between two times, seconds since the plot's beginning."""
    if end <= start:
        index = int(start // STEP)
        if 0 <= index < STEPS:
            tokens[index] += count
        return
    for index in range(max(0, int(start // STEP)), min(STEPS, int(end // STEP) + 1)):
        overlap = min(end, (index + 1) * STEP) - max(start, index * STEP)
        tokens[index] += count * max(0.0, overlap) / (end - start)


def answered_per_minute(rows: Iterable[RequestRow], now: float) -> float:
    """Requests that began within the plot's time, per minute."""
    return sum(now - row.began < MINUTES * 60 for row in rows) / MINUTES
