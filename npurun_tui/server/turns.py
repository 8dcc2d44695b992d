"""The engine as the server's requests have it, on the engine's loop: the waiting line, the model, and what is done with
both held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from npurun_tui import units
from npurun_tui.engine.engine import RESTARTER, Engine, Permit
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import ContextOverflow, EngineCrashed, QueueFull
from npurun_tui.server.asking import Embeddings, Loading, Queued
from npurun_tui.server.bridge import Emit
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.errors import fault_of
from npurun_tui.server.faults import Busy, ContextLength, EngineFault, Unsupported
from npurun_tui.server.residence import KEEPER, Residence
from npurun_tui.server.signals import Held, Signal


class EngineSide:
    """Everything that takes the permit. Made on the server's loop, used on the engine's."""

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

    async def unload(self, name: str) -> None:
        """Unload the model `name` as soon as the permit is free, whoever loaded it."""
        loaded = self.engine.status.model
        if loaded is None or loaded.name != name:
            return
        async with self.engine.permit(f"unloading {name}", however_long=True) as permit:
            loaded = self.engine.status.model
            if loaded is not None and loaded.name == name:
                await permit.unload()

    async def embed(
        self,
        spec: ModelSpec,
        who: str,
        texts: tuple[str, ...],
        *,
        truncate: bool,
        keep_alive: float | None,
    ) -> Embeddings:
        """A vector for each text, under the permit.

        Raises:
            Unsupported: the model makes none. ContextLength: a text is too long.
        """
        async with self.hold(spec, who, keep_alive, _nobody) as held:
            if not held.model.embeds:
                raise Unsupported(
                    f"{spec.name} makes no embeddings.",
                    param="model",
                    mend="Use an embedding model.",
                )
            try:
                vectors, tokens = await held.permit.dialog.embed(texts, truncate=truncate)
            except ContextOverflow as error:
                raise ContextLength(
                    error.message, needed=error.needed, window=error.window, mend=error.mend
                ) from error
            except EngineCrashed as error:
                raise EngineFault(error.message, mend=error.mend, code="engine_crashed") from error
        return Embeddings(tuple(map(tuple, vectors)), tokens, held.load_ms)

    async def _permit(self, stack: AsyncExitStack, who: str, emit: Emit[Signal]) -> Permit:
        limit, status = self._config.queue_timeout, self.engine.status
        # The keep-alive and a restart are nobody's requests: they take no place in the line from one.
        ours = sum(who in (KEEPER, RESTARTER) for who in (status.holder, *status.waiting))
        line = self.engine.permit(
            who,
            lambda ahead: emit(Queued(ahead)),
            max_waiting=max(self._config.max_queue, 0) + ours,
        )
        try:
            async with asyncio.timeout(limit if limit > 0 else None):
                return await stack.enter_async_context(line)
        except QueueFull as error:
            raise fault_of(error) from error
        except TimeoutError:
            raise Busy(
                f"The engine was busy for {units.duration(limit)}.", mend="Try again later."
            ) from None


def _nobody(_signal: Signal) -> None:
    """Hears nothing."""
