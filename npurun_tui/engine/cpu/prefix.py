"""Which of the cached tokens a new prompt can use again, although sampled tokens are not canonical ones.

A tokenizer turns a text into one canonical sequence of tokens, but a model may sample another sequence with the same
text ("fo" + "x" for "fox"). Were the whole of a new prompt tokenized anew, its tokens would part from the cached ones
somewhere in the last answer, and everything after that place would be prefilled again, turn after turn.

So the prompt is compared by text first. Control tokens (`<|im_end|>`) cut both the prompt and the cache into segments,
and the tokenizer works on each text between two control tokens by itself. While a whole segment of the prompt has the
text of the cached one, its cached tokens are kept as they are; from the first segment that differs, the rest is
tokenized canonically, and the longest common token prefix decides, as in Genie.

Where the cached tokens are canonical this gives exactly the plain longest common token prefix: equal segments have
equal tokens (tokenizing is a function of the segment), so composing is the same as tokenizing the whole prompt. Where
they are not, it keeps more, never less: the tokens kept have the very text that was asked for, and they are what the
model itself wrote. A segment is only ever kept whole: half of one ends in the middle of what the tokenizer may merge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of tokens and the text that they stand for."""

    text: str | None
    """None: tokens whose text is not known exactly. Such a segment equals no other."""
    tokens: tuple[int, ...]
    control: bool = False
    """One control token, whose text is the tokenizer's name for it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a prompt's text: one control token, or the text between two of them."""

    text: str
    control: bool


class Splitter:
    """Cuts text at control tokens, as llama.cpp's tokenizer does (the longest first)."""

    def __init__(self, control_tokens: Mapping[str, int]) -> None:
        self._control = dict(control_tokens)
        self._ids = frozenset(self._control.values())
        names = sorted(self._control, key=len, reverse=True)
        self._pattern = re.compile(f"({'|'.join(map(re.escape, names))})") if names else None

    def split(self, text: str) -> list[Part]:
        """The parts of `text`, in order; none is empty."""
        if self._pattern is None:
            return [Part(text, control=False)] if text else []
        pieces = self._pattern.split(text)  # the odd ones are the control tokens
        return [Part(piece, control=index % 2 == 1) for index, piece in enumerate(pieces) if piece]

    def align(self, parts: Sequence[Part], tokens: Sequence[int]) -> list[Segment]:
        """`tokens`, which are those of `parts`, as segments.

        Control tokens are the landmarks. Where they are not where the text says (some tokenizers swallow the space
        around them), all tokens become one segment of unknown text: right, and only not reused by text later.
        """
        segments: list[Segment] = []
        position = 0
        for part in parts:
            start = position
            if part.control:
                if position == len(tokens) or tokens[position] != self._control[part.text]:
                    return [Segment(None, tuple(tokens))]
                position += 1
            else:
                while position < len(tokens) and tokens[position] not in self._ids:
                    position += 1
            segments.append(Segment(part.text, tuple(tokens[start:position]), part.control))
        if position != len(tokens):
            return [Segment(None, tuple(tokens))]
        return segments


def reusable(parts: Sequence[Part], cached: Sequence[Segment]) -> int:
    """How many leading segments of `cached` the prompt can take over whole."""
    count = 0
    for part, segment in zip(parts, cached, strict=False):
        if part.text != segment.text or part.control != segment.control:
            break
        count += 1
    return count


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """Length of the longest common token prefix."""
    limit = min(len(first), len(second))
    if first[:limit] == second[:limit]:
        return limit
    return next(index for index in range(limit) if first[index] != second[index])
