"""Stop sequences in a stream of text: what may be shown now, and where the answer ends.

A stop sequence may begin in one token and end three tokens later, and none of it may ever be seen. So the longest
suffix that may still become one is held back. Each sequence is a Knuth-Morris-Pratt automaton, which makes the work
linear in the text whatever the sequences look like (`aaaa…b` against `aaaa…` is the case that ruins simpler ways).
"""

from __future__ import annotations

from collections.abc import Sequence


class _Automaton:
    """How much of one sequence the text's end matches."""

    __slots__ = ("borders", "matched", "sequence")

    def __init__(self, sequence: str) -> None:
        self.sequence = sequence
        self.matched = 0
        self.borders = [0] * len(sequence)
        length = 0
        for index in range(1, len(sequence)):
            while length and sequence[index] != sequence[length]:
                length = self.borders[length - 1]
            if sequence[index] == sequence[length]:
                length += 1
            self.borders[index] = length

    def step(self, character: str) -> bool:
        """Take one character; True where the sequence is complete."""
        sequence, matched = self.sequence, self.matched
        while matched and sequence[matched] != character:
            matched = self.borders[matched - 1]
        if sequence[matched] == character:
            matched += 1
        self.matched = matched
        return matched == len(sequence)


class StopFilter:
    """One answer's filter. After a match it is used up; make a new one for the next answer."""

    def __init__(self, sequences: Sequence[str]) -> None:
        """`sequences` are not empty strings. Without any, text passes through untouched."""
        self._automata = [_Automaton(sequence) for sequence in dict.fromkeys(sequences)]
        self.held = ""
        """Text that came in and may yet turn out to begin a stop sequence."""
        self.emitted = 0
        """Characters that were let through: a match begins just after them."""
        self.matched = ""
        """The sequence that ended the text."""

    def feed(self, text: str) -> tuple[str, bool]:
        """`(text that may be shown, whether a stop sequence ended)`.

        The sequence that ends first counts; of several that end together, the longest. What follows is dropped.
        """
        if not self._automata:
            self.emitted += len(text)
            return text, False
        pending = self.held + text
        for index, character in enumerate(text, start=len(self.held) + 1):
            self.matched = self._step(character)
            if self.matched:
                self.held = ""
                return self._emit(pending[: index - len(self.matched)]), True
        keep = max(automaton.matched for automaton in self._automata)
        self.held = pending[len(pending) - keep :]
        return self._emit(pending[: len(pending) - keep]), False

    def flush(self) -> str:
        """What was held back, once no more text can come."""
        held, self.held = self.held, ""
        return self._emit(held)

    def _step(self, character: str) -> str:
        """The longest sequence that ends with `character`, "" where none does."""
        longest = ""
        for automaton in self._automata:
            if automaton.step(character) and automaton.matched > len(longest):
                longest = automaton.sequence
        return longest

    def _emit(self, text: str) -> str:
        self.emitted += len(text)
        return text
