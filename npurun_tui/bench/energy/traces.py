"""What one source has told of power over time, as stretches of constant power.

A counter's stretch lies between two of its values and has their difference: the sum over a span is the counter's own,
and only at the span's ends it is divided in proportion. A gauge's stretch lies around its reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

Span = tuple[float, float]
"""From and to, seconds on the session's clock."""

LONGEST_REACH: Final = 1.5
"""Seconds that a reading may stand for what nobody has read beyond it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Constant power."""

    start: float
    end: float
    watts: float

    def within(self, span: Span) -> float:
        """Seconds that lie in `span`."""
        return max(0.0, min(self.end, span[1]) - max(self.start, span[0]))


class Trace:
    """Readings of one source. `cut` says that what follows does not continue what was before."""

    def __init__(self, source: str, covers: str) -> None:
        """`covers` is what it is the power of, in words."""
        self.source = source
        self.covers = covers
        self.counts = False
        """It counts energy; else it tells power."""
        self.idle_reads = 0
        """Readings of a counter that had not moved: it is slower than it is asked."""
        self._pieces: list[list[tuple[float, float]]] = []
        self._open = False

    def add(self, at: float, *, watts: float | None = None, joules: float | None = None) -> None:
        """A reading: power, or a counter of energy; with neither it is a cut."""
        value = joules if joules is not None else watts
        if value is None:
            self.cut()
            return
        self.counts = joules is not None
        if not self._open:
            self._pieces.append([])
            self._open = True
        piece = self._pieces[-1]
        if self.counts and piece and piece[-1][1] == value:
            self.idle_reads += 1
            return
        piece.append((at, value))

    def cut(self) -> None:
        """What comes next is a new beginning."""
        self._open = False

    @property
    def last_watts(self) -> float | None:
        """Power as of the last reading; None where it is not known, or not any more."""
        if not self._open or not self._pieces[-1]:
            return None
        piece = self._pieces[-1]
        if not self.counts:
            return piece[-1][1]
        if len(piece) < 2:
            return None
        (before, less), (after, more) = piece[-2:]
        return (more - less) / (after - before) if after > before else None

    def stretches(self) -> list[list[Stretch]]:
        """The pieces between cuts; those with too few readings are left out."""
        make = _counted if self.counts else _gauged
        return [made for piece in list(self._pieces) if (made := make(list(piece)))]


def _counted(points: list[tuple[float, float]]) -> list[Stretch]:
    stretches = [
        Stretch(before, after, (more - less) / (after - before))
        for (before, less), (after, more) in pairwise(points)
        if after > before
    ]
    return _reaching(stretches, _reach(points)) if stretches else []


def _gauged(points: list[tuple[float, float]]) -> list[Stretch]:
    if len(points) < 2:
        return []
    middles = [(before + after) / 2 for (before, _), (after, _) in pairwise(points)]
    edges = [points[0][0], *middles, points[-1][0]]
    stretches = [
        Stretch(start, end, watts)
        for (start, end), (_, watts) in zip(pairwise(edges), points, strict=True)
    ]
    return _reaching(stretches, _reach(points))


def _reach(points: list[tuple[float, float]]) -> float:
    return min(
        LONGEST_REACH, median(after - before for (before, _), (after, _) in pairwise(points))
    )


def _reaching(stretches: list[Stretch], reach: float) -> list[Stretch]:
    """A bench begins a moment before the first reading and ends a moment after the last."""
    first, last = stretches[0], stretches[-1]
    stretches[0] = Stretch(first.start - reach, first.end, first.watts)
    last = stretches[-1]
    stretches[-1] = Stretch(last.start, last.end + reach, last.watts)
    return stretches


@dataclass(frozen=True, slots=True)
class Part:
    """What lies in some spans."""

    seconds: float
    joules: float
    pieces: tuple[tuple[tuple[float, float], ...], ...]
    """Seconds and watts of the stretches, one after the other in each piece."""

    @property
    def watts(self) -> float:
        """Mean power; 0 of nothing."""
        return self.joules / self.seconds if self.seconds else 0.0

    @property
    def readings(self) -> int:
        """How many values of power there are."""
        return sum(len(piece) for piece in self.pieces)


def part_of(pieces: Iterable[list[Stretch]], spans: Iterable[Span]) -> Part:
    """What lies in `spans`, which do not overlap."""
    chosen = []
    for span in spans:
        for piece in pieces:
            inside = tuple(
                (seconds, stretch.watts)
                for stretch in piece
                if (seconds := stretch.within(span)) > 0
            )
            if inside:
                chosen.append(inside)
    seconds = sum(each for piece in chosen for each, _ in piece)
    joules = sum(each * watts for piece in chosen for each, watts in piece)
    return Part(seconds, joules, tuple(chosen))
