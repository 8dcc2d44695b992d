"""Sampler settings as llama.cpp takes them, and the random stream behind them.

llama.cpp takes one seed per request. The contract has one random stream from reset to reset, so each query gets a seed
made from the sampler's seed and the query's place in the stream: the same conversation gives the same answers again,
and two queries with the same prompt do not repeat each other.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final

from npurun_tui.engine.dialog import Sampler

MOST_TOKENS: Final = 1 << 17
"""As far back as a penalty looks at most: llama.cpp has a buffer of that length."""

_SMALLEST, _LARGEST = 1e-3, 1e6
"""What a factor may be: llama.cpp has floats of 32 bits, and divides by some."""


class RandomStream:
    """The seeds of the queries since the last reset."""

    def __init__(self, seed: int | None, position: int = 0) -> None:
        self.base = secrets.randbits(63) if seed is None else seed
        self.position = position

    def next_seed(self) -> int:
        """The next query's seed, 0 to 2**32 - 2 (llama.cpp reads the largest as "a random one")."""
        word = f"{self.base}:{self.position}".encode()
        self.position += 1
        return int.from_bytes(hashlib.blake2b(word, digest_size=8).digest()) % 0xFFFF_FFFF


def request_fields(sampler: Sampler, seed: int) -> dict[str, Any]:
    """The part of a completion request that samples. The order is Genie's: top-p before the temperature."""
    samplers: list[str] = []
    fields: dict[str, Any] = {"samplers": samplers, "seed": seed, "min_p": 0.0}
    penalties = _penalties(sampler)
    if penalties:
        samplers.append("penalties")
        fields |= penalties
    if sampler.temperature <= 0 or sampler.top_k == 1:
        samplers.append("top_k")
        return fields | {"top_k": 1, "temperature": 0.0}
    samplers.extend(["top_k", "top_p"])
    if sampler.min_p > 0:
        samplers.append("min_p")
        fields["min_p"] = sampler.min_p
    samplers.append("temperature")
    return fields | {
        "top_k": min(sampler.top_k, 0x7FFF_FFFF),
        "top_p": sampler.top_p,
        "temperature": min(sampler.temperature, _LARGEST),
    }


def _penalties(sampler: Sampler) -> dict[str, Any]:
    """The fields of llama.cpp's `penalties`; none where there is none."""
    wanted = (sampler.repetition_penalty - 1, sampler.presence_penalty, sampler.frequency_penalty)
    if not (any(wanted) and sampler.penalize_last_n):
        return {}
    return {
        "repeat_penalty": min(max(sampler.repetition_penalty, _SMALLEST), _LARGEST),
        "presence_penalty": sampler.presence_penalty,
        "frequency_penalty": sampler.frequency_penalty,
        "repeat_last_n": min(sampler.penalize_last_n, MOST_TOKENS),
    }
