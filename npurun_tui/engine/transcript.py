"""A turn: from a conversation to an answer, prefilling only what is new.

The whole conversation is rendered with the model's template and sent as REWIND, so that the engine keeps the longest
common token prefix of its cache, unless the cache is empty or the engine knows that it cannot bear that rewind. A
rewind that fails, also silently, costs time, never the answer: the dialog is built anew, in a new process where that
does not help, the conversation is sent whole, and the turn's figures say so. Nothing is ever trimmed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from npurun_tui import units
from npurun_tui.engine.dialog import (
    Ending,
    GenieError,
    Opening,
    QueryProfile,
    Sampler,
    SentenceCode,
    Status,
)
from npurun_tui.engine.messages import ChatMessage, Constraint, PromptExtras
from npurun_tui.engine.plain import clean
from npurun_tui.engine.remote import QueryOutcome, RemoteDialog
from npurun_tui.engine.tally import Tally
from npurun_tui.errors import ContextOverflow, EngineCrashed, EngineError

if TYPE_CHECKING:
    from npurun_tui.engine.engine import Permit

T = TypeVar("T")

NOTHING: Final = QueryOutcome(Status.WARNING_ABORTED, 0, 0, None)
"""A query that was stopped before it began."""

NOTHING_ASKED: Final = "There is nothing to answer: the prompt is empty."

WINDOW_FULL: Final = "the context window is full"
REFILLED: Final = "the cache could not be rewound, so the whole conversation was prefilled again"
RESTARTED: Final = (
    "the engine was wedged, so its process was restarted and the whole conversation prefilled again"
)

_MENDABLE: Final = frozenset(
    {
        Status.ERROR_GENERAL,
        Status.ERROR_MEM_ALLOC,
        Status.ERROR_INVALID_HANDLE,
        Status.ERROR_QUERY_FAILED,
        Status.ERROR_GENERATE_FAILED,
        Status.ERROR_GET_HANDLE_FAILED,
        Status.ERROR_APPLY_CONFIG_FAILED,
        Status.ERROR_SET_PARAMS_FAILED,
    }
)
"""What a query of a dialog in a bad state fails with; other statuses say that the question was wrong."""


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """How an answer is sampled and where it ends."""

    sampler: Sampler = field(default_factory=Sampler)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    extras: PromptExtras = field(default_factory=PromptExtras)
    constraint: Constraint | None = None
    snapshots: bool = True
    """Saved caches may be brought back for it. Who measures a prefill says no."""


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class TurnStats:
    """Figures of one turn. Counts are the tokenizer's; rates and TTFT are the engine's, `total_ms` is the host's.

    What it took to bring a saved cache back is in the TTFT too.
    """

    prompt_tokens: int
    cached_tokens: int
    prefilled_tokens: int
    completion_tokens: int
    ttft_ms: float
    prefill_tps: float
    decode_tps: float
    total_ms: float
    occupancy: int
    """Tokens in the KV cache after the turn."""
    context_size: int
    note: str = ""
    """What a person should know about this turn, in words; often empty."""
    model: str = ""
    """The model that answered, where the figures are kept longer than it stays loaded."""


@dataclass(frozen=True, slots=True)
class Prefill:
    """The prompt is being read: tokens done, of how many."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer's end."""

    reason: FinishReason
    stats: TurnStats
    stop_sequence: str = ""
    """Which of `TurnOptions.stop` ended it; empty where none did or the engine cannot tell."""


OnEvent = Callable[[Prefill | Piece], None]
"""Told of a turn's progress, on the event loop. It must not block."""


