"""What a bench needs of what it measures: the engine of this program, or any endpoint that speaks OpenAI's or Ollama's
dialect, such as the server that the workbench is attached to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from npurun_tui.bench.records import Clock, Load, Outcome, Side
from npurun_tui.engine.messages import ChatMessage


@dataclass(frozen=True, slots=True)
class Question:
    """One run's. Sampling is greedy, so that the same question has the same answer."""

    messages: tuple[ChatMessage, ...]
    max_tokens: int
    keep: bool = False
    """What the KV cache holds may be gone on from; else the dialog is reset before."""


def _nothing() -> None:
    """What is written as it comes needs no refreshing."""


@dataclass(slots=True)
class Progress:
    """How far an answer is, written by who measures and looked at by who shows it. Times are `time.perf_counter`'s."""

    asked: float = 0.0
    first: float = 0.0
    """When the first token came; 0 before it."""
    last: float = 0.0
    tokens: int = 0
    refresh: Callable[[], None] = _nothing
    """Call it before looking: who measures may set it to what brings the other fields up to date, which then costs
    nothing for each token."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One answer's figures; `records.Run` says what they mean."""

    total_ms: float
    host: Clock
    engine: Clock
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    outcome: Outcome
    text: str = ""
    note: str = ""
    """What a person should know of how it came; often empty."""


class Measuring(Protocol):
    """A target that is at hand: permit held, model loaded."""

    @property
    def side(self) -> Side:
        """With all that is known by now."""

    @property
    def load(self) -> Load | None:
        """What the loading took; None where nothing had to be loaded, or nobody can tell."""

    async def count(self, messages: tuple[ChatMessage, ...]) -> int | None:
        """Tokens of `messages` as the model is given them, its template included; None where nobody can tell."""

    async def measure(self, question: Question, progress: Progress) -> Measured:
        """Ask. A cancellation ends the answer, and leaves the target fit for the next one.

        Raises:
            NpurunError: no answer; what had come is in `progress`.
        """


OnWait = Callable[[int, str], None]
"""Hears how many are ahead in the line, and who holds the permit."""


class Target(Protocol):
    """One side of a bench."""

    @property
    def side(self) -> Side:
        """As far as it is known before the model is loaded."""

    @property
    def pids(self) -> frozenset[int]:
        """The processes that do the work, on this machine; none where it is done elsewhere."""

    @property
    def near(self) -> bool:
        """The work is done on this machine, whose instruments tell of it."""

    async def check(self, contexts: Sequence[int]) -> None:
        """See whether it is there and can be had with each of `contexts` (0: its own window), as far as that is known
        without loading anything: before a bench measures the other side for minutes.

        Raises:
            UsageError: it has no such model or window; the text lists those it has.
            EngineError, NetworkUnavailable: it cannot be had.
        """

    def quiet(self, on_wait: OnWait) -> AbstractAsyncContextManager[None] | None:
        """For the length of the block nobody else has an answer there, so that the idle machine is idle; None where
        that cannot be had from here."""

    def at_hand(
        self, context: int, on_wait: OnWait, on_load: Callable[[], None], *, fresh: bool = False
    ) -> AbstractAsyncContextManager[Measuring]:
        """The target with a window of `context` tokens (0: its own), for the length of the block; with `fresh` the
        model is loaded anew, in a new process where that is how the engine loads. `on_load` hears that it is being
        loaded, and nothing where it is already.

        Raises:
            UsageError: it has no such window; the text lists those it has.
            EngineError, ModelError, NetworkUnavailable: it cannot be had.
        """
