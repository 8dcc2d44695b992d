"""What is to be measured, as a form: how each field is named, read and kept between sessions. Knows no Textual."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from npurun_tui.bench import plan as plans
from npurun_tui.bench.plan import MAX_TOKENS, Plan
from npurun_tui.errors import UsageError
from npurun_tui.screens.form import Field

LONGEST: Final = 24 * 3600
"""Seconds of a stress run."""
MOST_TOKENS: Final = 1_048_576
_WHOLE_WINDOW: Final = ("max", "window")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Setup:
    """Who is asked what. An empty model is the first one that is here."""

    model: str = ""
    baseline: str = ""
    """Another model's name, or an endpoint's address; empty for none."""
    plan: Plan = field(default_factory=Plan)


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise ValueError(f"must be a whole number from {least:,} to {most:,}")
        if not least <= int(text) <= most:
            raise ValueError(f"must be from {least:,} to {most:,}")
        return int(text)

    return parse


def _numbers(most: int, *words: str, word_is: int = 0) -> Callable[[str], tuple[int, ...]]:
    """Whole numbers with spaces or commas between; each of `words` stands for `word_is`."""
    one = _number(1, most)

    def parse(text: str) -> tuple[int, ...]:
        parts = text.replace(",", " ").split()
        found = (word_is if part.lower() in words else one(part) for part in parts)
        return tuple(dict.fromkeys(found))

    return parse


def _some(parse: Callable[[str], tuple[int, ...]]) -> Callable[[str], tuple[int, ...]]:
    def parsed(text: str) -> tuple[int, ...]:
        found = parse(text)
        if not found:
            raise ValueError("must not be empty")
        return found

    return parsed


def _prompts(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.replace(",", " ").split()))
    known = built_in()
    for name in names:
        if name not in known:
            raise ValueError(f"has no prompt {name[:40]!r}; there are: {', '.join(known)}")
    return names


def _seconds(text: str) -> float:
    """`90`, `90s`, `5m`, `1h`; empty is none."""
    text = text.strip().lower()
    if not text:
        return 0.0
    unit = _UNITS.get(text[-1], 0)
    digits = text[:-1].strip() if unit else text
    if not (digits.isascii() and digits.isdigit() and len(digits) < 7):
        raise ValueError("must be a time such as 300, 5m or 1h")
    seconds = int(digits) * (unit or 1)
    if seconds > LONGEST:
        raise ValueError("can be 24h at most")
    return float(seconds)


FIELDS: Final = (
    Field("baseline", "Against", "a model's name, or an address", str),
    Field("prompts", "Prompts", "names; see F1; empty is all", _prompts),
    Field("text", "Own prompt", "any text", str),
    Field("lengths", "Lengths", "a sweep: 32 128 512 max", _numbers(MOST_TOKENS, *_WHOLE_WINDOW)),
    Field("outputs", "Answers", "tokens at most: 128 512", _some(_numbers(MOST_TOKENS))),
    Field("contexts", "Windows", "to load it with: 2048 own", _numbers(MOST_TOKENS, "own")),
    Field("repeats", "Repeats", "of all of it", _number(1, 100_000)),
    Field("warmups", "Warm-ups", "after each load, left out", _number(0, 1000)),
    Field("duration_s", "Stress", "instead of repeats: 5m, 1h", _seconds),
    Field("turns", "Turns", "of a conversation; 0: none", _number(0, 1000)),
)


def built_in() -> Mapping[str, str]:
    """The prompts that have a name, with their texts."""
    from npurun_tui.bench.prompts import BUILT_IN

    return BUILT_IN


def as_texts(setup: Setup) -> dict[str, str]:
    """What the fields show."""
    plan, known = setup.plan, built_in()
    named = [prompt for prompt in plan.prompts if prompt in known]
    own = [prompt for prompt in plan.prompts if prompt not in known]
    return {
        "baseline": setup.baseline,
        "prompts": " ".join(named),
        "text": own[0] if own else "",
        "lengths": _listed(plan.lengths, "max"),
        "outputs": _listed(plan.outputs, ""),
        "contexts": "" if plan.contexts == (0,) else _listed(plan.contexts, "own"),
        "repeats": str(plan.repeats),
        "warmups": str(plan.warmups),
        "duration_s": _time(plan.duration_s),
        "turns": str(plan.turns),
    }


def _listed(numbers: Sequence[int], zero: str) -> str:
    return " ".join(str(number) if number else zero for number in numbers)


def _time(seconds: float) -> str:
    whole = int(seconds)
    if not whole:
        return ""
    unit = next(unit for unit in "hms" if whole % _UNITS[unit] == 0)
    return f"{whole // _UNITS[unit]}{unit}"


def checked(
    model: str, texts: Mapping[str, str], *, energy: bool, before: Plan
) -> tuple[Setup, dict[str, str]]:
    """The new set-up, and what is wrong by the fields' keys; with faults the set-up means nothing."""
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for one in FIELDS:
        try:
            values[one.key] = one.parse(texts[one.key].strip())
        except ValueError as error:
            faults[one.key] = f"{one.label} {error}."
    if faults:
        return Setup(model), faults
    baseline, text = values.pop("baseline"), values.pop("text")
    prompts = (*values.pop("prompts"), *((text,) if text else ()))
    values["contexts"] = values["contexts"] or (0,)
    plan = replace(before, prompts=prompts, energy=energy, **values)
    try:
        return Setup(model, baseline, plans.checked(plan)), {}
    except UsageError as error:  # of all of it together, such as too many runs
        return Setup(model), {"repeats": str(error)}


# --- kept between sessions ---------------------------------------------------------------------


def dump(setup: Setup) -> str:
    """The set-up as one line of JSON."""
    texts = as_texts(setup)
    return json.dumps({"model": setup.model, "energy": setup.plan.energy, **texts})


def load(text: str) -> Setup:
    """What `dump` has written; the usual bench where it is not that. A file is not believed: its fields are parsed
    as if they were typed."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return Setup()
    if not isinstance(found, dict):
        return Setup()
    usual = as_texts(Setup())
    texts = {
        key: value if isinstance(value := found.get(key), str) else usual[key] for key in usual
    }
    model = found.get("model")
    setup, faults = checked(
        model if isinstance(model, str) else "",
        texts,
        energy=found.get("energy") is not False,
        before=Plan(outputs=(MAX_TOKENS,)),
    )
    return Setup() if faults else setup