class Turn:
    """One answer: `run` it once; `stop()` ends it early with what has arrived."""

    def __init__(
        self,
        permit: Permit,
        context_size: int,
        messages: Sequence[ChatMessage],
        options: TurnOptions,
        prompt: str | None = None,
        tally: Tally | None = None,
    ) -> None:
        """With `prompt` that is sent as it stands, and `messages` is not looked at. `tally` counts the tokens."""
        self._permit = permit
        self._context_size = context_size
        self._messages = messages
        self._options = options
        self.prompt = prompt
        """The prompt's text; None until it is rendered."""
        self.profile: QueryProfile | None = None
        """The engine's figures of the query that brought tokens, also where the turn was cancelled."""
        self._tally = tally or Tally()
        self._stop = asyncio.Event()
        self._on_event: OnEvent = lambda _event: None
        self.first_token = 0.0
        """When the first generated token came here, on `time.perf_counter`; 0 before it."""
        self.last_token = 0.0
        """When the last one came until now."""
        self._made_ready = 0.0
        """Seconds that it took to bring a saved cache back, or to save another conversation's."""

    @property
    def tokens(self) -> int:
        """Generated tokens until now."""
        return self._tally.completion_tokens

    @property
    def _dialog(self) -> RemoteDialog:
        """The permit's dialog of this moment: a restart brings another one."""
        return self._permit.dialog

    def stop(self) -> None:
        """End the answer within a token; `run` then returns with `ABORTED`."""
        self._stop.set()

    async def run(self, on_event: OnEvent) -> Finished:
        """Generate. When this returns or raises (a cancellation included), the dialog is free for the next turn.

        Raises:
            ContextOverflow: the conversation does not fit the window; nothing was generated.
            EngineCrashed: the process died; the pieces that came before are valid.
            TemplateInvalid, GenieError: as the names say.
        """
        self._on_event = on_event
        began = time.perf_counter()
        prompt = await self._until_stopped(self._prepare())
        if prompt is None:
            return Finished(FinishReason.ABORTED, self._stats(NOTHING, began, ""))
        outcome, note = await self._ask(prompt)
        if outcome.status is Status.WARNING_CONTEXT_EXCEEDED:
            if not outcome.generated:
                raise await self._overflow(prompt)
            note = WINDOW_FULL
        return Finished(
            self._reason(outcome), self._stats(outcome, began, note), outcome.stop_sequence
        )

    async def _prepare(self) -> str:
        """Set the dialog up and render the conversation."""
        await self._configure()
        if self.prompt is None:
            self.prompt = await self._dialog.render(self._messages, self._options.extras)
        return self.prompt

    async def _configure(self) -> None:
        options = self._options
        await self._dialog.configure(
            options.sampler, options.stop, options.max_tokens, options.constraint
        )

    async def _until_stopped(self, work: Coroutine[object, object, T]) -> T | None:
        """What `work` gives; None where `stop` came first."""
        task = asyncio.create_task(work, name="prompt")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            return None
        finally:
            stopping.cancel()
            task.cancel()
            await asyncio.wait({task})

    async def _ask(self, prompt: str) -> tuple[QueryOutcome, str]:
        """The answer and what to say of how it came, climbing from the cheapest way to the surest."""
        try:
            if await self._until_stopped(self._make_ready(prompt)) is None:
                return NOTHING, ""
        except EngineCrashed:
            return await self._ask_anew(prompt)
        start, trusts_empty = await self._dialog.opening(prompt)
        note = f"prefilled whole: {start.why}" if start.why else ""
        rungs: list[tuple[Opening, str]] = [(start.how, note)]
        if start.how is not Opening.REBUILD:
            rungs.append((Opening.REBUILD, REFILLED))
        for how, said in rungs:
            try:
                outcome = await self._attempt(how, prompt)
            except (GenieError, EngineCrashed) as error:
                if not self._may_ask_again(error, how):
                    raise
                if isinstance(error, EngineCrashed):
                    break  # there is nothing left to build anew in
                continue
            silent = outcome.status is Status.SUCCESS and not outcome.generated
            if not (how is Opening.REWIND and silent and not trusts_empty):
                return outcome, said
        return await self._ask_anew(prompt)

    async def _ask_anew(self, prompt: str) -> tuple[QueryOutcome, str]:
        """The answer of a new engine process."""
        if await self._until_stopped(self._restart()) is None:
            return NOTHING, RESTARTED
        return await self._query(prompt, SentenceCode.COMPLETE), RESTARTED

    async def _make_ready(self, prompt: str) -> bool:
        """Have the cache hold what is cheapest to go on from, where conversations are kept."""
        if self._permit.conversations is not None and self._options.snapshots:
            took = await self._permit.conversations.make_ready(self._dialog, prompt)
            self._made_ready = took
        return True

    async def _restart(self) -> bool:
        """Have the model in a new process, set up as before; up to half a minute on the NPU, so it can be stopped."""
        await self._permit.restart()
        await self._configure()
        return True

    async def _attempt(self, how: Opening, prompt: str) -> QueryOutcome:
        if how is Opening.REWIND:
            return await self._query(prompt, SentenceCode.REWIND)
        if how is not Opening.APPEND and await self._until_stopped(self._empty(how)) is None:
            return NOTHING
        return await self._query(prompt, SentenceCode.COMPLETE)

    async def _empty(self, how: Opening) -> bool:
        """Empty the cache; to build the dialog anew takes seconds on the NPU. Who stops waiting leaves it to its
        end."""
        await (self._dialog.rebuild() if how is Opening.REBUILD else self._dialog.reset())
        return True

    def _may_ask_again(self, error: GenieError | EngineCrashed, how: Opening) -> bool:
        """Not where a part of the answer is there already, and not where the question was wrong.

        A crash is answered again only where a rewind, or what was to mend one, may have caused it.
        """
        if self.first_token or self._stop.is_set():
            return False
        if isinstance(error, GenieError):
            return error.status in _MENDABLE
        return how in (Opening.REWIND, Opening.REBUILD)

    async def _query(self, prompt: str, code: SentenceCode) -> QueryOutcome:
        dialog = self._dialog
        try:
            outcome = await dialog.query(
                prompt, code, self._on_token, self._on_progress, self._stop
            )
        finally:
            last = dialog.last
            if last is not None and last.generated:
                self.profile = last.profile
        if self._permit.conversations is not None:
            self._permit.conversations.learn(dialog, outcome)
        return outcome

    def _on_token(self, text: str, code: int) -> None:
        now = time.perf_counter()
        if code in (SentenceCode.BEGIN, SentenceCode.CONTINUE):
            self.first_token = self.first_token or now
            self.last_token = now
            self._tally.completion_tokens += 1
        if text:
            self._on_event(Piece(text))

    def _on_progress(self, done: int, total: int) -> None:
        self._on_event(Prefill(done, total))

    async def _overflow(self, prompt: str) -> ContextOverflow:
        needed = len(await self._dialog.tokenize(prompt))
        return ContextOverflow(
            f"The conversation has {units.count(needed, 'token')}; "
            f"the model's context window holds {self._context_size:,}.",
            mend="Shorten the message, or begin a new chat.",
            needed=needed,
            window=self._context_size,
        )

    def _reason(self, outcome: QueryOutcome) -> FinishReason:
        if outcome.status is Status.WARNING_ABORTED:
            return FinishReason.ABORTED
        if outcome.status is Status.WARNING_CONTEXT_EXCEEDED:
            return FinishReason.LENGTH
        if outcome.ending is not None:
            return FinishReason.LENGTH if outcome.ending is Ending.LENGTH else FinishReason.STOP
        limit = self._options.max_tokens  # the engine cannot tell: a full count is the limit
        if limit is not None and outcome.generated >= max(limit, 1):
            return FinishReason.LENGTH
        return FinishReason.STOP

    def _stats(self, outcome: QueryOutcome, began: float, note: str) -> TurnStats:
        profile = outcome.profile or self._host_profile(outcome)
        return TurnStats(
            prompt_tokens=profile.cached_tokens + profile.prompt_tokens,
            cached_tokens=profile.cached_tokens,
            prefilled_tokens=profile.prompt_tokens,
            completion_tokens=profile.generated_tokens,
            ttft_ms=profile.ttft_us / 1000 + self._made_ready * 1000 if profile.ttft_us else 0.0,
            prefill_tps=profile.prefill_tps,
            decode_tps=profile.decode_tps,
            total_ms=(time.perf_counter() - began) * 1000,
            occupancy=outcome.occupancy,
            context_size=self._context_size,
            note=note,
        )

    def _host_profile(self, outcome: QueryOutcome) -> QueryProfile:
        """What is known where the engine has no figures: how many tokens came. What it prefilled and how long that
        took is nobody's guess; the tokens in the cache may all be of earlier turns."""
        return QueryProfile(
            prompt_tokens=0,
            cached_tokens=0,
            generated_tokens=outcome.generated,
            ttft_us=0,
            generation_us=0,
        )


