"""What is to be measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_TOKENS: Final = 128
"""Tokens of an answer, where nothing else is asked for: enough for a rate, and soon over."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One bench, checked by `checked`. What is empty is not done.

    Each repeat asks all prompts of all kinds once; with a baseline the two sides take turns, repeat by repeat.
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
