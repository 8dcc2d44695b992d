"""`options`: the sampler's settings as Ollama names them, each checked for its type in Ollama's words.

Null is no setting. What concerns another engine (`num_gpu`, `mirostat`, ...) and what nobody knows is ignored, and so
is `num_ctx`, which clients send with every request: the window is the loaded model's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from npurun_tui.server.asking import Sampling
from npurun_tui.server.faults import BadRequest

_FLOATS: Final = (
    "temperature",
    "top_p",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
)
_INTEGERS: Final = ("top_k", "seed", "repeat_last_n")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `options` say of an answer."""

    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


def wishes_of(options: Mapping[str, Any] | None) -> Wishes:
    """The wishes in `options`.

    Raises:
        BadRequest: one of them has the wrong type.
    """
    given = {name: value for name, value in (options or {}).items() if value is not None}
    settings: dict[str, Any] = {
        name: _float(name, given[name]) for name in _FLOATS if name in given
    }
    settings |= {name: _integer(name, given[name]) for name in _INTEGERS if name in given}
    return Wishes(
        Sampling(**settings),
        _integer("num_predict", given["num_predict"]) if "num_predict" in given else None,
        _stops(given.get("stop")),
    )


def _float(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _misfit(name, "float32")
    try:
        return float(value)
    except OverflowError:
        raise _misfit(name, "float32") from None


def _integer(name: str, value: Any) -> int:
    """Whole numbers, also as 40.0; a fraction is cut off, as Ollama does."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _misfit(name, "integer")
    return int(value)


def _stops(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _misfit("stop", "array")
    if not all(isinstance(text, str) for text in value):
        raise _misfit("stop", "an array of strings")
    return tuple(text for text in value if text)


def _misfit(name: str, kind: str) -> BadRequest:
    return BadRequest(f'option "{name}" must be of type {kind}', param=f"options.{name}")
