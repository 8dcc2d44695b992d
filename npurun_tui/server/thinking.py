"""What a model thinks before it answers, told apart from the answer while both arrive.

A thought stands at the answer's beginning, between marks that the model writes itself or that its prompt has opened
already. Marks come in pieces, the closing one may never come, and a `<think>` in the middle of an answer is text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Marks:
    """How a family of models frames its thought."""

    opening: str
    closing: str
    then: str = ""
    """A header that may follow before the answer itself."""


KNOWN: Final = (
    Marks("<think>", "</think>"),
    Marks("<thinking>", "</thinking>"),
    Marks("<thought>", "</thought>"),
    Marks("[THINK]", "[/THINK]"),
    Marks("<|START_THINKING|>", "<|END_THINKING|>"),
    Marks(
        "<|channel|>analysis<|message|>", "<|end|>", "<|start|>assistant<|channel|>final<|message|>"
    ),
)
"""Qwen, DeepSeek, SmolLM3; Claude-like tunes; Gemma tunes; Magistral; Command A; gpt-oss."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some text, never empty, of the thought or of the answer."""

    text: str
    thought: bool = False


class ThinkingParser:
    """Give `feed` the pieces of one answer as they come, and call `finish` at its end.

    The parts, joined, are the same however the text was cut. Space around a thought is dropped.
    """

    def __init__(self, *, opened: bool) -> None:
        """`opened`: the prompt ended inside a thought."""
        self._held = ""
        self._marks = KNOWN[0]
        self._opened = opened
        self._state = self._begin
        self._blank = True
        """Nothing of the thought has come out yet."""
        self._on = False

    def feed(self, text: str) -> list[Part]:
        """What is certain after `text`."""
        if self._on:
            return [Part(text)] if text else []
        self._held += text
        parts: list[Part] = []
        while self._state(parts, False):
            pass
        return parts

    def finish(self) -> list[Part]:
        """What was held back; an unclosed thought ends here."""
        parts: list[Part] = []
        while not self._on and self._state(parts, True):
            pass
        return parts

    # -- states: each takes what it can of the held text, and says whether another is to go on ---

    def _begin(self, parts: list[Part], last: bool) -> bool:
        text = self._held.lstrip()
        for marks in KNOWN:
            if text.startswith(marks.opening):
                return self._open(marks, text[len(marks.opening) :])
        if not last and any(marks.opening.startswith(text) for marks in KNOWN):
            return False
        if self._opened:
            return self._open(KNOWN[0], text)
        return self._answer(parts, self._held)

    def _open(self, marks: Marks, rest: str) -> bool:
        self._marks, self._held, self._state = marks, rest, self._think
        return True

    def _think(self, parts: list[Part], last: bool) -> bool:
        closing = self._marks.closing
        before, found, after = self._held.partition(closing)
        if self._blank:
            before = before.lstrip()
        thought = before.rstrip()
        keep = 0 if found or last else _overlap(before, closing)
        if keep:
            thought = before[: len(before) - keep].rstrip()
        if thought:
            parts.append(Part(thought, thought=True))
            self._blank = False
        if found:
            self._held, self._state = after, self._after
            return True
        self._held = "" if last else before[len(thought) :]
        self._on = last
        return False

    def _after(self, parts: list[Part], last: bool) -> bool:
        text, header = self._held.lstrip(), self._marks.then
        if header and text.startswith(header):
            self._marks, self._held = replace(self._marks, then=""), text[len(header) :]
            return True
        if not last and (not text or header.startswith(text)):
            self._held = text
            return False
        return self._answer(parts, text)

    def _answer(self, parts: list[Part], text: str) -> bool:
        if text:
            parts.append(Part(text))
        self._held, self._on = "", True
        return False


def parse(pieces: Sequence[str], *, opened: bool = False) -> tuple[str, str]:
    """The thought and the answer of a whole text."""
    parser = ThinkingParser(opened=opened)
    parts = [part for piece in pieces for part in parser.feed(piece)] + parser.finish()
    thought = "".join(part.text for part in parts if part.thought)
    return thought, "".join(part.text for part in parts if not part.thought)


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end of `text` may be the beginning of `mark`."""
    for size in range(min(len(mark) - 1, len(text)), 0, -1):
        if text.endswith(mark[:size]):
            return size
    return 0
