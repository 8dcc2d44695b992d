"""What the forms of the Bench and Server tabs are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One line that is typed. `parse` raises ValueError or UsageError with what is wrong, as each form reads it."""

    key: str
    label: str
    help: str
    parse: Callable[[str], object]
