"""A client's wishes for sampling, checked for range and made into what the engine takes.

Numbers from a request end in a C library, so nothing passes that it could stumble over: no NaN, no negative count, no
seed that does not fit. What is absent is the engine's default.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Final

from npurun_tui.engine.dialog import Sampler
from npurun_tui.server.asking import Sampling
from npurun_tui.server.faults import BadRequest

MAX_TEMPERATURE: Final = 5.0
MAX_COUNT: Final = 1 << 20
"""For `top_k` and `repeat_last_n`: above any vocabulary and any window."""
MAX_STOP: Final = 1024
"""Characters of one stop string."""
SEEDS: Final = 2**31
"""Seeds below this are handed on as they are; both engines take them. Others become one of these, always the same."""


def sampler_of(wishes: Sampling) -> Sampler:
    """The sampler for `wishes`.

    Raises:
        BadRequest: one of them is out of range; `param` names it.
    """
    default = Sampler()
    temperature = _number(
        "temperature", wishes.temperature, 0, MAX_TEMPERATURE, default.temperature
    )
    top_p = _number("top_p", wishes.top_p, 0, 1, default.top_p)
    top_k = _top_k(wishes.top_k, default.top_k)
    seed = seed_of(wishes.seed)
    return Sampler(
        temperature=temperature,
        top_k=top_k,
        top_p=max(top_p, 1e-6),  # 0 is meant as "the likeliest token only"
        seed=None if temperature == 0 or top_k == 1 else seed,  # to change it can cost the cache
        repetition_penalty=_number("repeat_penalty", wishes.repeat_penalty, 0, 10, 1.0) or 1.0,
        penalize_last_n=_last_n(wishes.repeat_last_n, default.penalize_last_n),
        min_p=_number("min_p", wishes.min_p, 0, 1, default.min_p),
        presence_penalty=_number("presence_penalty", wishes.presence_penalty, -2, 2, 0.0),
        frequency_penalty=_number("frequency_penalty", wishes.frequency_penalty, -2, 2, 0.0),
    )


def seed_of(seed: int | None) -> int | None:
    """The seed for the engine; None is a random one, and so is -1, as Ollama has it. Any size is taken, and the same
    seed is always the same one here: clients send the time in nanoseconds, or a double's largest number."""
    if seed is None or seed == -1:
        return None
    if 0 <= seed < SEEDS:
        return seed
    # In hexadecimal: Python refuses to write very long numbers in decimal, and takes ever longer to.
    digest = hashlib.blake2b(f"{seed:x}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) % SEEDS


def stops_of(stops: Sequence[str], limit: int) -> tuple[str, ...]:
    """`stops`, each once, as the engine takes them; `limit` is how many there may be.

    Raises:
        BadRequest: one is empty, too long, or has a NUL in it, or there are too many.
    """
    if len(stops) > limit:
        raise BadRequest(f"There may be at most {limit} stop strings.", param="stop")
    for stop in stops:
        if not stop:
            raise BadRequest("A stop string may not be empty.", param="stop")
        if "\x00" in stop or len(stop) > MAX_STOP:
            raise BadRequest(
                f"A stop string has at most {MAX_STOP} characters, and no NUL among them.",
                param="stop",
            )
    return tuple(dict.fromkeys(stops))


def max_tokens_of(wanted: int | None, window: int) -> int | None:
    """How many tokens an answer may have in a context window of `window`; None is up to its end."""
    return None if wanted is None or wanted < 1 else min(wanted, max(window - 1, 1))


def _number(name: str, value: float | None, low: float, high: float, default: float) -> float:
    if value is None:
        return default
    if not (math.isfinite(value) and low <= value <= high):
        raise BadRequest(f"`{name}` must be between {low:g} and {high:g}.", param=name)
    return float(value)


def _top_k(value: int | None, default: int) -> int:
    """0 and -1 both switch it off."""
    if value is None:
        return default
    if value < -1:
        raise BadRequest("`top_k` must be 0 (off) or more.", param="top_k")
    return min(max(value, 0), MAX_COUNT)


def _last_n(value: int | None, default: int) -> int:
    """-1 is the whole window."""
    if value is None:
        return default
    if value < -1:
        raise BadRequest(
            "`repeat_last_n` must be -1 (the whole window) or more.", param="repeat_last_n"
        )
    return MAX_COUNT if value == -1 else min(value, MAX_COUNT)
