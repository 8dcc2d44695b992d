"""What is asked: four short prompts, prompts of an exact length in tokens, and a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from npurun_tui.engine.messages import ChatMessage
from npurun_tui.errors import UsageError
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.bench.plan import Plan
    from npurun_tui.bench.target import Measuring

BUILT_IN: Final[dict[str, str]] = {
    "joke": "Tell me a joke about a Snapdragon laptop, in one line.",
    "matmul": "Why does an NPU multiply matrices with less energy than a CPU? Explain it in a few sentences.",
    "local": "Give three reasons to run a language model on one's own machine.",
    "number": "What is 17 times 23? Answer with the number only.",
}
"""The kinds of question that the Rust program's bench asks: short and long answers, and one of a few tokens."""

TURNS: Final = (
    "Tell me about a lighthouse on a small island.",
    "Who lives there?",
    "What is the weather like in winter?",
    "Which ships pass by?",
    "What happened last night?",
    "How did they mend it?",
    "What do they eat?",
    "How does the story end?",
)
"""A conversation's questions; a longer one begins again."""

TASK: Final = "\nTell a long story in which these words are used."

WORDS: Final = tuple(
    word
    for line in (
        "time year people way day man thing woman life child world school family student group country problem hand",
        "part place case week company system program question work government number night point home water room area",
        "money story fact month lot right study book eye job word business issue side kind head house service friend",
        "father mother power hour game line end member law car city name team minute idea body face door street river",
    )
    for word in line.split()
)
"""Common words: each is one token in most vocabularies, so that a length is met exactly."""

_TAILS: Final = (
    "",
    " a",
    ".",
    " I",
    ",",
    " so",
    "!",
    " and so",
    " a b",
    " x y z",
    ". . .",
    " q w e r",
)
"""What is put after the words where they leave a few tokens open."""

NEAR: Final = 1
"""Tokens that a prompt may be off, where no text has exactly so many."""


def prompts_of(plan: Plan) -> dict[str, str]:
    """The single prompts of `plan`: a name, which is what people see, and the text."""
    if plan.asks_all:
        return dict(BUILT_IN)
    named: dict[str, str] = {}
    for given in plan.prompts:
        text = BUILT_IN.get(given, given)
        name = given if given in BUILT_IN else one_line(given, 40)
        number = 2
        while name in named:
            name, number = f"{one_line(given, 34)} ({number})", number + 1
        named[name] = text
    return named


def length_name(length: int) -> str:
    """What a prompt of a sweep is called; 0 fills the window."""
    return f"{length} tokens" if length else "full window"


def asking(text: str) -> tuple[ChatMessage, ...]:
    """`text` as a conversation's first message."""
    return (ChatMessage("user", text),)


async def sized(measuring: Measuring, tokens: int) -> str:
    """A text that makes a prompt of `tokens` tokens, the model's template included, or one more or less where no text
    of ours has exactly so many.

    Raises:
        UsageError: there is none, or nobody can count; the text says which.
        NpurunError: the counting failed.
    """
    fitting = _Fitting(measuring, tokens)
    return await fitting.text()


class _Fitting:
    """The search for one text. A count asks the engine, a millisecond or a few, so they are few."""

    def __init__(self, measuring: Measuring, tokens: int) -> None:
        self._measuring = measuring
        self._tokens = tokens
        self._task = ""

    async def text(self) -> str:
        least = await self._count(self._made(1))
        if least > self._tokens:
            raise UsageError(
                f"No prompt of {self._tokens:,} tokens: with this model's template the shortest has {least:,}."
            )
        if await self._count(TASK) + 1 <= self._tokens:
            self._task = TASK
        words = await self._most_words()
        best, off = "", NEAR + 1
        for tail in _TAILS:
            text = self._made(words, tail)
            left = abs(self._tokens - await self._count(text))
            if left < off:
                best, off = text, left
            if off == 0:
                break
        if off > NEAR:
            raise UsageError(
                f"No text of this bench has {self._tokens:,} tokens in this model's vocabulary."
            )
        return best

    async def _most_words(self) -> int:
        """The largest number of words that is not too long; a guess of one token each is mostly right at once."""
        most, least = 1, await self._count(self._made(1))
        over: int | None = None
        guess = max(2, self._tokens - least + 1)
        while over is None or over - most > 1:
            count = await self._count(self._made(guess))
            if count <= self._tokens:
                most, least = guess, count
            else:
                over = guess
            guess = most + max(1, self._tokens - least)
            if over is not None and guess >= over:
                guess = (most + over) // 2 if over - most > 2 else most + 1
        return most

    def _made(self, words: int, tail: str = "") -> str:
        return " ".join(WORDS[i % len(WORDS)] for i in range(words)) + tail + self._task

    async def _count(self, text: str) -> int:
        count = await self._measuring.count(asking(text))
        if count is None:
            name = self._measuring.side.label
            raise UsageError(
                f"{name} does not tell how many tokens a prompt has, so no prompt of a set length is asked."
            )
        return count
