"""The graphs inside a bundle's context binaries, read from their names.

A context binary holds a graph for each pair of prefill width and context length it was compiled for, and the name says
which: `prompt_ar128_cl4096_1_of_4`, `token_ar1_cl512_1_of_4`, in older bundles `ar128_cl4096_1_of_4`. The format is
not public, so the file is searched for such names and nothing else in it is believed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
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


def read_graphs(file: Path, check: Callable[[], None] = lambda: None) -> Graphs:
    """The graphs named in the context binary `file`; none where it names none. Blocking; a second for each GB at most.

    `check` is called between the slices, and what it raises ends the search. Raises OSError where it cannot be read.
    """
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        found: set[tuple[bytes, int, int]] = set()
        for start, end in ((0, min(_EDGE, size)), (max(_EDGE, size - _EDGE), size)):
            _search(stream, start, end, found, check)
        if not found and size > 2 * _EDGE:
            _search(stream, _EDGE, size - _EDGE, found, check)
    return Graphs(
        tuple(sorted({context for _, _, context in found})),
        tuple(sorted({width for _, width, _ in found})),
        any(stage for stage, _, _ in found),
    )


def _search(
    stream: BinaryIO,
    start: int,
    end: int,
    found: set[tuple[bytes, int, int]],
    check: Callable[[], None],
) -> None:
    """Add the names between `start` and `end`, slice by slice: a name that lies across a border is seen too."""
    stream.seek(start)
    before = b""
    while start < end and len(found) < _MOST:
        check()
        data = stream.read(min(_SLICE, end - start))
        if not data:
            return
        start += len(data)
        whole = before + data
        for match in _NAME.finditer(whole):
            width, context = int(match[1]), int(match[2])
            ends_here = match.end() == len(whole) and start < end
            if width and context >= width and not ends_here and len(found) < _MOST:
                stage = whole[max(0, match.start() - _STAGE) : match.start()]
                found.add((next((s for s in _STAGES if stage.endswith(s)), b""), width, context))
        before = whole[-_LONGEST:]
