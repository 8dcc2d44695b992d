"""What has come of one answer, in no dialect: when text came, what was said, and the figures at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from npurun_tui.bench.records import NOT_TIMED, Clock, Outcome
from npurun_tui.bench.target import Measured, Progress, Question
from npurun_tui.errors import EngineError

MOST_TEXT: Final = 4_000_000
"""Characters of an answer beyond which an endpoint is not listened to: what was asked for is a few thousand tokens."""

WAITED: Final = "it waited in the endpoint's line, so there is no time to the first token"
LOADED: Final = "the endpoint loaded the model for it, so there is no time to the first token"
FROM_CACHE: Final = (
    "the endpoint had a part of the prompt in its cache, which cannot be emptied from here: the time to the first "
    "token is that of the rest"
)
CACHE_UNKNOWN: Final = (
    "the endpoint does not say what it had in its cache, so the rate of the prefill is not known and its time to the "
    "first token may be of a part of the prompt"
)
UNCOUNTED: Final = "the endpoint counts no tokens, so there are no rates"
HIDDEN: Final = "the model thinks out of sight, so there is no rate by the host's clock"
TOO_MANY: Final = "the endpoint wrote more tokens than it was asked for"


@dataclass(slots=True)
class Figures:
    """What an endpoint tells of its answer; None where it does not."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    hidden_tokens: int = 0
    """Of these, thoughts whose text did not come."""
    engine: Clock = NOT_TIMED
    load_ms: float = 0.0
    """What loading the model took, where it was loaded for this answer."""


@dataclass(slots=True)
class Hearing:
    """One answer, from its request to its end."""

    progress: Progress
    counts_end: bool = True
    """The token that ends an answer by itself is one of those that are counted."""
    figures: Figures = field(default_factory=Figures)
    reason: str = ""
    """Why it ended, in the endpoint's word; empty where none was given."""
    done: bool = False
    """Its end was announced."""
    ended: float = 0.0
    """When that was."""
    at_first: int = 1
    """Tokens in the first event with text, where that is told."""
    thought: bool = False
    """Thoughts came as text."""
    waited: bool = False
    loaded: bool = False
    notes: list[str] = field(default_factory=list)
    """What the dialect has to say of how it came."""
    _parts: list[str] = field(default_factory=list)
    _size: int = 0

    def asked(self) -> None:
        """The request goes out: what `progress` has of another one is over."""
        progress = self.progress
        progress.first = progress.last = 0.0
        progress.tokens = 0
        progress.asked = time.perf_counter()

    def text(self, text: str, *, tokens: int | None = None) -> None:
        """Some of the answer; `tokens` have come by now, where that is told.

        Raises:
            EngineError: it does not end.
        """
        self._came(tokens)
        self._parts.append(text)
        self._size += len(text)
        if self._size > MOST_TEXT:
            raise EngineError("The endpoint answers without end.")

    def thinks(self, text: str, *, tokens: int | None = None) -> None:
        """Some of what the model thinks; raises as `text`."""
        self.thought = True
        self._came(tokens)
        self._size += len(text)
        if self._size > MOST_TEXT:
            raise EngineError("The endpoint thinks without end.")

    def calls(self, *, tokens: int | None = None) -> None:
        """Some of a tool call: nothing is offered, but a model may write one all the same."""
        self._came(tokens)

    def end(self, reason: str) -> None:
        """The answer's end was announced; empty for one that gives no reason."""
        self.done = True
        self.reason = self.reason or reason
        self.ended = self.ended or time.perf_counter()

    def _came(self, tokens: int | None) -> None:
        progress = self.progress
        progress.last = time.perf_counter()
        if not progress.first:
            progress.first = progress.last
            self.at_first = max(tokens or 1, 1)
        if tokens is not None:
            progress.tokens = max(tokens, progress.tokens)

    # --- figures -------------------------------------------------------------------------------

    def measured(self, question: Question) -> Measured:
        """The answer's figures, once it has ended."""
        progress, figures = self.progress, self.figures
        if figures.completion_tokens is not None:
            progress.tokens = figures.completion_tokens
        end = self.ended or progress.last
        return Measured(
            total_ms=(end - progress.asked) * 1000,
            host=self._host(),
            engine=figures.engine,
            prompt_tokens=figures.prompt_tokens,
            cached_tokens=figures.cached_tokens,
            completion_tokens=figures.completion_tokens,
            outcome=self._outcome(),
            text="".join(self._parts),
            note="; ".join(self._words(question)),
        )

    def _outcome(self) -> Outcome:
        if not self.progress.first:
            return "empty"
        return "length" if self.reason == "length" else "stop"

    def _host(self) -> Clock:
        ttft, figures = self._ttft(), self.figures
        prefill = None
        if ttft and figures.prompt_tokens is not None and figures.cached_tokens is not None:
            prefilled = figures.prompt_tokens - figures.cached_tokens
            prefill = prefilled / ttft if prefilled > 0 else None
        return Clock(None if ttft is None else ttft * 1000, prefill, self._decode())

    def _ttft(self) -> float | None:
        """Seconds; None where others' requests or a load are in it."""
        progress = self.progress
        if not progress.first or self.waited or self.loaded:
            return None
        return progress.first - progress.asked

    def _decode(self) -> float | None:
        """Tokens after those of the first event, by the time after it."""
        progress, tokens = self.progress, self.figures.completion_tokens
        if tokens is None or not progress.first or self._hidden:
            return None
        by_itself = self.counts_end and self._outcome() == "stop"
        last = max(self.ended if by_itself else 0.0, progress.last)
        after, seconds = tokens - self.at_first, last - progress.first
        return after / seconds if after > 0 and seconds > 0 else None

    @property
    def _hidden(self) -> bool:
        return self.figures.hidden_tokens > 0 and not self.thought

    def _words(self, question: Question) -> list[str]:
        figures, words = self.figures, list(self.notes)
        if self.waited:
            words.append(WAITED)
        elif self.loaded:
            words.append(LOADED)
        elif not question.keep and figures.cached_tokens is None:
            words.append(CACHE_UNKNOWN)
        elif not question.keep and figures.cached_tokens:
            words.append(FROM_CACHE)
        tokens = figures.completion_tokens
        if tokens is None:
            words.append(UNCOUNTED)
        elif tokens > question.max_tokens:
            words.append(TOO_MANY)
        if self._hidden:
            words.append(HIDDEN)
        return words
