"""Sampler settings as Genie takes them, with the ways round what its sampler does wrong (`rules` X3, X4)."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from npurun_tui.engine.dialog import Sampler

_SEEDS: Final = 1 << 31


def new_seed() -> int:
    """A random seed, for settings without one: Genie's own would be the time, alike for two dialogs of a second."""
    return secrets.randbelow(_SEEDS)


def block(sampler: Sampler, seed: int, vocabulary: int) -> dict[str, Any]:
    """The `sampler` object of a config, for `sampler` with `seed`; `vocabulary` is its size in tokens."""
    settings: dict[str, Any] = {"version": 1, "type": "basic", "seed": seed % _SEEDS}
    if sampler.temperature <= 0 or sampler.top_k == 1:
        return settings | {"temp": 1.0, "top-k": 1, "top-p": 1.0}
    # Denormal temperatures overflow the logits; below this every draw is the argmax already.
    temperature = max(sampler.temperature, 1e-3)
    if sampler.top_p < 1e-4:
        return settings | {"temp": 1.0, "top-k": 1, "top-p": 1.0}
    top_k = min(sampler.top_k or vocabulary, vocabulary)
    return settings | {"temp": temperature, "top-k": top_k, "top-p": sampler.top_p}


def penalty(sampler: Sampler) -> dict[str, Any] | None:
    """The `token-penalty` object; None where there is none. Genie reads it only when a dialog is made."""
    if sampler.repetition_penalty == 1 or not sampler.penalize_last_n:
        return None
    return {
        "version": 1,
        "penalize-last-n": sampler.penalize_last_n,
        "repetition-penalty": sampler.repetition_penalty,
    }


def document(settings: dict[str, Any]) -> bytes:
    """What `GenieSamplerConfig_createFromJson` takes."""
    return json.dumps({"sampler": settings}).encode()


@dataclass(slots=True)
class SamplerState:
    """A dialog's settings, and what of them its native dialog has not taken up yet."""

    settings: Sampler = field(default_factory=Sampler)
    seed: int = field(default_factory=new_seed)
    reseed: bool = False
    """The seed changed; Genie's stream takes it up at the next reset."""
    stale: bool = False
    """Something changed that only a new native dialog takes."""

    def change(self, settings: Sampler, *, inert: bool) -> bool:
        """Have `settings`; True where the native dialog's sampler can be told. `inert`: it takes nothing (X2)."""
        before, self.settings = self.settings, settings
        if settings.seed != before.seed:
            self.seed = new_seed() if settings.seed is None else settings.seed
            self.reseed = True
        changed = settings != before
        if penalty(settings) != penalty(before) or (inert and changed):
            self.stale = True  # `inert` also keeps the seed from a dialog that is only reset
        return changed and not self.stale

    def draw_seed(self, *, inert: bool) -> None:
        """Before a reset: without a seed of its own each stream is another one."""
        if self.settings.seed is None:
            self.seed, self.reseed = new_seed(), True
            self.stale = self.stale or inert

    def settled(self) -> None:
        """The native dialog has everything."""
        self.reseed = self.stale = False

    def block(self, vocabulary: int) -> dict[str, Any]:
        """What an open dialog's sampler can be told."""
        return block(self.settings, self.seed, vocabulary)

    @property
    def greedy(self) -> bool:
        """The argmax is always taken."""
        return bool(block(self.settings, 0, 1 << 20)["top-k"] == 1)

    def whole_block(self, vocabulary: int) -> dict[str, Any]:
        """What a new dialog is made with: never greedy, which a sampler that is made so stays for ever."""
        found = penalty(self.settings)
        settings = Sampler(seed=self.settings.seed) if self.greedy else self.settings
        made = block(settings, self.seed, vocabulary)
        return made | ({"token-penalty": found} if found else {})
