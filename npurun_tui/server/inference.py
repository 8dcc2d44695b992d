"""The inference behind every dialect: an `Ask` goes in, the answer's events come out.

It lives on the server's loop; the engine lives on its own (`bridge`). Here the model's name is found, the request is
checked, and the raw text of the answer becomes text, thoughts and calls; what touches the engine is in `turns`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from npurun_tui.engine.engine import Engine
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import Finished, Piece, TurnOptions
from npurun_tui.errors import ModelError, ModelNotFound
from npurun_tui.models.names import normalise
from npurun_tui.server.asking import Ask, Done, Embeddings, Event, Text
from npurun_tui.server.bridge import Bridge, Emit
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.faults import BadRequest, UnknownModel, Unready, Unsupported
from npurun_tui.server.sampling import sampler_of, stops_of
from npurun_tui.server.turns import Asked, Began, EngineSide, Signal, is_length


class Inference:
    """`Answerer` over the one engine. Use it on the server's loop, and `aclose` it there."""

    def __init__(
        self,
        engine: Engine,
        engine_loop: asyncio.AbstractEventLoop,
        *,
        spec_of: Callable[[str], ModelSpec],
        installed: Callable[[], Sequence[str]],
        config: ServerConfig,
    ) -> None:
        """`spec_of` gives the loadable model of a name or raises a ModelError; it and `installed` read the disk and
        are called in threads."""
        self._engine = engine
        self._spec_of = spec_of
        self._installed = installed
        self._config = config
        self._bridge = Bridge(engine_loop)
        self._side = EngineSide(engine, config)

    async def answer(self, ask: Ask, request_id: str = "") -> AsyncGenerator[Event, None]:
        """The events of one answer, as `Answerer.answer` says."""
        del request_id
        began = time.perf_counter()
        asked = await self._asked(ask)

        async def work(emit: Emit[Signal]) -> None:
            await self._side.answer(asked, emit)

        start = Began(0.0, 0.0)
        async with aclosing(self._bridge.stream(work)) as batches:
            async for batch in batches:
                for signal in batch:
                    if isinstance(signal, Piece):
                        yield Text(signal.text)
                    elif isinstance(signal, Began):
                        start = signal
                    elif isinstance(signal, Finished):
                        yield Done(
                            "length" if is_length(signal) else "stop",
                            signal.stats,
                            load_ms=start.load_ms,
                            queue_ms=start.queue_ms,
                            total_ms=(time.perf_counter() - began) * 1000,
                            warnings=start.warnings,
                        )
                    else:
                        yield signal

    async def load(self, model: str, keep_alive: float | None) -> float:
        """Have a model loaded; returns the milliseconds that it took (0 where it was)."""
        spec = await asyncio.to_thread(self._resolve, model)

        async def work() -> float:
            async with self._side.hold(spec, f"loading {spec.name}", keep_alive, _nobody) as held:
                return held.load_ms

        return await self._bridge.call(work)

    async def unload(self, model: str) -> None:
        """End the model's stay as soon as the permit is free; nothing where it is not loaded."""
        name = (await asyncio.to_thread(self._resolve, model)).name
        await self._bridge.call(lambda: self._side.unload(name))

    async def embed(
        self, model: str, texts: tuple[str, ...], *, truncate: bool, keep_alive: float | None
    ) -> Embeddings:
        """One vector for each text."""
        del texts, truncate, keep_alive
        raise Unsupported(f"The model {model} makes no embeddings.", param="model")

    @property
    def expires(self) -> float | None:
        """Unix time at which the loaded model is unloaded; None where it stays."""
        return self._side.expires

    async def aclose(self) -> None:
        """Abort what runs, and end the keep-alive timer. What is loaded stays loaded."""
        await self._bridge.aclose()
        await self._bridge.call(self._side.aclose)

    # -- checks ----------------------------------------------------------------------------

    async def _asked(self, ask: Ask) -> Asked:
        options = TurnOptions(
            sampler_of(ask.sampling), stop=stops_of(ask.stop, self._config.limits.stops)
        )
        spec = await asyncio.to_thread(self._resolve, ask.model)
        return Asked(ask, spec, options, f"HTTP: {spec.name}")

    def _resolve(self, name: str) -> ModelSpec:
        """The model that a client calls `name`; reads its manifest.

        Raises:
            UnknownModel: there is none. BadRequest: it has to name one. Unready: no model is installed.
        """
        try:
            return self._spec_of(normalise(name) if name else self._default())
        except ModelNotFound as error:
            raise UnknownModel(error.message, mend=error.mend, param="model") from error
        except ModelError as error:
            raise UnknownModel(error.message, mend=error.mend, param="model") from error

    def _default(self) -> str:
        loaded = self._engine.status.model
        if loaded is not None:
            return loaded.name
        if self._config.model:
            return normalise(self._config.model)
        names = self._installed()
        if not names:
            raise Unready("No model is installed.", mend="Pull one first: `npurun-tui pull NAME`.")
        if len(names) > 1:
            raise BadRequest("`model` is required: several models are installed.", param="model")
        return names[0]


def _nobody(_signal: Signal) -> None:
    """Hears nothing."""
