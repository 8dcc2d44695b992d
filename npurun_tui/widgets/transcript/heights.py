"""A list of heights that answers "where does item i start" and "which item is at row y" quickly.

The prefix sums are kept up to the first changed item and extended when they are asked for: appending (what
streaming does) costs O(1), a change far up costs one pass of additions, finding is a bisection.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class HeightIndex:
    """Heights (in rows, zero allowed) of consecutive items."""

    __slots__ = ("_heights", "_starts", "total")

    def __init__(self, heights: Iterable[int] = ()) -> None:
        self._heights: list[int] = list(heights)
        self._starts: list[int] = [0]  # always at least one entry; entry i is where item i starts
        self.total = sum(self._heights)

    def __len__(self) -> int:
        return len(self._heights)

    def __getitem__(self, index: int) -> int:
        return self._heights[index]

    def append(self, height: int) -> None:
        """Add an item at the end."""
        self._heights.append(height)
        self.total += height

    def replace(self, index: int, height: int) -> None:
        """Give item `index` another height."""
        old = self._heights[index]
        if old != height:
            self._heights[index] = height
            self.total += height - old
            del self._starts[index + 1 :]

    def truncate(self, length: int) -> None:
        """Forget the items from `length` on."""
        if length < len(self._heights):
            self.total -= sum(self._heights[length:])
            del self._heights[length:]
            del self._starts[length + 1 :]

    def start(self, index: int) -> int:
        """The row at which item `index` starts; `len(self)` asks for the end of the last item."""
        starts = self._starts
        while len(starts) <= index:
            starts.append(starts[-1] + self._heights[len(starts) - 1])
        return starts[index]

    def find(self, row: int) -> tuple[int, int]:
        """The item that holds `row` and the row inside it; clamped to the first and last item.

        Raises:
            IndexError: there are no items.
        """
        count = len(self._heights)
        if not count:
            raise IndexError("no items")
        self.start(count - 1)
        row = max(0, min(row, self.total - 1))
        index = bisect_right(self._starts, row, 0, count) - 1
        return index, row - self._starts[index]
