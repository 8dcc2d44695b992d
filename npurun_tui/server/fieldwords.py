"""What is wrong with a field of a body, in words of ours: msgspec speaks of Python's types, to whoever decodes.

It has no other way to tell than its text (msgspec 0.19 to 0.21, `_core.c`), so that is read here, in one place. What is
not recognised still names its field.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from npurun_tui.text import one_line

_AT: Final = re.compile(r" - at (?:`key` in )?`\$\.?([\w.\[\]-]*)`$")
"""Names of our fields and places in arrays only: what a client wrote is quoted before it, and may look like it."""
_KINDS: Final = re.compile(r"Expected `([a-z| ]+)`(?:, got `([a-z]+)`)?")
_MISSING: Final = re.compile(r"Object missing required field `(.+)`")
_VALUE: Final = re.compile(r"Invalid (?:enum )?value (.+)", re.DOTALL)

_WANTED: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_FOUND: Final = {**_WANTED, "int": "a number", "bool": "a boolean"}


class FieldWords(NamedTuple):
    """`path` is the field's (`messages[0].role`), empty where it is the whole body; `missing`: it is not there."""

    text: str
    path: str
    missing: bool = False


def field_words(text: str) -> FieldWords:
    """The sentence for msgspec's `text`: "Expected `int`, got `str` - at `$.max_tokens`"."""
    at = _AT.search(text)
    path = at.group(1) if at else ""
    reason = text[: at.start()] if at else text
    if missing := _MISSING.fullmatch(reason):
        path = f"{path}.{missing[1]}" if path else missing[1]
        return FieldWords(f"`{path}` is required.", path, missing=True)
    subject = f"`{path}`" if path else "The body"
    return FieldWords(f"{subject} {_predicate(reason)}.", path)


def _predicate(reason: str) -> str:
    if kinds := _KINDS.fullmatch(reason):
        wanted = kinds[1].split(" | ")
        but = f", not {_found(kinds[2], wanted)}" if kinds[2] else ""
        return f"must be {_listed(wanted)}{but}"
    if value := _VALUE.fullmatch(reason):
        return f"cannot be {one_line(value[1], 60)}"
    if reason == "Number out of range":
        return "is too large a number"
    return "has a value that cannot be taken here"


def _listed(kinds: list[str]) -> str:
    """`int | null` as people say it. A number is a whole one, too."""
    names = [_WANTED.get(kind, kind) for kind in kinds if kind != "int" or "float" not in kinds]
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _found(kind: str, wanted: list[str]) -> str:
    return "a fraction" if kind == "float" and "int" in wanted else _FOUND.get(kind, kind)