def begin_turn(
    permit: Permit, context_size: int, messages: Sequence[ChatMessage], options: TurnOptions
) -> Turn:
    """A turn for `messages`, whose last is the user's or a tool's.

    Raises:
        EngineError: there is nothing to answer.
    """
    check_asked(messages)
    return Turn(permit, context_size, messages, options)


def check_asked(messages: Sequence[ChatMessage]) -> None:
    """Raises EngineError unless the last message is one that can be answered."""
    last = messages[-1] if messages else None
    if last is not None and last.role == "assistant":
        raise EngineError(
            "There is nothing to answer: the last message is the model's own.",
            mend="End with a user's message or a tool's result.",
        )
    if last is None or not (last.role == "tool" or (last.role == "user" and last.content.strip())):
        raise EngineError(NOTHING_ASKED, mend="Type a question first.")


def begin_raw_turn(
    permit: Permit,
    context_size: int,
    prompt: str,
    options: TurnOptions,
    tally: Tally | None = None,
) -> Turn:
    """A turn for the text `prompt` as it stands: no chat template, and control tokens in it are just that. Its tokens
    are counted in `tally`.

    Raises:
        EngineError: it is empty.
    """
    if not prompt:
        raise EngineError(NOTHING_ASKED, mend="Write a prompt.")
    return Turn(permit, context_size, (), options, clean(prompt), tally)
