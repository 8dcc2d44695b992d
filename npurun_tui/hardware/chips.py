"""Snapdragon names and what is inside, for words and comparisons only.

Which part of the runtime is used never depends on this table: the runtime asks the device. Numbers as published in
bundles for these chips; where none was seen, none is given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Chip:
    """One family."""

    name: str
    arch: str
    """Its Hexagon."""
    soc_model: int = 0
    """`soc_model` in bundles made for it; 0 where that is not known."""


_CHIPS: Final = (
    (r"\bX2[ -]?(elite|plus|[EP]\d)|Snapdragon.{0,4} X2\b|glymur", Chip("Snapdragon X2", "v81")),
    (r"\bX1[EP][ -]?\d|Snapdragon.{0,4} X\b|hamoa|purwa", Chip("Snapdragon X", "v73", 60)),
    (r"8cx Gen 3|sc8280xp", Chip("Snapdragon 8cx Gen 3", "v68")),
)


def chip_of(*words: str) -> Chip | None:
    """The chip that a processor's or an NPU's name means; None where it is none that we know."""
    text = " ".join(words)
    return next((chip for pattern, chip in _CHIPS if re.search(pattern, text, re.IGNORECASE)), None)
