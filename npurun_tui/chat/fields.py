"""The sampling settings as a table: one row says how a setting is named, read, checked and explained.

The settings dialog and the command line both read this table, so a value means the same in either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # the command line imports this module at every start
    from npurun_tui.chat.model import ChatSettings


def whole(least: int) -> Callable[[str], int]:
    """A parser for whole numbers from `least` to 2^32 - 1; raises ValueError with half a sentence."""

    def parse(text: str) -> int:
        digits = text.isascii() and text.isdigit() and len(text) <= 10
        if not digits or not least <= int(text) < 2**32:
            raise ValueError(f"must be a whole number from {least} up")
        return int(text)

    return parse


def number(least: float, most: float) -> Callable[[str], float]:
    """A parser for numbers between two bounds; raises ValueError with half a sentence."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise ValueError(f"must be a number from {least:g} to {most:g}")
        return value

    return parse


@dataclass(frozen=True, slots=True)
class Field:
    """One setting; where it may be empty, an empty text means None."""

    key: str
    label: str
    help: str
    parse: Callable[[str], float | int]
    may_be_empty: bool = False


FIELDS: Final = (
    Field("temperature", "Temperature", "0 is greedy", number(0, 5)),
    Field("top_p", "Top-p", "nucleus; 1 is off", number(0.01, 1)),
    Field("top_k", "Top-k", "1 is greedy, 0 is off", whole(0)),
    Field("seed", "Seed", "empty: a new one each time", whole(0), may_be_empty=True),
    Field("max_tokens", "Max tokens", "empty: to the window's end", whole(1), may_be_empty=True),
)


def as_texts(settings: ChatSettings) -> dict[str, str]:
    """Each field's value as its input shows it."""
    values = asdict(settings)
    return {f.key: "" if values[f.key] is None else str(values[f.key]) for f in FIELDS}


def parse_all(texts: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that are right, and for each wrong one a sentence, both by key."""
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for field in FIELDS:
        text = texts[field.key].strip()
        try:
            values[field.key] = None if not text and field.may_be_empty else field.parse(text)
        except ValueError as error:
            faults[field.key] = f"{field.label} {error}."
    return values, faults
