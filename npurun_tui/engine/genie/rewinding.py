"""How a turn should begin: rewind the cache, or begin anew, by what this release is known to bear.

A rewind that the library cannot bear costs more than the prefill it would have saved: it returns -1, answers with
nothing, or poisons the dialog, and then the prefill comes on top. So a rewind that a rule speaks against is not
tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from npurun_tui.engine.dialog import Opening, Start
from npurun_tui.engine.genie.rules import Limits


@dataclass(slots=True)
class Cached:
    """Our own account of what the cache holds. Genie tells only how many tokens it is."""

    tokens: list[int] = field(default_factory=list)
    """Of the prompts; the answers' are added when they are first asked for."""
    answer: str = ""
    """The last answer's text, not yet among the tokens: an answer nobody goes on with is never tokenized."""
    cut: bool = False
    """Max tokens ended the last answer."""
    prompt_end: int = 0
    """Tokens up to the end of the last prompt. What comes after them is known by its text only."""
    restored: bool = False
    """It came from a snapshot."""
    broken: str = ""
    """Why the dialog cannot be trusted any more; empty where it can."""

    def settle(self, encode: Callable[[str], list[int]]) -> Sequence[int]:
        """All tokens, the last answer's included."""
        if self.answer:
            self.tokens += encode(self.answer)
            self.answer = ""
        return self.tokens


def choose(
    prompt: Sequence[int], cached: Sequence[int], held: int, state: Cached, limits: Limits
) -> Start:
    """How to begin a turn whose whole prompt is `prompt`.

    `cached` are the tokens that we believe to be in the cache, `held` how many Genie says there are.
    """
    if state.broken:
        return Start(Opening.REBUILD, state.broken)
    if not held:
        return Start(Opening.APPEND)
    shared = _shared(prompt, cached)
    if abs(len(cached) - held) > 1:
        # The answer's tokens are not those of its text: where the two part nobody knows.
        shared = min(shared, state.prompt_end)
    against = _against(len(prompt), shared, max(0, held - shared), held, state, limits)
    if not against:
        return Start(Opening.REWIND)
    large = limits.largest_reset is not None and held > limits.largest_reset
    return Start(Opening.REBUILD if large else Opening.RESET, against)


def _against(
    length: int, shared: int, discarded: int, held: int, state: Cached, limits: Limits
) -> str:
    """What speaks against a rewind, in words; empty where nothing does."""
    if not limits.rewinds:
        return "this release cannot rewind"
    return _at_all(length, state, limits) or _cutting(shared, discarded, held, limits)


def _at_all(length: int, state: Cached, limits: Limits) -> str:
    if state.restored and not limits.rewinds_restored:
        return "it was restored, and this release cannot rewind what was"
    if state.cut and not limits.rewinds_after_cut:
        return "the last answer was cut, and this release cannot rewind after that"
    if limits.longest_extended is not None and length > limits.longest_extended:
        return "the conversation is longer than this release can rewind"
    return ""


def _cutting(shared: int, discarded: int, held: int, limits: Limits) -> str:
    if discarded <= 1:  # the last sampled token, or the boundary: nothing that was said is given up
        return ""
    if shared < limits.least_shared:
        return "the conversation differs near its beginning"
    if limits.most_discarded is not None and discarded > limits.most_discarded:
        return "more would be discarded than this release can bear"
    if limits.longest_cut is not None and held > limits.longest_cut:
        return "the cache is too long to be cut"
    return ""


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Length of the longest common token prefix."""
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))
