"""One message and where its rows are, without rendering what nobody has seen.

A message consists of sections: the header (who speaks), its blocks, and the footer (activity while it is being
written, then outcome and numbers). A message that was never seen is not even split: its height is estimated from
its length, which is what makes opening 500 of them cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from npurun_tui.text import one_line
from npurun_tui.widgets.transcript.blocks import Block, Splitter
from npurun_tui.widgets.transcript.heights import HeightIndex
from npurun_tui.widgets.transcript.lines import BLANK, PARTING, Builder, Line, Rendered
from npurun_tui.widgets.transcript.render import render

Role = Literal["user", "assistant", "system"]

_LABELS: Final[dict[Role, str]] = {"user": "You", "assistant": "Assistant", "system": "System"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as its owner hands it over.

    `text` is Markdown where the role is "assistant" and shown as it was typed otherwise. `label` says who
    speaks (a model's name); without one the role does. `footer` is a line of numbers, `outcome` says in
    words how the message ended when that was not by itself ("stopped").
    """

    role: Role
    text: str = ""
    label: str = ""
    footer: str = ""
    outcome: str = ""


class Message:
    """A message in the document. `serial` orders messages and never comes back."""

    def __init__(self, serial: int, entry: Entry, *, live: bool) -> None:
        self.serial = serial
        self.role = entry.role
        self.label = one_line(entry.label or _LABELS[entry.role], 80)
        self.footer = entry.footer
        self.outcome = entry.outcome
        self.activity = ""
        self.live = live
        self._text = [entry.text] if entry.text else []
        self._waiting: list[str] = []
        self._characters = len(entry.text)
        self._newlines = entry.text.count("\n")
        self._splitter: Splitter | None = None
        # The frozen ones and the tail, as far as `heights` knows them.
        self._blocks: list[Block] = []
        self._frozen = 0
        self._width = 0
        self.heights: HeightIndex | None = None

    # --- text ----------------------------------------------------------------------------------

    @property
    def source(self) -> str:
        """The text as it was given."""
        if len(self._text) > 1:
            self._text = ["".join(self._text)]
        return self._text[0] if self._text else ""

    def append(self, piece: str) -> None:
        """Add text; it is shown after the next `take_in`."""
        self._text.append(piece)
        self._waiting.append(piece)
        self._characters += len(piece)
        self._newlines += piece.count("\n")

    @property
    def waiting(self) -> bool:
        """Whether text was added that is not shown yet."""
        return bool(self._waiting)

    def take_in(self) -> None:
        """Split what was added. Costs what is new and one open block."""
        if self._splitter is not None and self._waiting:
            self._splitter.feed("".join(self._waiting))
            self._sync()
        self._waiting.clear()

    def finish(self) -> None:
        """No more text comes."""
        self.take_in()
        self.live = False
        if self._splitter is not None:
            self._splitter.close()
            self._sync()

    def blocks(self) -> list[Block]:
        """The blocks, split now if they were not before."""
        return self._open().blocks + self._open().tail()

    # --- sections ------------------------------------------------------------------------------

    def estimate(self, width: int) -> int:
        """How many rows the message takes, guessed from its length until it is split."""
        self._width = width
        self.heights = None
        return 3 + self._newlines + self._characters // width

    def measure(self) -> HeightIndex:
        """The heights of the sections; splits the message at first."""
        if self.heights is None:
            self._open()
            self._blocks = []
            self._frozen = 0
            self.heights = HeightIndex([1])
            self._sync()
        return self.heights

    def block(self, section: int) -> Block | None:
        """The block that is section `section`, or nothing for header and footer."""
        return self._blocks[section - 1] if 0 < section <= len(self._blocks) else None

    def section(self, number: int) -> Rendered:
        """Render a section (the caller keeps it and reports its height)."""
        block = self.block(number)
        if block is not None:
            lines, text = render(block, self._width)
            return Rendered([BLANK] * block.gap + lines if lines else lines, text)
        return self._header() if number == 0 else self._footer()

    def _open(self) -> Splitter:
        if self._splitter is None:
            self._splitter = Splitter(plain=self.role != "assistant")
            self._waiting.clear()
            self._splitter.feed(self.source)
            if not self.live:
                self._splitter.close()
        return self._splitter

    def _sync(self) -> None:
        """Bring the list of sections up to date; frozen ones keep their place and height."""
        if self.heights is None:
            return
        frozen, tail = self._open().blocks, self._open().tail()
        kept = self._frozen
        del self._blocks[kept:]
        self.heights.truncate(1 + kept)
        self._blocks.extend(frozen[kept:])
        self._frozen = len(frozen)
        self._blocks.extend(tail)
        for block in self._blocks[kept:]:
            self.heights.append(self._guess(block))
        self.heights.append(len(self._footer().lines))

    def _guess(self, block: Block) -> int:
        body = block.body
        rows = body.count("\n") + (not body.endswith("\n")) + len(body) // self._width
        return block.gap + rows if body else 0

    def _header(self) -> Rendered:
        builder = Builder(self._width)
        builder.row([(self.label, f"role-{self.role}")])
        return Rendered(builder.lines[:1], self.label)

    def _footer(self) -> Rendered:
        """Activity, outcome and numbers; not part of what is copied. The last row parts the messages."""
        builder = Builder(self._width)
        if self.live:
            builder.row([(one_line(self.activity), "activity")])
            lines = builder.lines[:1]
        else:
            if self.outcome:
                builder.row([(f"■ {one_line(self.outcome, 1000)}", "outcome")])
            if self.footer:
                builder.row([(one_line(self.footer), "footer")])
            lines = builder.lines
        shown = [Line(tuple(run._replace(at=-1) for run in line.runs)) for line in lines]
        return Rendered([*shown, PARTING], "")
