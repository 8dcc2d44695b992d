"""What is to be measured."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Final, TypeVar

from npurun_tui import units
from npurun_tui.bench.prompts import BUILT_IN
from npurun_tui.errors import UsageError

T = TypeVar("T")

MAX_TOKENS: Final = 128
"""Tokens of an answer, where nothing else is asked for: enough for a rate, and soon over."""

MAX_RUNS: Final = 10_000
"""Of one side; what is more is a slip of the keyboard."""

DAY: Final = 86_400.0

_LARGEST: Final = 10_000_000
"""Tokens that any number of a plan may name; no window is larger."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One bench, checked by `checked`. What is empty is not done.

    Each repeat asks all prompts of all kinds once; with a baseline the two sides take turns, repeat by repeat. Of
    several windows each has all its repeats before the next one is loaded; in a stress run each cycle has them all.
    """

    prompts: tuple[str, ...] = ()
    """Names of built-in prompts, or texts; none of any kind asks all built-in ones."""
    lengths: tuple[int, ...] = ()
    """A sweep: prompts of exactly so many tokens. 0 stands for all the window has room for."""
    outputs: tuple[int, ...] = (MAX_TOKENS,)
    """Limits of the answer, in tokens: each prompt is asked with each."""
    contexts: tuple[int, ...] = (0,)
    """Windows to load the model with, in tokens; 0 is its own."""
    repeats: int = 3
    warmups: int = 1
    """Runs after each load that are marked and left out."""
    duration_s: float = 0.0
    """Stress: repeats go on until so many seconds have passed, and `repeats` counts no more."""
    turns: int = 0
    """Turns of a conversation, asked once keeping its KV cache and once without; 0 is none."""
    energy: bool = True
    """Measure energy where the machine can: it begins with `idle_s` seconds of rest."""
    idle_s: float = 10.0
    loads: bool = True
    """Time a cold and a warm load of each side first, where it is loaded by this program."""

    @property
    def questions(self) -> int:
        """Counted runs of one repeat, on one side, with one window."""
        single = len(self.lengths) + (len(self.prompts) or (len(BUILT_IN) if self.asks_all else 0))
        return (single + 2 * self.turns) * len(self.outputs)

    @property
    def asks_all(self) -> bool:
        """No prompt of any kind is named, so all the built-in ones are meant."""
        return not (self.prompts or self.lengths or self.turns)

    @property
    def runs(self) -> int:
        """Counted runs of one side; those of one cycle in a stress run."""
        return (
            self.questions * len(self.contexts) * (1 if self.duration_s else max(self.repeats, 0))
        )


def checked(plan: Plan) -> Plan:
    """`plan`, with what is named twice named once.

    Raises:
        UsageError: it cannot be meant.
    """
    plan = replace(
        plan,
        prompts=_once(plan.prompts),
        lengths=_once(plan.lengths),
        outputs=_once(plan.outputs),
        contexts=_once(plan.contexts),
    )
    if fault := _fault(plan):
        raise UsageError(fault)
    return plan


def _fault(plan: Plan) -> str:
    """What is wrong with `plan`, in a sentence; empty where nothing is."""
    faults = (
        (any(not text.strip() for text in plan.prompts), "A prompt is empty."),
        (
            not _within(plan.lengths, 0),
            f"A prompt's length is between 0 and {_LARGEST:,} tokens; 0 fills the window.",
        ),
        (
            not plan.outputs or not _within(plan.outputs, 1),
            f"An answer's limit is between 1 and {_LARGEST:,} tokens.",
        ),
        (
            not plan.contexts or not _within(plan.contexts, 0),
            f"A context window is between 1 and {_LARGEST:,} tokens; 0 is the model's own.",
        ),
        (plan.repeats < 1, "There must be at least one repeat."),
        (not 0 <= plan.warmups <= 100, "There can be 0 to 100 warm-up runs."),
        (not 0 <= plan.turns <= 100, "A conversation has 1 to 100 turns; 0 is none."),
        (
            not (math.isfinite(plan.duration_s) and 0 <= plan.duration_s <= DAY),
            "A stress run lasts for 24 hours at most.",
        ),
        (
            not (math.isfinite(plan.idle_s) and 0 <= plan.idle_s <= 600),
            "The idle machine is measured for 10 minutes at most.",
        ),
        (
            plan.runs > MAX_RUNS,
            f"That would be {units.count(plan.runs, 'run')}; {MAX_RUNS:,} is the most.",
        ),
    )
    return next((words for wrong, words in faults if wrong), "")


def document_of(plan: Plan) -> dict[str, object]:
    """`plan` as JSON has it."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(plan).items()
    }


def _within(numbers: tuple[int, ...], least: int) -> bool:
    return all(least <= number <= _LARGEST for number in numbers)


def _once(values: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))
