"""What a dialog's cache holds, as text: enough to guess what a prompt would reuse, without asking the engine process.

It is a guess: an answer's text may lack a stop sequence that the cache has, and the share of a text that two prompts
have in common is turned into tokens by that text's own ratio. Nothing relies on it but the choice of what is cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from npurun_tui.engine.dialog import SentenceCode, Status

_WHOLE: Final = frozenset({SentenceCode.COMPLETE, SentenceCode.REWIND})


@dataclass(frozen=True, slots=True)
class Held:
    """The text of a cache."""

    prompt: str
    answer: str
    """What was generated after `prompt`."""
    tokens: int
    """How many the cache holds of both."""

    @property
    def text(self) -> str:
        """All of it."""
        return self.prompt + self.answer

    def tokens_shared(self, text: str) -> int:
        """About how many of the tokens a cache for `text` would have in common with this one."""
        mine = self.text
        return self.tokens * common_length(mine, text) // len(mine) if mine else 0


EMPTY: Final = Held("", "", 0)


def after_query(
    before: Held | None, text: str, code: SentenceCode, answer: str, ended: tuple[Status, int, int]
) -> Held | None:
    """What the cache holds after a query of `text` that found `before`; None where that is not known.

    `ended` is the status, the number of generated tokens, and how many tokens the cache holds.
    """
    status, generated, occupancy = ended
    if status is Status.WARNING_CONTEXT_EXCEEDED and not generated:
        return before  # it was refused, and nothing has happened
    if code not in _WHOLE or (code is SentenceCode.COMPLETE and before != EMPTY):
        return (
            None  # appended to something: what a dialog puts between two texts is its own business
        )
    if status is Status.WARNING_ABORTED and not generated:
        # Of the prompt, only what was there before is surely there.
        return Held(text[: common_length(before.text, text)], "", occupancy) if before else None
    return Held(text, answer, occupancy)


def common_length(first: str, second: str) -> int:
    """Length of the longest common prefix; comparing halves is a hundred times faster than comparing characters."""
    low, high = 0, min(len(first), len(second))
    if first[:high] == second[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
