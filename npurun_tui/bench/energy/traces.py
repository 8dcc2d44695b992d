"""What one source has told of power over time, as stretches of constant power.

A counter's stretch lies between two of its values and has their difference: the sum over a span is the counter's own,
and only at the span's ends it is divided in proportion. A gauge's stretch lies around its reading.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, TypeVar

T = TypeVar("T")

Span = tuple[float, float]
"""From and to, seconds on the session's clock."""

STILL: Final = 6
"""Readings of one value, after which a counter that never moved is taken for one that does not count."""
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
    def tells(self) -> bool:
        """It has told something; of a counter, something else than one value again and again."""
        moved = any(len(piece) > 1 for piece in self._pieces)
        return moved or (bool(self._pieces) and self.idle_reads < STILL)

    @property
    def last_watts(self) -> float | None:
        """Power as of the last reading; None where it is not known, or not any more."""
        if not self._open or not self._pieces[-1]:
            return None
        piece = self._pieces[-1]
        if not self.counts:
            return piece[-1][1]
        if len(piece) < 3:  # nobody knows when it moved before its first reading
            return None
        (before, less), (after, more) = piece[-2:]
        return (more - less) / (after - before) if after > before else None

    def stretches(self) -> list[list[Stretch]]:
        """The pieces between cuts, none of which overlap; those with too few readings are left out."""
        pieces = [made for piece in list(self._pieces) if (made := self._made(list(piece)))]
        for before, after in pairwise(pieces):
            _keep_apart(before, after)
        return pieces

    def _made(self, points: list[tuple[float, float]]) -> list[Stretch]:
        if not self.counts:
            return _gauged(points)
        # Nobody knows when a slow one moved before its first reading: its first step would be a spike of up to twice
        # the power.
        return _counted(points[1:] if self.idle_reads else points)


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


def _keep_apart(before: list[Stretch], after: list[Stretch]) -> None:
    """Where the reaches of two pieces meet, each keeps half; twice counted it would be energy that nobody used."""
    last, first = before[-1], after[0]
    if last.end > first.start:
        middle = max(last.start, min((last.end + first.start) / 2, first.end))
        before[-1] = Stretch(last.start, middle, last.watts)
        after[0] = Stretch(middle, first.end, first.watts)


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


def _start(stretch: Stretch) -> float:
    return stretch.start


def _beginning(piece: list[Stretch]) -> float:
    return piece[0].start


def _touched(rows: Sequence[T], span: Span, begins: Callable[[T], float]) -> Sequence[T]:
    """Those of `rows`, which follow each other, that may have a part in `span`."""
    first = bisect_right(rows, span[0], key=begins) - 1
    return rows[max(0, first) : bisect_left(rows, span[1], key=begins)]


def part_of(pieces: Sequence[list[Stretch]], spans: Iterable[Span]) -> Part:
    """What lies in `spans`, which do not overlap, of `pieces` in the order of time, which do not either.

    A day of short runs has 40,000 spans and 170,000 stretches, so they are looked up and not gone through.
    """
    chosen = []
    for span in spans:
        for piece in _touched(pieces, span, _beginning):
            inside = tuple(
                (seconds, stretch.watts)
                for stretch in _touched(piece, span, _start)
                if (seconds := stretch.within(span)) > 0
            )
            if inside:
                chosen.append(inside)
    seconds = sum(each for piece in chosen for each, _ in piece)
    joules = sum(each * watts for piece in chosen for each, watts in piece)
    return Part(seconds, joules, tuple(chosen))
