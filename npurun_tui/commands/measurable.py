"""What a bench can measure on this machine beside times, or why not: a section of `doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from npurun_tui.bench.energy.here import Told, describe
from npurun_tui.commands.findings import Finding, Section, Sign


def measurable(told: Sequence[Told] | None = None) -> Section:
    """The section; `told` is of this machine where it is not given. Blocks for up to a second."""
    return Section("bench", "What a bench can measure", tuple(_findings(told or describe())))


def _findings(told: Sequence[Told]) -> Iterator[Finding]:
    yield _energy(told)
    for source in told:
        key = source.name.lower().replace(" ", "_")
        sign = Sign.GOOD if source.readable else Sign.NOTICE
        yield Finding(key, source.name, source.words, sign)


def _energy(told: Sequence[Told]) -> Finding:
    """By the source that a bench would take."""
    for source in told:
        if source.readable and source.covers:
            words = f"joules a token, by {source.name}: {source.words}"
            return Finding("energy", "energy", words)
    words = "not measurable here, and never estimated: none of these tells power"
    return Finding("energy", "energy", words, Sign.NOTICE)
