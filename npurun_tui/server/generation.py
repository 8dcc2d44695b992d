"""One answer, on the engine's loop, with the permit held and the model loaded: the prompt, the turn, the figures.

An answer that is held to a schema cannot hold a thought as well: where the model is to think, or its prompt opens a
thought that it cannot leave out, it thinks first, freely, up to the closing mark, and is then held to the schema from
there on. Both halves share the cache, and are one answer with one set of figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from npurun_tui.engine.dialog import GenieError, Status
from npurun_tui.engine.engine import LoadedModel, Permit
from npurun_tui.engine.messages import ChatMessage, Constraint, PromptExtras
from npurun_tui.engine.template_facts import CLOSE_MARK, OPEN_MARK, opens_thinking
from npurun_tui.engine.transcript import (
    Finished,
    FinishReason,
    Piece,
    Prefill,
    Turn,
    TurnOptions,
    TurnStats,
    begin_raw_turn,
)
from npurun_tui.errors import ContextOverflow, EngineCrashed, EngineError
from npurun_tui.server.asking import Reading
from npurun_tui.server.bridge import Emit
from npurun_tui.server.budget import Budget, Fitted, Wanted, too_long
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.faults import BadRequest, EngineFault, Unsupported
from npurun_tui.server.sampling import max_tokens_of
from npurun_tui.server.signals import Asked, Began, Ended, Held, Signal
from npurun_tui.server.toolcalls.choice import asked_to_call, constraint_of, must_call

TIME_UP: Final = "The answer took longer than this server allows and was ended."


class Generation:
    """The answer to one request. On the engine's loop, but for its making."""

    def __init__(self, asked: Asked, config: ServerConfig) -> None:
        self._asked = asked
        self._config = config
        self._turn: Turn | None = None
        self._stopped = False
        self._time_up = False
        self._emit: Emit[Signal] = lambda _signal: None

    def stop(self) -> None:
        """End the answer with what has come."""
        self._stopped = True
        if self._turn is not None:
            self._turn.stop()

    async def run(self, held: Held, emit: Emit[Signal]) -> None:
        """Generate, and tell.

        Raises:
            RequestFault: the model or the engine cannot do what is asked, or it does not fit.
            EngineFault: the engine process died; what came before is valid.
            TemplateInvalid, GenieError: as the names say.
        """
        self._emit = emit
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._config.limits.generation, self._end_of_time)
        try:
            emit(Ended(await self._answer(held), self._time_up))
        except EngineCrashed as error:
            raise EngineFault(error.message, mend=error.mend, code="engine_crashed") from error
        except GenieError as error:
            if error.status is Status.ERROR_JSON_SCHEMA and self._asked.constraint is not None:
                text = f"The engine does not take the schema: {error.detail or error.message}"
                param = "tools" if self._asked.ask.schema is None else "response_format"
                raise BadRequest(text, param=param) from error
            raise
        finally:
            timer.cancel()

    def _end_of_time(self) -> None:
        self._time_up = True
        self.stop()

    async def _answer(self, held: Held) -> Finished:
        asked, model = self._asked, held.model
        if model.embeds:
            raise Unsupported(f"{model.name} makes embeddings and gives no answers.", param="model")
        if asked.ask.schema is not None and not model.constrains:
            raise Unsupported(
                f"{model.place} cannot hold an answer to JSON or a schema.",
                param="response_format",
                mend="Ask for it in words, or use a model on an engine that can.",
            )
        constraint = asked.constraint if model.constrains else None
        fitted = await self._fitted(held, constraint)
        if constraint is not None and asked.tools and not fitted.tools:
            constraint = constraint_of(asked.ask, ())
        prompt, thinks = self._opened(fitted.prompt, model, constraint)
        self._emit(
            Began(
                held.queue_ms,
                held.load_ms,
                opened=asked.ask.prompt is None and opens_thinking(prompt),
                tools=fitted.tools,
                warnings=fitted.warnings,
            )
        )
        options = TurnOptions(
            asked.sampler,
            max_tokens_of(asked.ask.max_tokens, model.context_size),
            asked.stops,
            constraint=constraint,
            snapshots=asked.ask.cache,
        )
        await self._seed(held.permit)
        if not asked.ask.cache:
            await held.permit.dialog.reset()
        if thinks:
            return await self._think_first(held, prompt, options)
        return await self._generate(held, prompt, options, self._hear)

    # -- the prompt ------------------------------------------------------------------------

    async def _fitted(self, held: Held, constraint: Constraint | None) -> Fitted:
        asked, ask = self._asked, self._asked.ask
        if ask.prompt is not None:
            return Fitted(ask.prompt, tools=False)
        messages = ask.messages
        calls = bool(asked.tools) and must_call(ask.tool_choice)
        if calls and constraint is None:
            messages = asked_to_call(messages, ask.tool_choice)
        think = False if constraint is not None and not ask.think else ask.think
        wanted = Wanted(messages, PromptExtras(asked.tools, think), ask.truncate, calls)
        budget = Budget(
            held.permit.dialog, held.model.context_size, self._config.tools, ask.max_tokens
        )
        try:
            return await budget.fit(wanted)
        except EngineError as error:
            if type(error) is not EngineError:
                raise
            raise BadRequest(error.message, mend=error.mend, param="tools") from error

    def _opened(
        self, prompt: str, model: LoadedModel, constraint: Constraint | None
    ) -> tuple[str, bool]:
        """The prompt, and whether a free thought comes before a constrained answer."""
        ask = self._asked.ask
        if constraint is None or ask.prompt is not None:
            return prompt, False
        if opens_thinking(prompt):
            return prompt, True
        if ask.think and model.facts.thinking:
            return f"{prompt}{OPEN_MARK}\n", True
        return prompt, False

    # -- the turn --------------------------------------------------------------------------

    async def _seed(self, permit: Permit) -> None:
        """Have the random stream begin anew: it does where the seed changes, and two requests with the same seed are
        to give the same answer."""
        sampler = self._asked.sampler
        if sampler.seed is not None:
            await permit.dialog.configure(replace(sampler, seed=sampler.seed ^ 1))

    async def _think_first(self, held: Held, prompt: str, options: TurnOptions) -> Finished:
        said: list[str] = []

        def hear(event: Prefill | Piece) -> None:
            if isinstance(event, Piece):
                said.append(event.text)
            self._hear(event)

        free = replace(options, stop=(CLOSE_MARK,), constraint=None)
        first = await self._generate(held, prompt, free, hear)
        left = options.max_tokens
        if left is not None:
            left -= first.stats.completion_tokens
        if (
            first.reason is not FinishReason.STOP
            or self._stopped
            or (left is not None and left < 1)
        ):
            return replace(first, reason=_limit(first.reason), stop_sequence="")
        closing = f"{CLOSE_MARK}\n\n"
        self._emit(Piece(closing))
        prompt = f"{prompt}{''.join(said)}{closing}"
        second = await self._generate(held, prompt, replace(options, max_tokens=left), self._hear)
        return replace(second, stats=_together(first.stats, second.stats))

    async def _generate(
        self,
        held: Held,
        prompt: str,
        options: TurnOptions,
        hear: Callable[[Prefill | Piece], None],
    ) -> Finished:
        if not prompt:
            raise BadRequest("The prompt is empty.", param="prompt")
        window = held.model.context_size
        tally, second = self._asked.ask.tally, self._turn is not None
        self._turn = turn = begin_raw_turn(held.permit, window, prompt, options, tally)
        if self._stopped:
            turn.stop()
        try:
            return await turn.run(hear)
        except ContextOverflow as error:
            raise too_long(error.needed, window) from error
        finally:
            # The second half's prompt is the first's and what was thought: it is not counted again.
            if turn.profile is not None and not second:
                tally.read(turn.profile)

    def _hear(self, event: Prefill | Piece) -> None:
        self._emit(event if isinstance(event, Piece) else Reading(event.done, event.total))


