"""The graphs inside a bundle's context binaries, read from their names.

A context binary holds a graph for each pair of prefill width and context length it was compiled for, and the name says
which: `prompt_ar128_cl4096_1_of_4`, `token_ar1_cl512_1_of_4`, in older bundles `ar128_cl4096_1_of_4`. The format is
not public, so the file is searched for such names and nothing else in it is believed.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(rb"(prompt_|token_)?ar(\d{1,5})_cl(\d{1,7})(?!\d)")
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


def read_graphs(file: Path) -> Graphs:
    """The graphs named in the context binary `file`; none where it names none.

    Raises:
        OSError: it cannot be read.
    """
    if not file.stat().st_size:
        return Graphs()
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        size = len(data)
        found = _search(data, 0, min(_EDGE, size)) | _search(data, max(0, size - _EDGE), size)
        if not found and size > 2 * _EDGE:
            found = _search(data, 0, size)
    return Graphs(
        tuple(sorted({context for _, _, context in found})),
        tuple(sorted({width for _, width, _ in found})),
        any(stage for stage, _, _ in found),
    )


def _search(data: mmap.mmap, start: int, end: int) -> set[tuple[bytes, int, int]]:
    found: set[tuple[bytes, int, int]] = set()
    for match in _NAME.finditer(data, start, end):
        width, context = int(match[2]), int(match[3])
        if width and context >= width:
            found.add((match[1] or b"", width, context))
            if len(found) >= _MOST:
                break
    return found
