"""Requests as a server elsewhere tells of them, each value checked: what is shown of them was written by strangers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

from npurun_tui.attach.answer import figure, whole
from npurun_tui.storage.requests import RequestRow

LONGEST: Final = 2000
"""Characters of a text."""


@dataclass(frozen=True, slots=True)
class RemoteRequest:
    """One request there."""

    row: RequestRow
    live: bool
    phase: str
    ahead: int
    read: float
    """Share of the prompt that is read, 0 to 1."""


def request_of(entry: dict[str, Any]) -> RemoteRequest | None:
    """The request in a JSON object; None where it has no id. What cannot be is left out."""
    values = {
        field.name: _value(entry.get(field.name), str(field.type)) for field in fields(RequestRow)
    }
    row = RequestRow(**values)
    if not row.request_id:
        return None
    phase = entry.get("phase")
    return RemoteRequest(
        row,
        entry.get("live") is True,
        phase if isinstance(phase, str) else "",
        whole(entry.get("ahead")) or 0,
        min(figure(entry.get("read")) or 0.0, 1.0),
    )


def _value(value: object, kind: str) -> Any:
    """`value` as a field of that type; its emptiest one where it is something else."""
    read = _READ.get(kind)
    return read(value) if read is not None else None


def _moment(value: object) -> float:
    """Unix seconds that a calendar has."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value < 2**36 else 0.0


_READ: Final[dict[str, Callable[[object], Any]]] = {
    "str": lambda value: value[:LONGEST] if isinstance(value, str) else "",
    "bool": lambda value: value is True,
    "int": lambda value: whole(value) or 0,
    "int | None": whole,
    "float": _moment,
    "float | None": figure,
}
"""By a field's type as it is written; a body is none of these and never told."""