async def warm_up(held: Held) -> None:
    """Have a model that was just loaded say one token to nobody."""
    if held.model.embeds:
        return
    options = TurnOptions(max_tokens=1)
    turn = begin_raw_turn(held.permit, held.model.context_size, "Hello", options)
    await turn.run(lambda _event: None)


def nothing_to_answer(messages: tuple[ChatMessage, ...]) -> str:
    """Why `messages` cannot be answered, as a sentence; empty where they can."""
    if not messages:
        return "There is nothing to answer: there are no messages."
    last = messages[-1]
    if last.role == "assistant":
        return "There is nothing to answer: the last message is the model's own."
    if last.role != "tool" and not last.content.strip():
        return "There is nothing to answer: the last message is empty."
    return ""


def _limit(reason: FinishReason) -> FinishReason:
    """An answer that ended before it began has met a limit."""
    return FinishReason.LENGTH if reason is FinishReason.STOP else reason


def _together(first: TurnStats, second: TurnStats) -> TurnStats:
    """The figures of two halves as one answer's."""
    tokens = first.completion_tokens + second.completion_tokens
    halves = [each for each in (first, second) if each.decode_tps > 0]
    seconds = sum(each.completion_tokens / each.decode_tps for each in halves)
    decoded = sum(each.completion_tokens for each in halves)
    return replace(
        first,
        completion_tokens=tokens,
        decode_tps=decoded / seconds if seconds else 0.0,
        total_ms=first.total_ms + second.total_ms,
        occupancy=second.occupancy,
        note=second.note or first.note,
    )
