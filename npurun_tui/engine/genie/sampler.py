"""Sampler settings as Genie takes them, with the ways round what its sampler does wrong (`rules` X3, X4)."""

from __future__ import annotations

import json
import secrets
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
