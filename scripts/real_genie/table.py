"""The answers side by side, and where they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.genie_abi.items import ITEMS
from tests.genie_abi.items.parent import Outcome, Run


@dataclass(frozen=True, slots=True)
class Difference:
    """One question that got two answers."""

    number: str
    api: str
    label: str
    real: str
    ours: str


def lines(runs: Mapping[tuple[str, str], Run]) -> Iterator[str]:
    """The table. Runs go by (`real` or `ours`, API version)."""
    columns = list(runs)
    heads = [f"{who} {api}" for who, api in columns]
    yield _row("item", "statement", heads)
    for number, item in ITEMS.items():
        cells = [_cell(runs[column].outcomes.get(number)) for column in columns]
        if any(cells):
            yield _row(number, item.words, cells)
    totals = [_total(runs[column]) for column in columns]
    yield _row("", "observations as they should be", totals)


def _row(number: str, words: str, cells: list[str]) -> str:
    words = words if len(words) <= 62 else f"{words[:61]}…"
    return f"{number:<5}{words:<64}" + "".join(f"{cell:>12}" for cell in cells).rstrip()


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    if outcome.failure:
        return "DIED"
    right = len(outcome.seen) - len(outcome.wrong)
    return f"{right}/{len(outcome.seen)}"


def _total(run: Run) -> str:
    seen = sum(len(outcome.seen) for outcome in run.outcomes.values())
    wrong = sum(len(outcome.wrong) for outcome in run.outcomes.values())
    return f"{seen - wrong}/{seen}"


def faults(runs: Mapping[tuple[str, str], Run]) -> Iterator[str]:
    """What died or is not as it should be, a line each."""
    for (who, api), run in runs.items():
        for number, outcome in run.outcomes.items():
            if outcome.failure:
                yield f"{who} {api}, item {number}: {outcome.failure}"
            for seen in outcome.wrong:
                yield (
                    f"{who} {api}, item {number}, {seen.label}: "
                    f"{_shown(seen.observed)}, should be {_shown(seen.expected)}"
                )


def differences(runs: Mapping[tuple[str, str], Run]) -> Iterator[Difference]:
    """Where the real library and ours, claiming the same version, gave different answers."""
    for (who, api), real in runs.items():
        ours = runs.get(("ours", api))
        if who != "real" or ours is None:
            continue
        for number, outcome in real.outcomes.items():
            if number in ours.outcomes:
                yield from _of_item(api, outcome, ours.outcomes[number])


def _of_item(api: str, real: Outcome, ours: Outcome) -> Iterator[Difference]:
    theirs = _answers(real)
    mine = _answers(ours)
    for label in theirs | mine:
        one, other = theirs.get(label, "nothing"), mine.get(label, "nothing")
        if one != other:
            yield Difference(real.number, api, label, one, other)


def _answers(outcome: Outcome) -> dict[str, str]:
    if outcome.failure:
        return {"the process": outcome.failure}
    return {seen.label: _shown(seen.observed) for seen in outcome.seen}


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
