"""Sampler settings as llama.cpp takes them, and the random stream behind them.

llama.cpp takes one seed per request. The contract has one random stream from reset to reset, so each query gets a seed
made from the sampler's seed and the query's place in the stream: the same conversation gives the same answers again,
and two queries with the same prompt do not repeat each other.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from npurun_tui.engine.dialog import Sampler


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
    if sampler.repetition_penalty != 1 and sampler.penalize_last_n:
        samplers.append("penalties")
        fields["repeat_penalty"] = sampler.repetition_penalty
        fields["repeat_last_n"] = sampler.penalize_last_n
    if sampler.temperature <= 0 or sampler.top_k == 1:
        samplers.append("top_k")
        return fields | {"top_k": 1, "temperature": 0.0}
    samplers.extend(["top_k", "top_p", "temperature"])
    return fields | {
        "top_k": sampler.top_k,
        "top_p": sampler.top_p,
        "temperature": sampler.temperature,
    }
