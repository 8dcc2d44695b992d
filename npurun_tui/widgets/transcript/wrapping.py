"""Where a line of text breaks at a width in terminal cells.

Prose breaks at spaces, between CJK characters, and inside a word only when the word alone is too wide; code
is folded exactly at the width, so that nothing of it is lost. Offsets are character offsets, widths are cells:
a CJK character or an emoji takes two, a combining mark none.
"""

from __future__ import annotations

import re
from typing import Final

from rich.cells import cell_len, split_graphemes

_WORD: Final = re.compile(r"\s*\S+")

# Between characters of these blocks a line may break without a space; closing punctuation stays with its word.
_CJK: Final = (
    r"\u1100-\u11ff\u2e80-\u2fff\u3021-\u30ff\u3130-\u33ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003fffd"
)
_CLOSING: Final = (
    r"\u3001-\u3003\u3009\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f"
)
_JOINING: Final = r"\u0300-\u036f\u200d\u3099\u309a\ufe00-\ufe0f"
_CJK_WORD: Final = re.compile(
    rf"\s*(?:[{_CJK}][{_JOINING}{_CLOSING}]*|[{_CLOSING}]+|[^\s{_CJK}{_CLOSING}]+[{_CLOSING}]*)"
)


def cells(text: str) -> int:
    """The width of `text` in terminal cells."""
    return len(text) if text.isascii() else cell_len(text)


def fold(text: str, width: int, start: int = 0) -> list[tuple[int, int]]:
    """Cut `text` at exactly `width` cells (or one less before a wide character); at least one piece.

    Offsets are shifted by `start`. A grapheme wider than `width` gets a piece of its own.
    """
    if text.isascii():
        size = len(text)
        return [(start + at, start + min(at + width, size)) for at in range(0, size or 1, width)]
    pieces: list[tuple[int, int]] = []
    begin = used = 0
    for left, _right, wide in split_graphemes(text)[0]:
        if used and used + wide > width:
            pieces.append((start + begin, start + left))
            begin, used = left, 0
        used += wide
    pieces.append((start + begin, start + len(text)))
    return pieces


def wrap(text: str, width: int) -> list[tuple[int, int]]:
    """Break prose without newlines into pieces of at most `width` cells; at least one piece.

    Spaces at a break belong to no piece; leading spaces of the text stay.
    """
    if text.isascii():
        if len(text) <= width:
            return [(0, len(text))]
        pattern = _WORD
    else:
        if cell_len(text) <= width:
            return [(0, len(text))]
        pattern = _CJK_WORD
    pieces: list[tuple[int, int]] = []
    begin = end = used = 0
    for match in pattern.finditer(text):
        word = match.group()
        wide = cells(word)
        if used + wide <= width:
            used += wide
            end = match.end()
            continue
        if end > begin:
            pieces.append((begin, end))
            word = word.lstrip()
            wide = cells(word)
        begin = match.end() - len(word)
        end, used = match.end(), wide
        if wide > width:
            *full, (begin, end) = fold(word, width, begin)
            pieces.extend(full)
            used = cells(text[begin:end])
    pieces.append((begin, end))
    return pieces
