"""What to do before a query: go on with what the cache holds, or save it, or bring another one back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from npurun_tui.engine.conversations.folder import Snapshot
from npurun_tui.engine.conversations.rates import Rates
from npurun_tui.engine.held import Held, common_length

LEAST_SAVED: Final = 16
"""Tokens: a loss below this is not worth a file, however the rates look."""

RETURNS: Final = 0.25
"""How likely a conversation that is interrupted for the first time is taken for coming back."""

RETURNS_AGAIN: Final = 0.9
"""The same of one that came back before."""

MARGIN: Final = 0.01
"""Seconds that a restore must gain: a guess is not good enough for less."""

OPENING: Final = 32
"""Characters at the end of a prompt that need not be in the next one of the same conversation: how a template opens an
answer is not always how it writes one that is given (an empty thinking block)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """First `save` what the cache holds, then bring `restore` back."""

    save: bool = False
    restore: Snapshot | None = None


def plan(held: Held | None, prompt: str, snapshots: Sequence[Snapshot], rates: Rates) -> Plan:
    """The cheapest way to a cache for `prompt`. `held` None: what the cache holds is not known."""
    kept = held.tokens_shared(prompt) if held else 0
    best, gained = None, rates.to_prefill(kept) + MARGIN
    for snapshot in snapshots:
        shared = snapshot.held.tokens_shared(prompt)
        gain = rates.to_prefill(shared) - rates.to_restore(snapshot.held.tokens)
        if gain > gained:
            best, gained = snapshot, gain
    save = held is not None and worth_saving(held, prompt, snapshots, rates)
    return Plan(save, best)


def worth_saving(held: Held, prompt: str, snapshots: Sequence[Snapshot], rates: Rates) -> bool:
    """True where a query of `prompt` would overwrite what is dear and nowhere else."""
    if continues(held, prompt):
        return False
    text = held.text
    elsewhere = max((snapshot.held.tokens_shared(text) for snapshot in snapshots), default=0)
    lost = held.tokens - max(held.tokens_shared(prompt), elsewhere)
    if lost < LEAST_SAVED:
        return False
    cost = rates.to_save(held.tokens) + rates.to_restore(held.tokens)
    returns = RETURNS_AGAIN if superseded(held, snapshots) else RETURNS
    return rates.to_prefill(lost) * returns > cost


def continues(held: Held, text: str) -> bool:
    """True where `text` is of the same conversation as `held`: it has all of its prompt, though perhaps another answer
    (one asked for again, or one without what the model thought)."""
    prompt = held.prompt
    return bool(prompt) and common_length(prompt, text) >= max(1, len(prompt) - OPENING)


def superseded(held: Held, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """Those of `snapshots` that are earlier states of the conversation that `held` is of."""
    text = held.text
    return [snapshot for snapshot in snapshots if continues(snapshot.held, text)]
