"""Typed reading of a JSON object that somebody else wrote: each wrong field is one sentence that names it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from npurun_tui.errors import ManifestInvalid
from npurun_tui.models.names import fault_of_relative_path
from npurun_tui.text import one_line

_MAX_FILE: Final = 1 << 20
U32: Final = 2**32 - 1
MAX_TEXT: Final = 500
MAX_ITEMS: Final = 1000
MAX_ADDRESS: Final = 2000
"""Characters of an address, wherever one is read: what a catalog may name, a manifest must be able to keep."""


class Fields:
    """One JSON object of a manifest. Every getter raises ManifestInvalid, naming the file and the field."""

    def __init__(self, file: Path, document: Mapping[str, Any], prefix: str = "") -> None:
        self._file = file
        self._document = document
        self._prefix = prefix

    def invalid(self, field: str, fault: str) -> ManifestInvalid:
        """The error for `field`; `fault` ends a sentence ("must be a text")."""
        return ManifestInvalid(
            f"{one_line(str(self._file), 400)}: {one_line(self._prefix + field, 100)} {fault}."
        )

    def text(self, field: str, *, default: str | None = None, limit: int = MAX_TEXT) -> str:
        """A text; without a `default` it must be there and not be empty."""
        value = self._document.get(field, default)
        if value is None and default is not None:
            value = default
        if not isinstance(value, str):
            raise self.invalid(field, "is missing" if value is None else "must be a text")
        if default is None and not value.strip():
            raise self.invalid(field, "is empty")
        if len(value) > limit:
            raise self.invalid(field, f"is longer than {limit:,} characters")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise self.invalid(field, "holds half of a surrogate pair")
        return value

    def number(self, field: str) -> int:
        """A whole number above 0 that fits 32 bits."""
        value = self._document.get(field)
        if value is None:
            raise self.invalid(field, "is missing")
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= U32:
            raise self.invalid(field, f"must be a whole number from 1 to {U32:,}")
        return value

    def bytes(self, field: str) -> int:
        """A file's size: a whole number, 0 or above, that every reader of JSON keeps exactly."""
        value = self._document.get(field)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
            raise self.invalid(field, "must be a number of bytes")
        return value

    def path(self, field: str) -> str:
        """A path inside the model's folder; empty where the field is absent or null."""
        if self._document.get(field) is None:
            return ""
        value = self.text(field, limit=4000)
        if fault := fault_of_relative_path(value):
            raise self.invalid(field, fault)
        return value

    def object(self, field: str) -> Fields:
        """A nested object; one without fields where it is absent or null."""
        value = self._document.get(field)
        if value is not None and not isinstance(value, dict):
            raise self.invalid(field, "must be an object")
        return Fields(self._file, value or {}, f"{self._prefix}{field}.")

    def numbers(self, field: str) -> tuple[int, ...]:
        """A list of whole numbers above 0; empty where the field is absent or null."""
        values = self._list(field)
        for value in values:
            if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= U32:
                raise self.invalid(field, "must be a list of whole numbers above 0")
        return tuple(values)

    def objects(self, field: str) -> list[Fields]:
        """A list of objects; empty where the field is absent or null."""
        values = self._list(field)
        if not all(isinstance(value, dict) for value in values):
            raise self.invalid(field, "must be a list of objects")
        return [
            Fields(self._file, value, f"{self._prefix}{field}[{index}].")
            for index, value in enumerate(values)
        ]

    def switch(self, field: str) -> bool | None:
        """True, False, or None where the field is absent or null."""
        value = self._document.get(field)
        if value is not None and not isinstance(value, bool):
            raise self.invalid(field, "must be true or false")
        return value

    def _list(self, field: str) -> list[Any]:
        value = self._document.get(field)
        if value is not None and not isinstance(value, list):
            raise self.invalid(field, "must be a list")
        if value and len(value) > MAX_ITEMS:
            raise self.invalid(field, f"has more than {MAX_ITEMS:,} entries")
        return value or []

    def has(self, field: str) -> bool:
        """Whether the field is there and is not null."""
        return self._document.get(field) is not None

    def names(self) -> list[str]:
        """The names of the fields that are there."""
        return list(self._document)


def load_object(file: Path) -> dict[str, Any]:
    """The JSON object in `file`. A BOM is accepted: Windows editors write one. Raises ManifestInvalid."""
    shown = one_line(str(file), 400)
    try:
        if file.exists() and not file.is_file():  # opening a named pipe would wait for ever
            raise ManifestInvalid(f"{shown} is not a file.")
        with file.open("rb") as stream:
            data = stream.read(_MAX_FILE + 1)
    except FileNotFoundError:
        raise ManifestInvalid(f"{shown} is missing.") from None
    except OSError as error:
        raise ManifestInvalid(f"{shown} cannot be read: {error.strerror or error}.") from error
    if len(data) > _MAX_FILE:
        raise ManifestInvalid(f"{shown} is larger than 1 MB, so it is not a manifest.")
    try:
        document = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise ManifestInvalid(f"{shown} is not UTF-8 text.") from None
    except RecursionError:
        raise ManifestInvalid(f"{shown} nests its values too deeply.") from None
    except json.JSONDecodeError as error:
        raise ManifestInvalid(f"{shown} is not JSON: {error.msg} in line {error.lineno}.") from None
    except ValueError:  # a number of thousands of digits, or NaN
        raise ManifestInvalid(f"{shown} holds a number that is none.") from None
    if not isinstance(document, dict):
        raise ManifestInvalid(f"{shown} must hold one JSON object.")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
