"""A panel of facts: a heading, a progress line, a sentence, label-value pairs in as many columns as fit, and lists."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Final

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

Facts = Sequence[tuple[str, str]]
Sections = Sequence[tuple[str, Sequence[str]]]
"""Headings, and the lines under each."""

_TWO_COLUMNS: Final = 70
_LABEL: Final = 14
_TALL: Final = 2
"""Lines that a value may have beside its label."""


class FactsPanel(VerticalScroll, inherit_bindings=False):
    """Scrolls where it is too small; draws everything as one piece of content."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("up,k", "scroll_up", "Scroll up", show=False),
        Binding("down,j", "scroll_down", "Scroll down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home", "scroll_home", "Top", show=False),
        Binding("end", "scroll_end", "Bottom", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._text = Static(id="facts-text")
        self._drawn = 0
        """The width that it was drawn for."""
        self._said: tuple[str, str, str, str, Facts, Sections] = ("", "", "", "", (), ())

    def allow_focus(self) -> bool:
        """The keyboard is of use only where there is something to scroll."""
        return self.max_scroll_y > 0

    def compose(self) -> ComposeResult:
        """One child, whatever is said."""
        yield self._text

    def say(
        self,
        heading: str,
        title: str = "",
        progress: str = "",
        note: str = "",
        facts: Facts = (),
        sections: Sections = (),
    ) -> None:
        """Show these texts; all of them are plain. What is said of something else is read from its top."""
        said = (heading, title, progress, note, facts, sections)
        if said != self._said:
            another = heading != self._said[0]
            self._said = said
            self._draw()
            if another:
                self.scroll_home(animate=False)

    def on_resize(self, _event: Resize) -> None:
        """The number of columns follows the width."""
        self._follow()

    def watch_virtual_size(self) -> None:
        """As `on_resize`, which is not always told (see `ModelsView.watch_virtual_size`)."""
        self.call_later(self._follow)

    def _follow(self) -> None:
        if self.scrollable_content_region.width != self._drawn:
            self._draw()

    def _draw(self) -> None:
        heading, title, progress, note, facts, sections = self._said
        self._drawn = width = self.scrollable_content_region.width
        if not width:
            return  # it has no place yet: `_follow` draws, and a first paint in columns of no width is saved
        wide = width >= _TWO_COLUMNS
        head = Content.styled(heading, "bold")
        lines = [head]
        if title:
            named = Content.styled(title, "dim")
            lines = [Content.assemble(head, "  ", named)] if wide else [head, named]
        # Where there is one column there is height as well: the parts stand apart.
        gap = [] if wide else [Content("")]
        for sentence in (progress.replace("\n", "  ") if wide else progress, note):
            if sentence:
                lines += [*gap, Content(sentence)]
        lines += [
            *gap,
            *_table(facts, width, columns=2 if wide else 1),
        ]
        for name, entries in sections:
            lines += [*gap, Content.styled(name, "bold dim"), *map(_entry(width), entries)]
        self._text.update(Content("\n").join(lines))


def _wrap(text: str, width: int, indent: str = "") -> list[str]:
    """`text` in lines of at most `width` cells, which are as many letters only in some languages; all lines but the
    first one begin with `indent`."""
    width = max(8, width)
    if text.isascii():
        return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False) or [""]
    first, *others = [line.plain.rstrip() for line in Content(text).wrap(width - len(indent))]
    return [first, *(indent + line for line in others)]


def _entry(width: int) -> Callable[[str], Content]:
    """How a line of a section is drawn: one that is too long goes on a little to the right."""

    def draw(text: str) -> Content:
        return Content("\n".join(_wrap(text, width, "    ")))

    return draw


def _table(facts: Facts, width: int, *, columns: int) -> list[Content]:
    """Pairs in rows; a value too long for its column gets a row of its own at the end."""
    room = width // columns
    short = [pair for pair in facts if columns == 1 or _LABEL + cell_len(pair[1]) < room - 1]
    long = [pair for pair in facts if pair not in short]
    rows = []
    for start in range(0, len(short), columns):
        cells = [_pair(*pair, room) for pair in short[start : start + columns]]
        padded = [cell.pad_right(max(0, room - cell.cell_length)) for cell in cells[:-1]]
        rows.append(Content.assemble(*padded, cells[-1]))
    return rows + [_pair(*pair, width) for pair in long]


def _pair(label: str, value: str, room: int) -> Content:
    """Label and value; a value longer than the room goes on below itself, and a very long one below its label."""
    lines = _wrap(value, room - _LABEL)
    hanging = f"\n{' ' * _LABEL}".join(lines)
    if len(lines) > _TALL:
        hanging = "\n  " + "\n  ".join(_wrap(value, room - 2))
    return Content.assemble(Content.styled(f"{label:<{_LABEL}}", "dim"), Content(hanging))
