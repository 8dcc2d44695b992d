"""Growing Markdown cut into blocks that are parsed once.

A block is frozen as soon as the next line cannot change it (a blank line, a new item, a heading) or at a bound, so
what is rendered again while text streams in is one short piece, and feeding costs what is new plus that piece. The
cuts depend on the text alone, never on how it arrived, and the sources of the blocks joined together are the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LINE_LIMIT: Final = 2048
"""Characters of one line after which it is cut, at a space in its second half where there is one."""

# A line of which only this has arrived may still become a marker: shown as text it would flicker.
_UNDECIDED: Final = re.compile(r"\s*(?:[-+*_#>|~`=]{1,3}|\d{1,3}[.)]?)\Z")


class Kind(StrEnum):
    """What a block's source is; all but `FENCE` and `PLAIN` are small Markdown documents."""

    TEXT = "text"
    ITEM = "item"
    QUOTE = "quote"
    TABLE = "table"
    FENCE = "fence"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a message.

    `source` is the exact text; its first `lead` characters are blank lines that stood before the block.
    `joint` is what stands between the block before and this one when both are copied; an empty row is
    shown where it has an empty line. `indent` is how many cells the block stands in, `dedent` how many
    columns of its lines belong to the enclosing items, `depth` how many those are. `ordinal` is a numbered
    item's number. `info` is a fence's language line; `opens` and `closes` say whether its first and last
    line are the fence's own. `context` is put before the source when it is parsed (the head of a table
    that was cut). `middle`: the source begins in the middle of a line that was too long.
    """

    kind: Kind
    source: str = ""
    lead: int = 0
    joint: str = ""
    indent: int = 0
    dedent: int = 0
    depth: int = 0
    ordinal: int | None = None
    info: str = ""
    opens: bool = False
    closes: bool = False
    context: str = ""
    middle: bool = False

    @property
    def gap(self) -> int:
        """Empty rows shown before the block."""
        return 1 if self.joint == "\n\n" else 0

    @property
    def body(self) -> str:
        """The source without the blank lines before it."""
        return self.source[self.lead :]


class Splitter:
    """Takes a message as it grows. `plain` text is not Markdown: it is only cut at its bounds."""

    def __init__(self, *, plain: bool = False) -> None:
        from npurun_tui.widgets.transcript.scanner import Scanner  # they need each other's names

        self._scanner = Scanner(plain)
        self._partial = ""
        self._tail: list[Block] | None = []

    @property
    def blocks(self) -> list[Block]:
        """The frozen blocks. The list grows; what is in it stays."""
        return self._scanner.blocks

    def feed(self, text: str) -> None:
        """Add text to the end. Costs what is new plus at most one open line."""
        partial = self._partial + text
        position, size = 0, len(partial)
        take = self._scanner.line
        while True:
            newline = partial.find("\n", position, position + LINE_LIMIT)
            if newline >= 0:
                take(partial[position : newline + 1], ended=True)
                position = newline + 1
            elif size - position >= LINE_LIMIT:
                end = _cut_at(partial, position)
                take(partial[position:end], ended=False)
                position = end
            else:
                break
        self._partial = partial[position:]
        self._tail = None

    def close(self) -> None:
        """No more text comes: freeze what is open."""
        if self._partial:
            self._scanner.line(self._partial, ended=True)
            self._partial = ""
        self._scanner.freeze()
        self._tail = []

    def tail(self) -> list[Block]:
        """The blocks that the text after the frozen ones would be if it ended here: one or two, or none."""
        if self._tail is None:
            self._tail = self._peek()
        return self._tail

    def rest(self) -> str:
        """The text after the frozen blocks."""
        return self._scanner.pending() + self._partial

    def _peek(self) -> list[Block]:
        scanner = self._scanner.fork()
        if self._partial and not (_UNDECIDED.match(self._partial) and not scanner.verbatim):
            scanner.line(self._partial, ended=True)
        scanner.freeze(final=False)
        return scanner.blocks


def _cut_at(text: str, start: int) -> int:
    """Where the over-long line at `start` is cut: after a space, decided by its first characters only."""
    end = start + LINE_LIMIT
    middle = start + LINE_LIMIT // 2
    space = max(text.rfind(" ", middle, end), text.rfind("\t", middle, end))
    return space + 1 if space >= 0 else end


def code_of(block: Block) -> str:
    """The code of a fence block, without its fence lines and the columns of the enclosing items."""
    lines = block.body.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if block.opens:
        lines = lines[1:]
    if block.closes:
        lines = lines[:-1]
    first = 1 if block.middle and lines else 0  # a line that goes on has no columns to lose
    return "\n".join(lines[:first] + [dedent(line, block.dedent) for line in lines[first:]])


def dedent(line: str, columns: int) -> str:
    """`line` without at most `columns` columns of leading white space (a tab stops at every fourth)."""
    at = column = 0
    while at < len(line) and column < columns and line[at] in " \t":
        column += 1 if line[at] == " " else 4 - column % 4
        at += 1
    return " " * max(0, column - columns) + line[at:]


def code_blocks(blocks: list[Block]) -> list[str]:
    """The fenced code of a message, each fence whole however it was cut."""
    found: list[str] = []
    for block in blocks:
        if block.kind is not Kind.FENCE:
            continue
        if block.opens:
            found.append("")
            found[-1] = code_of(block)
        elif found:
            code = code_of(block)
            joint = "" if block.middle or (block.closes and not code) else "\n"
            found[-1] = f"{found[-1]}{joint}{code}" if found[-1] else code
    return found
