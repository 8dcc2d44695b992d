"""The graphs inside a bundle's context binaries, read from their names.

A context binary holds a graph for each pair of prefill width and context length it was compiled for, and the name says
which: `prompt_ar128_cl4096_1_of_4`, `token_ar1_cl512_1_of_4`, in older bundles `ar128_cl4096_1_of_4`. The format is
not public, so the file is searched for such names and nothing else in it is believed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

_NAME: Final = re.compile(rb"ar(\d{1,5})_cl(\d{1,7})(?!\d)")
"""It begins with letters that stand in every name: a pattern with an optional beginning is tried at every byte."""
_STAGES: Final = (b"prompt_", b"token_")
_STAGE: Final = max(map(len, _STAGES))
_LONGEST: Final = 64
"""Bytes that are looked at again with the next slice: more than a name has."""
_SLICE: Final = 1 << 20
_EDGE: Final = 16 << 20
"""Bytes at either end that are searched first: names stand in a table, and a shard is a gigabyte."""
_MOST: Final = 4096
"""Names that are believed in one file; a hostile one could be made of nothing else."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """What the names say. Counts are tokens."""

    contexts: tuple[int, ...] = ()
    """The compiled context lengths ("tiers"), ascending."""
    widths: tuple[int, ...] = ()
    """The numbers of tokens that a graph takes at once, ascending: 1 for decode, 128 for prefill."""
    staged: bool = False
    """Names say `prompt_` and `token_`: the runtime has to be told to switch between them."""

    @property
    def multi(self) -> bool:
        """True where the runtime must switch graphs: stages by name, or several context lengths."""
        return self.staged or len(self.contexts) > 1

    @property
    def prefill_width(self) -> int:
        """The widest graph; 0 where nothing is known."""
        return self.widths[-1] if self.widths else 0


def read_graphs(files: Sequence[Path], check: Callable[[], None] = lambda: None) -> Graphs:
    """The graphs named in a bundle's context binaries; none where they name none. Blocking; a second for each GB at
    most.

    All shards of a model are compiled for the same graphs, so the first one that names any speaks for the others. Where
    none does at its ends, the first is searched whole.

    `check` is called between the slices, and what it raises ends the search. Raises OSError where one cannot be read.
    """
    for file in files:
        if graphs := _read(file, check, whole=False):
            return graphs
    return (_read(files[0], check, whole=True) if files else None) or Graphs()


def _read(file: Path, check: Callable[[], None], *, whole: bool) -> Graphs | None:
    with file.open("rb") as stream:
        search = _Search(stream, check)
        head, tail = min(_EDGE, search.size), max(_EDGE, search.size - _EDGE)
        search.between(0, head)
        search.between(tail, search.size)
        if tail > head and (search.reaches(head) or search.reaches(tail) or whole):
            search.between(head, tail)
    found = search.found
    if not found:
        return None
    return Graphs(
        tuple(sorted({context for _, _, context in found})),
        tuple(sorted({width for _, width, _ in found})),
        any(stage for stage, _, _ in found),
    )


class _Search:
    """The names found so far in one file."""

    def __init__(self, stream: BinaryIO, check: Callable[[], None]) -> None:
        self._stream = stream
        self._check = check
        self._slices: set[int] = set()
        """Where names stand, in slices from the file's beginning."""
        self.size = stream.seek(0, os.SEEK_END)
        self.found: set[tuple[bytes, int, int]] = set()

    def reaches(self, place: int) -> bool:
        """Whether a name stands so close to `place` that the table of them may go on behind it."""
        return not self._slices.isdisjoint({place // _SLICE + step for step in (-1, 0, 1)})

    def between(self, start: int, end: int) -> None:
        """Add the names between two places, slice by slice. A name that lies across the border of a slice, or across
        either place, is seen whole."""
        place = max(0, start - _LONGEST)
        end = min(end + _LONGEST, self.size)
        self._stream.seek(place)
        before = b""
        while place < end and len(self.found) < _MOST:
            self._check()
            data = self._stream.read(min(_SLICE, end - place))
            if not data:
                return
            self._take(before + data, place - len(before), ends=place + len(data) >= self.size)
            place += len(data)
            before = (before + data)[-_LONGEST:]

    def _take(self, data: bytes, place: int, *, ends: bool) -> None:
        """Add the names in `data`, which lies at `place`; `ends` says that the file does with it."""
        for match in _NAME.finditer(data):
            width, context = int(match[1]), int(match[2])
            more_follows = match.end() == len(data) and not ends  # of its number
            if width and context >= width and not more_follows and len(self.found) < _MOST:
                stage = data[max(0, match.start() - _STAGE) : match.start()]
                said = next((s for s in _STAGES if stage.endswith(s)), b"")
                self.found.add((said, width, context))
                self._slices.add((place + match.start()) // _SLICE)
