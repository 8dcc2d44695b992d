"""The questions of one block, in the order in which they are asked, such as fit the window."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from npurun_tui.bench.plan import Plan
from npurun_tui.bench.prompts import TURNS, asking, length_name, prompts_of, sized
from npurun_tui.bench.target import Measuring, Question
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.errors import UsageError

CONVERSATION: Final = "conversation"
"""What the prompt of several turns is called."""

TEMPLATE: Final = 64
"""Tokens that a chat template has for one message and to begin with, at most, by and large."""


@dataclass(frozen=True, slots=True)
class Case:
    """A question, and what its run is called."""

    prompt: str
    question: Question
    turn: int = 0
    reuse: bool = False


Talk = Generator[Case, str, None]
"""Cases, each after the answer to the one before it was sent in."""


@dataclass(frozen=True, slots=True)
class Step:
    """What has to be asked in one go: one question, or a conversation."""

    first: Case
    play: Callable[[], Talk]
    cases: int
    """At most so many."""


class Questions:
    """Makes each block's steps. Texts of a set length are made once, and asked of both sides."""

    def __init__(self, plan: Plan, note: Callable[[str], None]) -> None:
        """`note` hears what is left out, and why."""
        self._plan = plan
        self._note = note
        self._texts: dict[tuple[int, int, int], str | None] = {}
        self._steps: dict[tuple[str, int], list[Step]] = {}

    def known(self, side: str, context: int) -> int | None:
        """How many runs a block has; None before its first time."""
        steps = self._steps.get((side, context))
        return None if steps is None else sum(step.cases for step in steps)

    async def steps(self, measuring: Measuring, context: int) -> list[Step]:
        """The steps of the side at hand, whose window was asked for as `context`.

        Raises:
            NpurunError: the counting of tokens failed.
        """
        key = measuring.side.key, context
        if key not in self._steps:
            self._steps[key] = await self._made(measuring, context)
        return list(self._steps[key])

    async def _made(self, measuring: Measuring, context: int) -> list[Step]:
        steps: list[Step] = []
        for limit in self._plan.outputs:
            for name, text in prompts_of(self._plan).items():
                case = Case(name, Question(asking(text), limit))
                if await self._fits(measuring, case):
                    steps.append(_single(case))
            for length in self._plan.lengths:
                sweep = await self._of_length(measuring, context, length, limit)
                if sweep is not None:
                    steps.append(_single(sweep))
            if self._plan.turns:
                steps += _conversation(self._plan.turns, limit)
        return steps

    async def _fits(self, measuring: Measuring, case: Case) -> bool:
        """Whether the prompt leaves room for a token; what does not is noted."""
        tokens = await _tokens(measuring, case.question, 1)
        if tokens is None:
            return True
        self._leave_out(measuring, case.prompt, tokens, 0)
        return False

    async def may_go_on(self, measuring: Measuring, case: Case) -> bool:
        """Whether a conversation's next turn and its answer fit; where not, that is noted and it ends."""
        if await _tokens(measuring, case.question, case.question.max_tokens) is None:
            return True
        self._note(
            f"The conversation ended before turn {case.turn}: with its answer it would not fit the window of "
            f"{measuring.side.context:,} tokens of {measuring.side.label}."
        )
        return False

    async def _of_length(
        self, measuring: Measuring, context: int, length: int, limit: int
    ) -> Case | None:
        """A prompt of `length` tokens, 0 being all that fits with the answer; None where that is left out."""
        window = measuring.side.context
        tokens = length or window - limit
        key = (length, 0, 0) if length else (0, context, limit)
        if window and (tokens < 1 or tokens + limit > window):
            self._leave_out(measuring, length_name(length), tokens, limit)
            return None
        if not window and not length:
            self._note(
                f"{measuring.side.label} does not tell its context window, so none is filled."
            )
            return None
        if key not in self._texts:
            self._texts[key] = await self._text(measuring, tokens)
        text = self._texts[key]
        if text is None:
            return None
        case = Case(length_name(length), Question(asking(text), limit))
        return case if await self._fits(measuring, case) else None

    async def _text(self, measuring: Measuring, tokens: int) -> str | None:
        try:
            return await sized(measuring, tokens)
        except UsageError as error:
            self._note(f"Left out: {error}")
            return None

    def _leave_out(self, measuring: Measuring, name: str, tokens: int, limit: int) -> None:
        need = f"{max(tokens, 0):,} tokens" + (f" and an answer of {limit:,}" if limit else "")
        self._note(
            f"Left out: {name} ({need}) does not fit the window of {measuring.side.context:,} tokens of "
            f"{measuring.side.label}."
        )


async def _tokens(measuring: Measuring, question: Question, answer: int) -> int | None:
    """The prompt's tokens where it does not fit with `answer` tokens; None where it does, or nobody can tell.

    What fits at a token for each byte is not counted: a count makes an endpoint read the prompt.
    """
    window = measuring.side.context
    size = sum(len(message.content.encode()) + TEMPLATE for message in question.messages)
    if not window or TEMPLATE + size + answer <= window:
        return None
    tokens = await measuring.count(question.messages)
    return None if tokens is None or tokens + answer <= window else tokens


def _single(case: Case) -> Step:
    def play() -> Talk:
        yield case

    return Step(case, play, 1)


def _conversation(turns: int, limit: int) -> list[Step]:
    """A conversation that keeps its cache from turn to turn, and the same one, word for word, that keeps nothing."""
    transcript: list[str] = []

    def case(turn: int, messages: tuple[ChatMessage, ...], reuse: bool) -> Case:
        question = Question(messages, limit, keep=reuse and turn > 1)
        return Case(CONVERSATION, question, turn, reuse)

    def kept() -> Talk:
        transcript.clear()
        for turn in range(1, turns + 1):
            transcript.append((yield case(turn, _messages(transcript), True)))

    def anew() -> Talk:
        for turn in range(1, len(transcript) + 1):
            yield case(turn, _messages(transcript[: turn - 1]), False)

    first = _messages([])
    return [
        Step(case(1, first, True), kept, turns),
        Step(case(1, first, False), anew, turns),
    ]


def _messages(answers: list[str]) -> tuple[ChatMessage, ...]:
    """The conversation so far, with the next question at its end."""
    messages: list[ChatMessage] = []
    for turn, answer in enumerate(answers):
        messages += [
            ChatMessage("user", TURNS[turn % len(TURNS)]),
            ChatMessage("assistant", answer),
        ]
    messages.append(ChatMessage("user", TURNS[len(answers) % len(TURNS)]))
    return tuple(messages)
