"""What the stream of a chat completion has told, from any server that speaks OpenAI's words; figures are checked, since
nobody vouches for such a server, and what it does not tell stays unknown."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from npurun_tui.attach.http import error_text
from npurun_tui.errors import EngineError
from npurun_tui.text import one_line


@dataclass(slots=True)
class Answer:
    """`take` it event by event."""

    finish_reason: str = ""
    """Empty where the server gave none."""
    done: bool = False
    """The stream was ended with [DONE]."""
    usage: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)
    first: float = 0.0
    """When the first text came, by `perf_counter`; 0 while there is none."""
    last: float = 0.0
    chunks: int = 0

    @property
    def ended(self) -> bool:
        """Without a reason, the end is believed only where there is an answer and its end was announced."""
        return bool(self.finish_reason) or (self.done and self.chunks > 0)

    def take(self, data: str) -> tuple[str, str]:
        """The text and the thoughts in one event; both may be empty.

        Raises:
            EngineError: it is an error, or no event of an answer.
        """
        if data == "[DONE]":
            self.done = True
            return "", ""
        event = _parse(data)
        if event.get("error") is not None:
            reason = one_line(error_text(data)).rstrip(".")
            raise EngineError(f"The server failed in the middle: {reason}.")
        for key in ("usage", "timings"):
            if isinstance(event.get(key), dict):
                setattr(self, key, event[key])
        return self._choice(event.get("choices"))

    def _choice(self, choices: object) -> tuple[str, str]:
        choice = choices[0] if isinstance(choices, list) and choices else {}
        if not isinstance(choice, dict):
            return "", ""
        ended = choice.get("finish_reason")
        if isinstance(ended, str) and ended:
            self.finish_reason = one_line(ended, 40)
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return "", ""
        text, thought = delta.get("content"), delta.get("reasoning_content")
        said = text if isinstance(text, str) else "", thought if isinstance(thought, str) else ""
        if said[0]:
            self.last = time.perf_counter()
            self.first = self.first or self.last
            self.chunks += 1
        return said

    # --- figures -------------------------------------------------------------------------------

    @property
    def prompt_tokens(self) -> int | None:
        """As the server counted."""
        return whole(self.usage.get("prompt_tokens"))

    @property
    def completion_tokens(self) -> int | None:
        """As the server counted."""
        return whole(self.usage.get("completion_tokens"))

    @property
    def cached_tokens(self) -> int | None:
        """Of the prompt, those that were not read again."""
        details = self.usage.get("prompt_tokens_details")
        return whole(details.get("cached_tokens")) if isinstance(details, dict) else None

    @property
    def prefill_tps(self) -> float | None:
        """Tokens per second, by the server's clock."""
        return figure(self.timings.get("prompt_per_second"))

    @property
    def ttft_ms(self) -> float | None:
        """By the server's clock: reading the prompt, and bringing a saved cache back where it did."""
        reading = figure(self.timings.get("prompt_ms"))
        restoring = figure(self.timings.get("restore_ms")) or 0.0
        return None if reading is None else reading + restoring

    @property
    def decode_tps(self) -> float | None:
        """Tokens per second by the server's clock, else by ours."""
        if (rate := figure(self.timings.get("predicted_per_second"))) is not None:
            return rate
        tokens = self.completion_tokens
        if tokens is not None and tokens > 1 and self.last > self.first:
            return round((tokens - 1) / (self.last - self.first), 2)
        return None


def _parse(data: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise EngineError(
            f"The server sends something that is not an answer: {one_line(data, 80)}."
        )
    return document


def whole(value: object) -> int | None:
    """A number of tokens, where a server sent what can be one."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 2**53 else None


def figure(value: object) -> float | None:
    """A rate or a time, where a server sent what can be one: finite, and not below 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(float(value), 2) if 0 <= value < 2**53 else None
