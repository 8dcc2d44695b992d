"""How long a model stays loaded, as Ollama's clients and people write it."""

from __future__ import annotations

import math
import re
from typing import Final

FOR_EVER: Final = -1.0

_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_NUMBER: Final = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_SECONDS: Final = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip


def parse_keep_alive(value: float | str) -> float:
    """Seconds; `FOR_EVER` for what is negative. A text is a Go duration (`10m`, `1h30m`, `-1m`) or a number.

    Raises:
        ValueError: it is neither; the text says what it must be.
    """
    seconds = _duration(value.strip()) if isinstance(value, str) else float(value)
    if math.isnan(seconds):
        raise ValueError("must be seconds, or a duration such as 10m")
    return FOR_EVER if seconds < 0 else min(seconds, 10.0 * 365 * 86400)


def _duration(text: str) -> float:
    sign, rest = (-1.0, text[1:]) if text[:1] == "-" else (1.0, text.removeprefix("+"))
    parts = list(_PART.finditer(rest))
    if parts and "".join(part[0] for part in parts) == rest:
        return sign * sum(float(part[1]) * _SECONDS[part[2]] for part in parts)
    if _NUMBER.fullmatch(rest) is None:
        raise ValueError("must be seconds, or a duration such as 10m")
    return sign * float(rest)
