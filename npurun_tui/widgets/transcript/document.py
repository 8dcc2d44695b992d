"""All messages and the rows they make, without Textual.

Rows are reached through *places* (message, section, line), because the absolute number of a row is only an
estimate as long as something above it was never rendered. Whoever scrolls keeps the place of the top row and moves
it; what is rendered on the way becomes exact, and the place stays where it is on the screen. Rendered sections are
kept in a bounded cache, heights for good.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from npurun_tui.widgets.transcript.blocks import Block
from npurun_tui.widgets.transcript.heights import HeightIndex
from npurun_tui.widgets.transcript.lines import Line, Rendered
from npurun_tui.widgets.transcript.message import Entry, Message

SECTION_BITS: Final = 32
CACHED_SECTIONS: Final = 600


class Place(NamedTuple):
    """A row: index of the message, section in it, line in that."""

    message: int
    section: int
    line: int


class Row(NamedTuple):
    """A row to draw. `key` orders sections over all messages (see `section_key`)."""

    key: int
    line: Line
    serial: int


class Mark(NamedTuple):
    """A place that survives another width: the character that stands at the start of the row."""

    serial: int
    section: int
    at: int
    line: int


class _Kept(NamedTuple):
    block: Block | None
    rendered: Rendered


def section_key(serial: int, section: int) -> int:
    """One number for a section, in reading order."""
    return serial << SECTION_BITS | section


class Document:
    """The messages at a width (in cells)."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.width = 80
        self._heights = HeightIndex()
        self._positions: dict[int, int] = {}
        self._next = 1
        self._kept: OrderedDict[tuple[int, int], _Kept] = OrderedDict()

    # --- messages ------------------------------------------------------------------------------

    def add(self, entry: Entry, *, live: bool = False) -> Message:
        """Append a message; a live one takes text until it is finished."""
        message = Message(self._next, entry, live=live)
        self._next += 1
        self._positions[message.serial] = len(self.messages)
        self.messages.append(message)
        self._heights.append(message.estimate(self.width))
        return message

    def position(self, serial: int) -> int | None:
        """The index of a message, or nothing when it was removed."""
        return self._positions.get(serial)

    def changed(self, serial: int) -> None:
        """The text, activity or footer of a message changed: take it in and measure again."""
        index = self._positions[serial]
        message = self.messages[index]
        if message.waiting:
            message.take_in()
        if message.heights is None:
            self._heights.replace(index, message.estimate(self.width))
        else:
            last = len(message.heights) - 1
            footer = message.section(last)
            message.heights.replace(last, len(footer.lines))
            self._keep((serial, last), None, footer)
            self._heights.replace(index, message.heights.total)

    def truncate(self, index: int) -> None:
        """Remove the messages from `index` on."""
        for message in self.messages[index:]:
            del self._positions[message.serial]
        del self.messages[index:]
        self._heights.truncate(index)

    def set_width(self, width: int) -> None:
        """Another width: all heights are estimates again, nothing is rendered."""
        self.width = max(1, width)
        self._kept.clear()
        self._heights = HeightIndex(message.estimate(self.width) for message in self.messages)

    # --- sections ------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """How many rows there are, as far as is known."""
        return self._heights.total

    def sections(self, index: int) -> int:
        """How many sections a message has; splits it when it was never seen."""
        return len(self._measure(index))

    def rendered(self, index: int, section: int) -> Rendered:
        """A section, rendered if it is not in the cache; its height is exact from now on."""
        message = self.messages[index]
        heights = self._measure(index)
        key = (message.serial, section)
        block = message.block(section)
        kept = self._kept.get(key)
        last = section == len(heights) - 1
        if kept is not None and not last and (kept.block is block or kept.block == block):
            self._kept.move_to_end(key)
            rendered = kept.rendered
        else:
            rendered = self._keep(key, block, message.section(section))
        if heights[section] != len(rendered.lines):
            heights.replace(section, len(rendered.lines))
            self._heights.replace(index, heights.total)
        return rendered

    def _measure(self, index: int) -> HeightIndex:
        message = self.messages[index]
        if message.heights is not None:
            return message.heights
        heights = message.measure()
        self._heights.replace(index, heights.total)
        return heights

    def _keep(self, key: tuple[int, int], block: Block | None, rendered: Rendered) -> Rendered:
        """Cache a section. Lines that look as before stay the same objects: nothing draws them again."""
        kept = self._kept.get(key)
        if kept is not None:
            before = kept.rendered.lines
            lines = [
                old if new.same(old) else new
                for new, old in zip(rendered.lines, before, strict=False)
            ]
            rendered = Rendered(lines + rendered.lines[len(before) :], rendered.text)
        self._kept[key] = _Kept(block, rendered)
        self._kept.move_to_end(key)
        if len(self._kept) > CACHED_SECTIONS:
            self._kept.popitem(last=False)
        return rendered

    # --- places --------------------------------------------------------------------------------

    def row_of(self, place: Place) -> int:
        """The number of a row, as far as is known."""
        heights = self._measure(place.message)
        return self._heights.start(place.message) + heights.start(place.section) + place.line

    def place_at(self, row: int) -> Place:
        """The place of a row number; clamped. Raises IndexError when there are no messages."""
        index, inside = self._heights.find(row)
        before = self._heights[index]
        heights = self._measure(index)
        if heights.total != before:  # it was an estimate: keep the proportion
            inside = inside * heights.total // max(1, before)
        section, line = heights.find(inside)
        return self.clamp(Place(index, section, line))

    def clamp(self, place: Place) -> Place:
        """The nearest place that exists. Raises IndexError when there are no messages."""
        if not self.messages:
            raise IndexError("no messages")
        if place.message >= len(self.messages):
            return self.end()
        section = min(place.section, self.sections(place.message) - 1)
        height = len(self.rendered(place.message, section).lines)
        if height:
            return Place(place.message, section, max(0, min(place.line, height - 1)))
        return self._step(Place(place.message, section, 0), 1) or self.end()

    def end(self) -> Place:
        """The last row. Raises IndexError when there are no messages."""
        if not self.messages:
            raise IndexError("no messages")
        return self.last_of(len(self.messages) - 1)

    def measured(self, index: int) -> int:
        """How many rows a message has, as far as is known without the ones between messages."""
        return self._measure(index).total - 1

    def last_of(self, index: int) -> Place:
        """The last row of a message."""
        section = self.sections(index) - 1
        return Place(index, section, len(self.rendered(index, section).lines) - 1)

    def move(self, place: Place, rows: int) -> Place:
        """The place `rows` below (or above, negative); stops at both ends. Renders what it passes."""
        step = 1 if rows > 0 else -1
        left = abs(rows)
        while left:
            height = len(self.rendered(place.message, place.section).lines)
            inside = height - 1 - place.line if step > 0 else place.line
            if left <= inside:
                return place._replace(line=place.line + step * left)
            following = self._step(place, step)
            if following is None:
                return place._replace(line=place.line + step * inside)
            left -= inside + 1
            place = following
        return place

    def _step(self, place: Place, step: int) -> Place | None:
        """The first row of the next section that has rows (or the last row of the one before)."""
        index, section = place.message, place.section
        while True:
            section += step
            if section < 0 or section >= self.sections(index):
                index += step
                if not 0 <= index < len(self.messages):
                    return None
                section = 0 if step > 0 else self.sections(index) - 1
            height = len(self.rendered(index, section).lines)
            if height:
                return Place(index, section, 0 if step > 0 else height - 1)

    def window(self, place: Place, count: int) -> list[Row]:
        """At most `count` rows from `place` down."""
        rows: list[Row] = []
        following: Place | None = place
        while following is not None and len(rows) < count:
            index, section, line = following
            serial = self.messages[index].serial
            key = section_key(serial, section)
            lines = self.rendered(index, section).lines
            rows.extend(Row(key, shown, serial) for shown in lines[line:])
            following = self._step(following, 1)
        return rows[:count]

    # --- another width -------------------------------------------------------------------------

    def mark(self, place: Place) -> Mark:
        """Remember a place for after `set_width`."""
        lines = self.rendered(place.message, place.section).lines
        line = lines[min(place.line, len(lines) - 1)]
        serial = self.messages[place.message].serial
        return Mark(serial, place.section, line.at, place.line)

    def find(self, mark: Mark) -> Place:
        """The row that shows what stood at the mark. Raises IndexError when there are no messages."""
        index = self._positions.get(mark.serial)
        if index is None:
            return self.end()
        place = self.clamp(Place(index, mark.section, 0))
        if place.section != mark.section or not mark.line:
            return place
        lines = self.rendered(index, place.section).lines
        found = [number for number, line in enumerate(lines) if line.at <= mark.at]
        return place._replace(line=found[-1] if found else 0)
