"""What rendering gives: lines of styled runs, each of which knows which characters of the copied text it shows.

A block has a *logical text*: what a person who selects it gets in the clipboard, with soft wraps undone, tabs kept
and no borders. Every run says where in that text it starts, or that it is decoration. A selection is kept in
offsets of the logical text, so it survives a resize and a change of heights above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from npurun_tui.widgets.transcript.wrapping import cells, fold, wrap

DECORATION: Final = -1

CODE_BAR: Final = "code-bar"
"""The style of the bar left of code, where the background of its rows begins."""

Piece = tuple[str, str]
"""A stretch of text and its style: words of component names, such as `"strong code"`."""


class Run(NamedTuple):
    """Text in one style; `at` is its offset in the logical text, or `DECORATION`."""

    text: str
    style: str
    at: int


class Line:
    """One row. `at` is where the cursor lands in the logical text left of the first run that has text."""

    __slots__ = ("at", "fill", "runs")

    def __init__(self, runs: tuple[Run, ...] = (), at: int = 0, fill: str = "") -> None:
        self.runs = runs
        self.at = at
        self.fill = fill

    @property
    def plain(self) -> str:
        """The row as it looks, without styles."""
        return "".join(run.text for run in self.runs)

    def same(self, other: Line) -> bool:
        """Whether both look and copy alike. Identity stays what caches go by, so this is not `==`."""
        return self.runs == other.runs and self.at == other.at and self.fill == other.fill


BLANK: Final = Line()

PARTING: Final = Line()
"""The empty row between two messages; it belongs to neither."""


class Rendered(NamedTuple):
    """A block at a width."""

    lines: list[Line]
    text: str


class Margin(NamedTuple):
    """What stands left of the lines of a container.

    `first` is shown on its first line, `rest` on the others; `copy_first` and `copy_rest` are what they
    stand for in the logical text (a soft wrap never adds to it). Both shown strings are equally wide.
    """

    first: str
    rest: str
    style: str
    copy_first: str
    copy_rest: str


class Builder:
    """Collects lines and logical text for one block at a width."""

    def __init__(self, width: int) -> None:
        self._width = max(1, width)
        self._margins: list[Margin] = []
        self._fresh: list[bool] = []  # per margin: its first line is still to come
        self._text: list[str] = []
        self._length = 0
        self._begun = False
        self.lines: list[Line] = []

    def push(self, margin: Margin) -> None:
        """Enter a container."""
        self._margins.append(margin)
        self._fresh.append(True)

    def pop(self) -> None:
        """Leave the innermost container; one that showed nothing still shows its marker."""
        if self._fresh[-1]:
            self.row([])
        self._margins.pop()
        self._fresh.pop()

    @property
    def room(self) -> int:
        """Cells left of the width inside the containers."""
        return max(1, self._width - sum(cells(margin.first) for margin in self._margins))

    def finish(self) -> Rendered:
        """What was collected."""
        return Rendered(self.lines, "".join(self._text))

    def gap(self) -> None:
        """An empty row inside the containers."""
        self.row([])

    def flow(self, pieces: Iterable[Piece]) -> None:
        """Prose: split at newlines, wrapped at the room that is left."""
        for line in split_lines(pieces):
            self.row(line)

    def row(self, pieces: Sequence[Piece], *, code: bool = False, fill: str = "") -> None:
        """One logical line, wrapped (prose) or folded (code); an empty one gives an empty row."""
        self.newline()
        begin = self._length
        runs = self._margin_runs()
        shown = [(_widen(text), style) for text, style in pieces] if not code else pieces
        text = "".join(piece[0] for piece in shown)
        base = self._length
        spans = _fold_code(text, self.room) if code else wrap(text, self.room)
        for number, (start, end) in enumerate(spans):
            if number:
                runs = [Run(m.rest, m.style, DECORATION) for m in self._margins]
            at = base + start if number else begin
            runs.extend(_cut(shown, start, end, base))
            self.lines.append(Line(tuple(runs), at, fill))
        self._write(text)

    def fixed(self, runs: Sequence[Run], *, fill: str = "") -> None:
        """A row made by the caller (its offsets come from `mark`); margins are put before it."""
        left = [Run(m.rest, m.style, DECORATION) for m in self._margins]
        at = next((run.at for run in runs if run.at != DECORATION), self._length)
        self._fresh = [False] * len(self._fresh)
        self.lines.append(Line((*left, *runs), at, fill))

    def mark(self, text: str) -> int:
        """Add `text` to the logical text without a row of its own; returns where it starts."""
        at = self._length
        self._write(text)
        return at

    def newline(self) -> None:
        """Start a line of the logical text."""
        if self._begun:
            self._write("\n")
        self._begun = True

    def _write(self, text: str) -> None:
        if text:
            self._text.append(text)
            self._length += len(text)

    def _margin_runs(self) -> list[Run]:
        runs: list[Run] = []
        for index, margin in enumerate(self._margins):
            shown, copied = (
                (margin.first, margin.copy_first)
                if self._fresh[index]
                else (margin.rest, margin.copy_rest)
            )
            self._fresh[index] = False
            # Only a margin that looks as long as what it stands for can be selected cell by cell.
            at = self._length if copied and len(copied) == len(shown) else DECORATION
            runs.append(Run(shown, margin.style, at))
            self._write(copied)
        return runs


def split_lines(pieces: Iterable[Piece]) -> list[list[Piece]]:
    """Cut styled text at its newlines."""
    lines: list[list[Piece]] = [[]]
    for text, style in pieces:
        first, *rest = text.split("\n")
        if first:
            lines[-1].append((first, style))
        lines.extend([(part, style)] if part else [] for part in rest)
    return lines


def _widen(text: str) -> str:
    # In prose a tab is a space that was typed oddly; in code it is kept (see `_cut`).
    return text.replace("\t", " ")


TAB: Final = "    "


def _fold_code(text: str, width: int) -> list[tuple[int, int]]:
    if "\t" not in text:
        return fold(text, width)
    pieces: list[tuple[int, int]] = []
    begin = used = 0
    for at, character in enumerate(text):
        wide = len(TAB) if character == "\t" else cells(character)
        if used and used + wide > width:
            pieces.append((begin, at))
            begin, used = at, 0
        used += wide
    pieces.append((begin, len(text)))
    return pieces


def _cut(pieces: Sequence[Piece], start: int, end: int, base: int) -> list[Run]:
    """The runs that show characters `start` to `end` of the pieces; `base` is their logical offset."""
    runs: list[Run] = []
    position = 0
    for text, style in pieces:
        left, right = max(start, position), min(end, position + len(text))
        if left < right:
            part = text[left - position : right - position]
            if "\t" in part:
                runs.extend(_tabbed(part, style, base + left))
            else:
                runs.append(Run(part, style, base + left))
        position += len(text)
        if position >= end:
            break
    return runs


def _tabbed(text: str, style: str, at: int) -> list[Run]:
    """A tab shows as spaces that stand for one character: decoration between the runs around it."""
    runs: list[Run] = []
    for index, part in enumerate(text.split("\t")):
        if index:
            runs.append(Run(TAB, style, DECORATION))
            at += 1
        if part:
            runs.append(Run(part, style, at))
            at += len(part)
    return runs
