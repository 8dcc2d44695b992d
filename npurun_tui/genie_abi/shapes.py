"""A small language for closed JSON objects, with Genie's two kinds of refusal: wrong structure, and wrong value.

Up to API 1.20 they are -8 and -9; from 1.21 on Genie validates with a JSON schema, and both are -8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from npurun_tui.engine.dialog import Status
from npurun_tui.genie_abi.failure import AbiError
from npurun_tui.genie_abi.library import RELEASES

Check = Callable[["Place", Any], None]
"""Checks a value; raises AbiError."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the document, and for which release."""

    path: str
    release: str

    def __truediv__(self, key: object) -> Place:
        return Place(f"{self.path}/{key}" if self.path else str(key), self.release)

    @property
    def strict(self) -> bool:
        """The release validates with a JSON schema."""
        return RELEASES[self.release] >= (1, 21, 0)

    def structure(self, words: str) -> AbiError:
        """-8."""
        return AbiError(Status.ERROR_JSON_SCHEMA, f"Invalid config at {self.path}: {words}.")

    def value(self, words: str) -> AbiError:
        """-9, or -8 where everything is schema."""
        status = Status.ERROR_JSON_SCHEMA if self.strict else Status.ERROR_JSON_VALUE
        return AbiError(status, f"Invalid config at {self.path}: {words}.")


def is_int(value: object) -> bool:
    """JSON's integers; booleans are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def integer(place: Place, value: Any) -> None:
    """Any integer."""
    if not is_int(value):
        raise place.structure("it must be an integer")


def count(place: Place, value: Any) -> None:
    """An integer, 0 or more."""
    integer(place, value)
    if value < 0:
        raise place.value("it must not be negative")


def number(place: Place, value: Any) -> None:
    """Any number."""
    if not is_int(value) and not isinstance(value, float):
        raise place.structure("it must be a number")


def boolean(place: Place, value: Any) -> None:
    """true or false."""
    if not isinstance(value, bool):
        raise place.structure("it must be true or false")


def text(place: Place, value: Any) -> None:
    """Any string."""
    if not isinstance(value, str):
        raise place.structure("it must be a string")


def anything(place: Place, value: Any) -> None:
    """Whatever it is."""


def one(place: Place, value: Any) -> None:
    """A version: 1."""
    integer(place, value)
    if value != 1:
        raise place.value("only version 1 is known")


def choice(*words: str, structural: bool = False) -> Check:
    """One of `words`; `structural` where anything else is a wrong structure in every release."""

    def check(place: Place, value: Any) -> None:
        text(place, value)
        if value not in words:
            sentence = f"it must be one of {', '.join(words)}"
            raise place.structure(sentence) if structural else place.value(sentence)

    return check


def listing(item: Check, *, filled: bool = False, by_value: bool = False) -> Check:
    """An array of `item`; `filled`: not an empty one; `by_value`: a wrong item is a wrong value."""

    def check(place: Place, value: Any) -> None:
        if not isinstance(value, list):
            raise place.structure("it must be an array")
        if filled and not value:
            raise place.value("it must not be empty")
        for index, each in enumerate(value):
            try:
                item(place / index, each)
            except AbiError as error:
                if by_value:
                    raise (place / index).value("it is of the wrong kind") from error
                raise

    return check


@dataclass(frozen=True, slots=True)
class Shape:
    """A closed object. `since` holds keys that only some releases know."""

    required: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)
    since: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Key to the releases that know it; absent: all."""
    also: tuple[Callable[[Place, dict[str, Any]], None], ...] = ()
    """Rules over several keys."""

    def __call__(self, place: Place, value: Any) -> None:
        """Check `value`."""
        if not isinstance(value, dict):
            raise place.structure("it must be an object")
        for key in value:
            known = key in self.required or key in self.optional
            if not known or place.release not in self.since.get(key, tuple(RELEASES)):
                raise (place / key).structure("unknown key")
        for key in self.required:
            if key not in value:
                raise (place / key).structure("it is missing")
        for key, each in value.items():
            check = self.required.get(key) or self.optional[key]
            check(place / key, each)
        for rule in self.also:
            rule(place, value)
