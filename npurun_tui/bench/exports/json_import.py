"""A session from the JSON that `json_export` writes. Such a file comes from anywhere: nothing of it is believed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from npurun_tui.bench.exports.json_export import FORM
from npurun_tui.bench.exports.reading import read_bytes
from npurun_tui.bench.exports.writing import shown
from npurun_tui.bench.records import Session
from npurun_tui.errors import BenchFileInvalid
from npurun_tui.server.fieldwords import field_words
from npurun_tui.text import one_line

_LAST_SECOND: Final = 253402300799  # of the year 9999, the last that `datetime` knows
_LARGEST: Final = 1e15
"""No time, rate, count or energy comes near; past 2**53 a float is no whole number any more."""
_LONGEST: Final = 1 << 20
"""Characters of one text."""
_FIGURES: Final = ("ttft_ms", "prefill_tps", "decode_tps")


def read_session(path: Path) -> Session:
    """The session in the file at `path`. Blocking.

    Raises:
        BenchFileInvalid: it cannot be read, or holds no session.
    """
    data = read_bytes(path)
    try:
        return session_of(msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BenchFileInvalid(f"{shown(path)} is no JSON.") from error
    except BenchFileInvalid as error:
        raise BenchFileInvalid(f"{shown(path)}: {error.message}", mend=error.mend) from error


def session_of(document: object) -> Session:
    """The session in a document of `bench_document`, checked.

    Raises:
        BenchFileInvalid: it is none, is of a newer form, or says what cannot be.
    """
    if not isinstance(document, dict):
        raise BenchFileInvalid("This is no bench: it has to be a JSON object.")
    form = document.get("form", FORM)
    if form != FORM:
        raise BenchFileInvalid(
            f"This bench has form {one_line(repr(form), 20)}, and this version reads form {FORM}.",
            mend="Update npurun-tui.",
        )
    try:
        session = msgspec.convert(_records(document), Session)
    except msgspec.ValidationError as error:
        raise BenchFileInvalid(f"This is no bench: {_reason(error)}") from error
    _check(session)
    return session


def _reason(error: msgspec.ValidationError) -> str:
    """In our words, and with the field's name in the file instead of that in `records`."""
    words = field_words(str(error)).text
    for ours, theirs in (("sides[0].", ""), ("sides[1].", "baseline."), (".host.", ".")):
        words = words.replace(ours, theirs)
    return one_line(words.replace(".key`", ".side`").replace("`key`", "`side`"))


def _records(document: dict[str, Any]) -> dict[str, Any]:
    """The document as `records` has it: both sides' runs in the order in which they were asked, and flat runs with
    their figures under `host`."""
    parts = [document]
    if isinstance(baseline := document.get("baseline"), dict):
        parts.append(baseline)
    runs: list[Any] = []
    for part in parts:
        found = part.get("runs", [])
        if not isinstance(found, list):
            raise BenchFileInvalid("This is no bench: `runs` must be an array.")
        runs += map(_nested, found)
    energy = (part.get("energy") for part in parts)
    return {
        **document,
        "sides": [{**part, "key": part["side"]} if "side" in part else part for part in parts],
        "runs": sorted(runs, key=_began),
        "energy": [item for item in energy if item is not None],
    }


def _nested(run: object) -> object:
    if not isinstance(run, dict):
        return run
    engine = run.get("engine")
    return {
        **run,
        "host": {name: run.get(name) for name in _FIGURES},
        "engine": dict.fromkeys(_FIGURES) if engine is None else engine,
    }


def _began(run: object) -> float:
    began = run.get("began_s") if isinstance(run, dict) else None
    return began if isinstance(began, int | float) else 0.0


# --- what types do not say -----------------------------------------------------------------------


def _check(session: Session) -> None:
    keys = [side.key for side in session.sides]
    if len(set(keys)) != len(keys):
        raise BenchFileInvalid("This is no bench: its sides are called the same.")
    for name, parts in (
        ("runs", session.runs),
        ("loads", session.loads),
        ("energy", session.energy),
    ):
        strays: Iterable[str] = (part.side for part in parts if part.side not in keys)
        if (stray := next(iter(strays), None)) is not None:
            raise BenchFileInvalid(
                f"This is no bench: `{name}` names a side {one_line(stray, 20)!r} that is not there."
            )
    if not 0 <= session.began <= _LAST_SECOND:
        raise BenchFileInvalid("This is no bench: `began` is no time.")
    _check_values(session, "")


def _check_values(value: object, path: str) -> None:
    """Every number of a size that can be drawn; every text of a length that can be shown."""
    if isinstance(value, int | float):
        if not -_LARGEST <= value <= _LARGEST:
            raise BenchFileInvalid(f"This is no bench: `{path}` is too large a number.")
    elif isinstance(value, str):
        if len(value) > _LONGEST:
            raise BenchFileInvalid(f"This is no bench: `{path}` is too long a text.")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            _check_values(item, f"{path}[{index}]")
    elif is_dataclass(value):
        for part in fields(value):
            _check_values(getattr(value, part.name), f"{path}.{part.name}".lstrip("."))
