"""The line-by-line state machine of the splitter.

It knows only as much Markdown as the cuts need: which lines begin a block, which enclosing list item a line
belongs to, whether a fence is open. Everything it keeps is bounded but the list of finished blocks.

Where it departs from CommonMark, because language models write that way: nested items may be indented too far, a
fence in a list ends at its closing line only, and `text` over `---` is a paragraph and a rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from npurun_tui.widgets.transcript.blocks import Block, Kind

BLOCK_LINES: Final = 40
BLOCK_SIZE: Final = 4096
"""Lines and characters after which a block is cut at the end of a line."""

SOFT_LINES: Final = 24
"""Lines of code after which a blank one is taken as a border; rows of a table."""

MAX_DEPTH: Final = 8
"""Nested list items that are told apart; deeper ones are shown at this depth."""

MARKER: Final = re.compile(r"(?:[-+*]|(\d{1,9})[.)])([ \t]+|\Z)")
HEADING: Final = re.compile(r"#{1,6}(?:[ \t]|\Z)")
RULE: Final = re.compile(r"(?:-[ \t]*){3,}\Z|(?:\*[ \t]*){3,}\Z|(?:_[ \t]*){3,}\Z")
FENCE: Final = re.compile(r"(`{3,})([^`]*)\Z|(~{3,})(.*)\Z", re.DOTALL)
DELIMITER: Final = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?\Z")


@dataclass(frozen=True, slots=True)
class Item:
    """An open list item: the columns of its marker and its content, the cell the content is shown at."""

    marker: int
    content: int
    shown: int
    mark: str
    ordinal: int | None


@dataclass(frozen=True, slots=True)
class Fence:
    """An open fence: its mark (three or more of one character) and what its blocks look like."""

    mark: str
    head: Block


class Scanner:
    """The state between two lines."""

    def __init__(self, plain: bool) -> None:
        self.blocks: list[Block] = []
        self._plain = plain
        self._first = True
        self._head = Block(Kind.TEXT)  # what the open block is, but for its source
        self._lines: list[str] = []
        self._size = 0
        self._blank = ""
        self._items: list[Item] = []
        self._fence: Fence | None = None
        self._table = ""  # header and delimiter line of the open table
        self._joint: str | None = None  # how the next block joins after a forced cut
        self._middle = False  # the next text goes on with a line that was cut
        self._indented = False  # the open block is indented code
        self._going_on = False  # a table was cut: its next row needs no header

    def fork(self) -> Scanner:
        """A copy with no finished blocks, to look ahead with. Costs the open block, which is bounded."""
        twin = Scanner(self._plain)
        twin._first = self._first
        twin._head = self._head
        twin._lines = self._lines.copy()
        twin._size = self._size
        twin._blank = self._blank
        twin._items = self._items.copy()
        twin._fence = self._fence
        twin._table = self._table
        twin._joint = self._joint
        twin._middle = self._middle
        twin._indented = self._indented
        twin._going_on = self._going_on
        return twin

    @property
    def verbatim(self) -> bool:
        """Whether the next characters cannot be markers."""
        return self._plain or self._middle or self._fence is not None

    def pending(self) -> str:
        """The text that is in no finished block yet."""
        if self._lines:
            return self._blank + "".join(self._lines)
        return self._blank

    def line(self, line: str, *, ended: bool) -> None:
        """Take a line with its newline, or (`ended` false) the beginning of one that is too long."""
        if self._middle:
            self._append(line)
        elif self._fence is not None:
            self._fenced(line, self._fence)
        elif self._plain:
            if not self._lines:
                self._open(Block(Kind.PLAIN))
            self._append(line)
        elif line.strip():
            self._markdown(line)
        else:
            if self._lines:
                self.freeze()
            self._blank += line
            self._going_on = False
            if len(self._blank) >= BLOCK_SIZE:
                self.freeze()
                self._joint = "\n\n"
        self._middle = not ended
        if not ended:
            self._cut_line(" " if line[-1:].isspace() else "")
        elif self._full(line):
            self._cut()

    def freeze(self, *, final: bool = True) -> None:
        """Finish the open block. White space alone at the very end becomes a block of nothing (`final`)."""
        if self._lines:
            source = self._blank + "".join(self._lines)
            self.blocks.append(replace(self._head, source=source, lead=len(self._blank)))
            self._first = False
        elif self._blank and final:
            head = Block(Kind.TEXT, self._blank, lead=len(self._blank))
            self.blocks.append(head)
        else:
            return
        self._lines.clear()
        self._blank = ""
        self._size = 0
        self._indented = False

    # --- the open block ------------------------------------------------------------------------

    def _open(self, head: Block) -> None:
        """Freeze what is open and begin a block; how it joins is decided here."""
        after = self.blocks[-1].kind if self.blocks else None
        if self._lines:
            after = self._head.kind
            self.freeze()
        if self._first:
            joint = ""
        elif self._joint is not None and not self._blank:
            joint = self._joint
        elif self._blank or Kind.TABLE in {after, head.kind}:
            joint = "\n\n"
        else:
            joint = head.joint or "\n"
        self._joint = None
        self._head = replace(head, joint=joint)

    def _append(self, line: str) -> None:
        self._lines.append(line)
        self._size += len(line)

    def _full(self, line: str) -> bool:
        count = len(self._lines)
        if count < SOFT_LINES and self._size < BLOCK_SIZE:
            return False
        soft = self._head.kind is Kind.TABLE or (self._verbatim_kind() and not line.strip())
        return soft or count >= BLOCK_LINES or self._size >= BLOCK_SIZE

    def _verbatim_kind(self) -> bool:
        return self._head.kind in {Kind.FENCE, Kind.PLAIN}

    def _cut(self) -> None:
        """Cut a block that got long at the end of a line; its like goes on."""
        head = self._head
        self.freeze()
        if head.kind is Kind.FENCE and self._fence is not None:
            self._joint = "\n"
            self._open(self._fence.head)
        elif head.kind is Kind.TABLE:
            self._joint = "\n"
            self._open(replace(head, context=self._table))
            self._going_on = True
        else:
            self._joint = "\n"

    def _cut_line(self, joint: str) -> None:
        """Cut in the middle of a line; the rest of it is text of the same container, or code of the fence."""
        head = self._head
        shown = self._items[-1].shown if head.kind is Kind.ITEM and self._items else head.indent
        self.freeze()
        self._joint = joint
        if not self._verbatim_kind():
            kind = Kind.QUOTE if head.kind is Kind.QUOTE else Kind.TEXT
            head = Block(kind, indent=shown, dedent=head.dedent)
        self._open(replace(head, opens=False, middle=True, context=""))

    # --- fences --------------------------------------------------------------------------------

    def _fenced(self, line: str, fence: Fence) -> None:
        text = line.strip()
        self._append(line)
        if len(text) >= len(fence.mark) and text == fence.mark[0] * len(text):
            self._head = replace(self._head, closes=True)
            self.freeze()
            self._fence = None
            self._head = Block(Kind.TEXT)

    def _open_fence(self, line: str, mark: str, info: str, block: Block) -> None:
        head = replace(block, kind=Kind.FENCE, info=info.strip()[:100])
        self._fence = Fence(mark, replace(head, joint="\n"))
        self._open(replace(head, opens=True))
        self._append(line)

    # --- Markdown ------------------------------------------------------------------------------

    def _markdown(self, line: str) -> None:
        text = line.lstrip(" \t")
        indent = _columns(line[: len(line) - len(text)])
        text = text.rstrip()
        going_on, self._going_on = self._going_on or bool(self._lines), False
        if not going_on or (self._starts_block(text) and not (self._indented and indent >= 4)):
            self._place(line, text, indent)
        else:
            self._continue(line, text)

    def _starts_block(self, text: str) -> bool:
        """Whether a line can begin a block where another is open."""
        first = text[0]
        if first == ">":
            return self._head.kind is not Kind.QUOTE
        if first in "`~":
            return FENCE.match(text) is not None
        if first == "#":
            return HEADING.match(text) is not None
        return (first in "-*_" and RULE.match(text) is not None) or self._starts_item(text)

    def _starts_item(self, text: str) -> bool:
        match = MARKER.match(text)
        if match is None:
            return False
        # The second line of a sentence may begin with a number: "It was in\n1984. Then".
        sentence = self._head.kind is Kind.TEXT and not self._items
        return not (sentence and match.group(1) and int(match.group(1)) != 1)

    def _continue(self, line: str, text: str) -> None:
        """A line of the open block; with it, the line before may turn out to be a table's header."""
        previous = self._lines[-1] if self._lines else ""
        if (
            self._head.kind is Kind.TEXT
            and "|" in text
            and "|" in previous
            and not (self._head.middle and len(self._lines) == 1)
            and DELIMITER.match(text)
        ):
            table = replace(self._head, kind=Kind.TABLE, middle=False)
            if len(self._lines) > 1:
                self._size -= len(self._lines.pop())
                self._open(table)
                self._append(previous)
            else:
                self._head = table
            self._table = previous + line
        self._append(line)

    def _place(self, line: str, text: str, indent: int) -> None:
        """Leave the items that the line is not in, and open the block that it begins."""
        sibling: Item | None = None
        marker = MARKER.match(text) if RULE.match(text) is None else None
        while self._items and indent < (
            self._items[-1].marker + 2 if marker else self._items[-1].content
        ):
            sibling = self._items.pop()
        inside = self._items[-1] if self._items else Item(0, 0, 0, "", None)
        depth = len(self._items)
        here = Block(Kind.TEXT, indent=inside.shown, dedent=indent, depth=depth)
        if indent - inside.content >= 4 and not self._items:
            self._open(replace(here, dedent=0))
            self._indented = True
            self._append(line)
        elif fence := FENCE.match(text) if text[0] in "`~" else None:
            self._open_fence(line, fence[1] or fence[3], fence[2] or fence[4] or "", here)
        elif HEADING.match(text) or RULE.match(text):
            self._open(replace(here, joint="\n\n"))
            self._append(line)
            self.freeze()
        elif text[0] == ">":
            self._open(replace(here, kind=Kind.QUOTE))
            self._append(line)
        elif marker:
            self._open_item(line, marker, here, sibling)
        else:
            self._open(replace(here, dedent=inside.content))
            self._append(line)

    def _open_item(
        self, line: str, marker: re.Match[str], here: Block, sibling: Item | None
    ) -> None:
        text = marker.string
        mark = text[marker.end(1) if marker.group(1) else 0]
        ordinal = int(marker.group(1)) if marker.group(1) else None
        if ordinal is not None and sibling and sibling.ordinal is not None and sibling.mark == mark:
            ordinal = max(ordinal, sibling.ordinal + 1)
        space = _columns(marker.group(2))
        wide = marker.end() - len(marker.group(2)) + (space if 0 < space <= 4 else 1)
        label = 2 if ordinal is None else len(str(ordinal)) + 2
        item = Item(here.dedent, here.dedent + wide, here.indent + label, mark, ordinal)
        self._open(replace(here, kind=Kind.ITEM, ordinal=ordinal))
        if len(self._items) < MAX_DEPTH:
            self._items.append(item)
        rest = text[marker.end() :]
        fence = FENCE.match(rest) if rest[:1] in {"`", "~"} else None
        if fence:
            cut = line.index(rest)
            self._append(line[:cut])
            head = replace(here, indent=item.shown, dedent=item.content)
            self._open_fence(line[cut:], fence[1] or fence[3], fence[2] or fence[4] or "", head)
        else:
            self._append(line)


def _columns(space: str) -> int:
    """The width of leading white space; a tab stops at every fourth column."""
    column = 0
    for character in space:
        column += 1 if character == " " else 4 - column % 4
    return column
