"""One request on the engine's loop: the waiting line, the model, the turn.

What happens is told to the server's side by `emit`; what the answer's text means is found out over there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from npurun_tui import units
from npurun_tui.engine.engine import Engine, LoadedModel, Permit
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import (
    Finished,
    FinishReason,
    Piece,
    Prefill,
    Turn,
    TurnOptions,
    begin_turn,
)
from npurun_tui.errors import EngineCrashed, QueueFull
from npurun_tui.server.asking import Ask, Loading, Queued, Reading
from npurun_tui.server.bridge import Emit
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.faults import Busy, EngineFault
from npurun_tui.server.residence import Residence
from npurun_tui.server.sampling import max_tokens_of


@dataclass(frozen=True, slots=True)
class Began:
    """The permit is held, the model loaded and the prompt made."""

    queue_ms: float
    load_ms: float
    warnings: tuple[str, ...] = ()


Signal = Queued | Loading | Reading | Began | Piece | Finished


@dataclass(frozen=True, slots=True)
class Held:
    """The permit, with the model loaded."""

    permit: Permit
    model: LoadedModel
    queue_ms: float
    load_ms: float


@dataclass(eq=False)
class Asked:
    """A checked request on its way to the engine."""

    ask: Ask
    spec: ModelSpec
    options: TurnOptions
    who: str
    turn: Turn | None = None
    stopped: bool = False

    def stop(self) -> None:
        """End the answer with what has come."""
        self.stopped = True
        if self.turn is not None:
            self.turn.stop()


class EngineSide:
    """Everything that touches the engine. Made on the server's loop, used on the engine's."""

    def __init__(self, engine: Engine, config: ServerConfig) -> None:
        self.engine = engine
        self._config = config
        self._residence: Residence | None = None

    @property
    def residence(self) -> Residence:
        """Made by the first use, because only this loop may."""
        if self._residence is None:
            self._residence = Residence(self.engine, self._config.keep_alive)
        return self._residence

    @property
    def expires(self) -> float | None:
        """Unix time at which the loaded model goes; None where it stays. From any thread."""
        residence = self._residence
        return residence.expires if residence is not None else None

    async def unload(self, name: str) -> None:
        """Unload the model `name` as soon as the permit is free, whoever loaded it."""
        loaded = self.engine.status.model
        if loaded is None or loaded.name != name:
            return
        async with self.engine.permit(f"unloading {name}", however_long=True) as permit:
            loaded = self.engine.status.model
            if loaded is not None and loaded.name == name:
                await permit.unload()

    async def aclose(self) -> None:
        """End the keep-alive timer."""
        if self._residence is not None:
            await self._residence.aclose()
            self._residence = None

    @asynccontextmanager
    async def hold(
        self, spec: ModelSpec, who: str, keep_alive: float | None, emit: Emit[Signal]
    ) -> AsyncIterator[Held]:
        """The permit with `spec` loaded, for the length of the block.

        Raises:
            Busy: the line is full, or the wait took too long.
            EngineError, ModelError: the model cannot be loaded.
        """
        residence = self.residence
        with residence.guest(keep_alive):
            async with AsyncExitStack() as stack:
                began = time.perf_counter()
                permit = await self._permit(stack, who, emit)
                queue_ms = (time.perf_counter() - began) * 1000
                stack.enter_context(residence.at_work())
                loaded = self.engine.status.model
                if loaded is None or loaded.name != spec.name:
                    emit(Loading(spec.name))
                model, load_ms = await residence.load(permit, spec)
                yield Held(permit, model, queue_ms, load_ms)

    async def _permit(self, stack: AsyncExitStack, who: str, emit: Emit[Signal]) -> Permit:
        limit = self._config.queue_timeout
        line = self.engine.permit(
            who, lambda ahead: emit(Queued(ahead)), max_waiting=max(self._config.max_queue, 0)
        )
        try:
            async with asyncio.timeout(limit if limit > 0 else None):
                return await stack.enter_async_context(line)
        except QueueFull as error:
            raise Busy(error.message, mend=error.mend) from error
        except TimeoutError:
            raise Busy(
                f"The engine was busy for {units.duration(limit)}.", mend="Try again later."
            ) from None

    async def answer(self, asked: Asked, emit: Emit[Signal]) -> None:
        """One whole answer."""
        async with self.hold(asked.spec, asked.who, asked.ask.keep_alive, emit) as held:
            try:
                await self._turn(asked, held, emit)
            except EngineCrashed as error:
                raise EngineFault(error.message, mend=error.mend, code="engine_crashed") from error

    async def _turn(self, asked: Asked, held: Held, emit: Emit[Signal]) -> None:
        window = held.model.context_size
        options = TurnOptions(
            asked.options.sampler,
            max_tokens_of(asked.ask.max_tokens, window),
            asked.options.stop,
        )
        emit(Began(held.queue_ms, held.load_ms))
        asked.turn = turn = begin_turn(held.permit, window, asked.ask.messages, options)
        if asked.stopped:
            turn.stop()
        timer = asyncio.get_running_loop().call_later(self._config.limits.generation, turn.stop)
        try:
            emit(await turn.run(lambda event: emit(_signal(event))))
        finally:
            timer.cancel()


def _signal(event: Prefill | Piece) -> Signal:
    return Reading(event.done, event.total) if isinstance(event, Prefill) else event


def is_length(finished: Finished) -> bool:
    """True where a limit ended the answer: tokens, the window, or the clock."""
    return finished.reason is not FinishReason.STOP
