"""Walking a GGUF header that may be hostile: bounded, buffered, and never a Python object per vocabulary entry.

The file is read from its start in growing steps and not mapped: a mapped file that another program truncates ends
the process with SIGBUS. Arrays are stepped over and only their place is kept, so a header with 150,000 tokens and
280,000 merges costs well under a tenth of a second; what is wanted of an array is read from its place afterwards.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from npurun_tui.engine.cpu.gguf_types import ARRAY, SCALARS, STRING
from npurun_tui.errors import ModelFileDamaged
from npurun_tui.text import one_line

FIRST_READ: Final = 2 << 20
MAX_HEADER: Final = 256 << 20  # the largest known vocabularies with merges need about 20 MB
MAX_PAIRS: Final = 1 << 16
MAX_DEPTH: Final = 4
MAX_NESTED: Final = 1 << 16  # arrays in arrays; no known model has any

_U64: Final = struct.Struct("<Q")
_ELEMENT: Final = struct.Struct("<IQ")


@dataclass(frozen=True, slots=True)
class ArrayPlace:
    """Where an array's elements are in the header: stepped over, not read."""

    kind: int
    count: int
    start: int


class HeaderReader:
    """A cursor over the first bytes of a file, which fetches more of it when it runs out."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self._file = file
        self._path = path
        self.size = size
        self.data = b""
        self.position = 0
        self._nested = 0
        self._fetch(FIRST_READ)

    def damaged(self, why: str) -> ModelFileDamaged:
        """The one error of this reader, in words."""
        return ModelFileDamaged(
            f"The model file {one_line(self._path.name, 80)} is damaged: {why}.",
            mend="Remove the model and pull it again.",
        )

    def truncated(self) -> ModelFileDamaged:
        """The file ends before what its header announces."""
        return self.damaged(f"it ends after {self.size:,} bytes, in the middle of its own header")

    def _fetch(self, wanted: int) -> None:
        if wanted > MAX_HEADER:
            raise self.damaged("its header is larger than any model's")
        self.data += self._file.read(wanted - len(self.data))

    def _need(self, end: int) -> None:
        """Have the bytes before `end` in the buffer."""
        if end <= len(self.data):
            return
        if end > self.size:
            raise self.truncated()
        self._fetch(min(self.size, max(end, 2 * len(self.data))))
        if end > len(self.data):  # the file shrank while it was read
            raise self.truncated()

    def scalar(self, code: str) -> Any:
        """The next value of `struct` code `code`."""
        form = struct.Struct("<" + code)
        self._need(self.position + form.size)
        (value,) = form.unpack_from(self.data, self.position)
        self.position += form.size
        return value

    def string_bytes(self, limit: int) -> bytes:
        """The next string, at most `limit` bytes long."""
        length = self.scalar("Q")
        if length > limit:
            raise self.damaged("a text in its header is longer than such a text can be")
        end = self.position + length
        self._need(end)
        value = self.data[self.position : end]
        self.position = end
        return value

    def value(self, kind: int, *, text_limit: int) -> Any:
        """The next value: a number, a bool, a str, or the place of an array."""
        if kind == STRING:
            return self.string_bytes(text_limit).decode("utf-8", errors="replace")
        if kind == ARRAY:
            return self._array(depth=1)
        code = SCALARS.get(kind)
        if code is None:
            raise self.damaged(f"it has a value of the unknown type {kind}")
        return self.scalar(code)

    def _array(self, depth: int) -> ArrayPlace:
        if depth > MAX_DEPTH:
            raise self.damaged("its header nests arrays too deeply")
        self._need(self.position + _ELEMENT.size)
        kind, count = _ELEMENT.unpack_from(self.data, self.position)
        self.position += _ELEMENT.size
        place = ArrayPlace(kind, count, self.position)
        if kind == STRING:
            self._skip_strings(count)
        elif kind == ARRAY:
            self._nested += count
            if self._nested > MAX_NESTED:
                raise self.damaged("its header nests too many arrays")
            for _ in range(count):
                self._array(depth + 1)
        else:
            code = SCALARS.get(kind)
            if code is None:
                raise self.damaged(f"it has an array of the unknown type {kind}")
            self.position += self._bound(count, struct.calcsize("<" + code))
            self._need(self.position)
        return place

    def _bound(self, count: int, width: int) -> int:
        """`count * width`, refused where the file could not hold it: before anything is allocated or looped over."""
        if count * width > self.size - self.position:
            raise self.truncated()
        return count * width

    def _skip_strings(self, count: int) -> None:
        self._bound(count, 8)
        unpack, data, position = _U64.unpack_from, self.data, self.position
        left = count
        while left:
            try:
                while left:
                    position += 8 + unpack(data, position)[0]
                    left -= 1
            except (struct.error, OverflowError):
                self._need(position + 8)  # grows the buffer or says that the file is truncated
                data = self.data
        self._need(position)
        self.position = position

    def strings(self, place: ArrayPlace, wanted: Iterable[int]) -> dict[int, bytes]:
        """The strings at the ascending indexes `wanted` of an array that was stepped over."""
        unpack, data, position = _U64.unpack_from, self.data, place.start
        found: dict[int, bytes] = {}
        index = 0
        for target in wanted:
            for _ in range(target - index):
                position += 8 + unpack(data, position)[0]
            index = target
            (length,) = unpack(data, position)
            found[target] = data[position + 8 : position + 8 + length]
        return found

    def numbers(self, place: ArrayPlace, most: int) -> tuple[Any, ...]:
        """The first values, at most `most`, of an array of numbers that was stepped over."""
        count = min(place.count, most)
        return struct.unpack_from(f"<{count}{SCALARS[place.kind]}", self.data, place.start)
