"""The inference behind every dialect: an `Ask` goes in, the answer's events come out.

It lives on the server's loop; the engine lives on its own (`bridge`). Here the model's name is found, the request is
checked, and the raw text of the answer becomes text, thoughts and calls (`pieces`); what touches the engine is in
`turns` and `generation`.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from npurun_tui.engine.engine import Engine
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import Piece
from npurun_tui.errors import ModelError
from npurun_tui.server.asking import Ask, Done, Embeddings, Event, Warned
from npurun_tui.server.bridge import Bridge, Emit
from npurun_tui.server.budget import TOOLS_IGNORED
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.faults import BadRequest, EngineFault, Unready, Unsupported
from npurun_tui.server.generation import Generation, nothing_to_answer, warm_up
from npurun_tui.server.names import bare_name, unknown
from npurun_tui.server.pieces import AnswerReader
from npurun_tui.server.sampling import sampler_of, stops_of
from npurun_tui.server.signals import Asked, Began, Ended, Signal
from npurun_tui.server.toolcalls.choice import constraint_of, must_call, tools_of
from npurun_tui.server.turns import EngineSide
from npurun_tui.text import one_line

FRESH: Final = 30.0
"""Seconds that a manifest which was read holds, where its folder has not changed since: files are replaced there by
renaming, which a folder's time tells. Asking for that time takes microseconds; reading in a thread takes a millisecond
of every answer's first token."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A model that was found, and how its folder looked then."""

    spec: ModelSpec
    stamp: tuple[int, int] | None
    until: float

    @classmethod
    def now(cls, spec: ModelSpec) -> _Kept:
        """A change while it was read may go unseen for `FRESH` seconds."""
        return cls(spec, _stamp(spec.folder), time.monotonic() + FRESH)

    def holds(self) -> bool:
        """Whether it is still what the disk has."""
        return (
            time.monotonic() < self.until
            and self.stamp is not None
            and self.stamp == _stamp(self.spec.folder)
        )


def _stamp(folder: Path) -> tuple[int, int] | None:
    """Changes when something is renamed into `folder`, or in its place; None where it cannot be told."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


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
        self._closed = False
        self._kept: _Kept | None = None

    async def answer(self, ask: Ask, request_id: str = "") -> AsyncGenerator[Event, None]:
        """The events of one answer, as `Answerer.answer` says. When `Done` comes the permit is free: who asks again at
        once is not refused."""
        del request_id
        began = time.perf_counter()
        asked = await self._asked(ask)
        generation = Generation(asked, self._config)
        reader = AnswerReader(asked, lambda: self._bridge.post(generation.stop))

        async def work(emit: Emit[Signal]) -> None:
            async with self._side.hold(asked.spec, asked.who, ask.keep_alive, emit) as held:
                await generation.run(held, emit)

        done: Done | None = None
        async with aclosing(self._bridge.stream(work, _may_wait)) as batches:
            try:
                async for batch in batches:
                    for signal in joined(batch):
                        for event in _events(reader, signal, began):
                            if isinstance(event, Done):
                                done = event
                            else:
                                yield event
            except EngineFault:
                for event in reader.end():  # what was held back has come all the same
                    yield event
                raise
        if done is not None:
            yield done

    async def load(self, model: str, keep_alive: float | None) -> float:
        """Have a model loaded; returns the milliseconds that it took (0 where it was).

        A loaded one says a token where the configuration asks for that: its first answer then has nothing to set up.
        """
        _check_keep_alive(keep_alive)
        spec = await self._spec(model)

        async def work() -> float:
            async with self._side.hold(spec, f"loading {spec.name}", keep_alive, _nobody) as held:
                if held.load_ms and self._config.warmup:
                    await warm_up(held)
                return held.load_ms

        return await self._bridge.call(work)

    async def unload(self, model: str) -> None:
        """End the model's stay as soon as the permit is free; nothing where it is not loaded."""
        name = (await self._spec(model)).name
        await self._bridge.call(lambda: self._side.unload(name))

    async def embed(
        self, model: str, texts: tuple[str, ...], *, truncate: bool, keep_alive: float | None
    ) -> Embeddings:
        """One vector for each text, as `Answerer.embed` says."""
        began = time.perf_counter()
        _check_keep_alive(keep_alive)
        if not all(texts):
            raise BadRequest("A text to embed may not be empty.", param="input")
        spec = await self._spec(model)
        found = await self._bridge.call(
            lambda: self._side.embed(
                spec, f"HTTP: {spec.name}", texts, truncate=truncate, keep_alive=keep_alive
            )
        )
        return replace(found, total_ms=(time.perf_counter() - began) * 1000)

    @property
    def expires(self) -> float | None:
        """Unix time at which the loaded model is unloaded; None where it stays."""
        return self._side.expires

    async def aclose(self) -> None:
        """Abort what runs, and end the keep-alive timer. What is loaded stays loaded."""
        self._closed = True
        await self._bridge.aclose()
        try:
            await self._bridge.call(self._side.aclose)
        except Unready:
            return  # the engine's loop has ended, and the timer with it

    # -- checks ----------------------------------------------------------------------------

    async def _asked(self, ask: Ask) -> Asked:
        """`ask`, checked. Raises BadRequest, UnknownModel or Unready."""
        _check_keep_alive(ask.keep_alive)
        if ask.prompt is None and (fault := nothing_to_answer(ask.messages)):
            raise BadRequest(fault, param="messages")
        tools = tools_of(ask) if ask.prompt is None else ()
        sampler = sampler_of(ask.sampling)
        stops = stops_of(ask.stop, self._config.limits.stops)
        constraint = constraint_of(ask, tools)
        if tools and must_call(ask.tool_choice) and self._config.tools == "ignore":
            raise Unsupported(TOOLS_IGNORED, param="tool_choice")
        spec = await self._spec(ask.model)
        who = f"{one_line(ask.client, 40) or 'HTTP'}: {spec.name}"
        return Asked(ask, spec, sampler, stops, tools, constraint, who)

    async def _spec(self, name: str) -> ModelSpec:
        """As `_resolve`; a model that is loaded and has not changed since it was found is not looked for again."""
        if self._closed:
            raise Unready(
                "The server is shutting down.",
                mend="Try again when it is back.",
                code="shutting_down",
            )
        loaded, kept = self._engine.status.model, self._kept
        if loaded is not None and kept is not None:
            meant = name.removesuffix(":latest") in ("", loaded.name)
            if meant and kept.spec.name == loaded.name and kept.holds():
                return kept.spec
        self._kept = await asyncio.to_thread(lambda: _Kept.now(self._resolve(name)))
        return self._kept.spec

    def _resolve(self, name: str) -> ModelSpec:
        """The model that a client calls `name`; reads its manifest.

        Raises:
            UnknownModel: there is none. BadRequest: it has to name one. Unready: no model is installed.
        """
        try:
            return self._spec_of(bare_name(name) if name else self._default())
        except ModelError as error:
            raise unknown(error) from error

    def _default(self) -> str:
        """The loaded model, the configured one, or the only one."""
        loaded = self._engine.status.model
        if loaded is not None:
            return loaded.name
        if self._config.model:
            return bare_name(self._config.model)
        names = self._installed()
        if not names:
            raise Unready("No model is installed.", mend="Pull one first: `npurun-tui pull NAME`.")
        if len(names) > 1:
            raise BadRequest("`model` is required: several models are installed.", param="model")
        return names[0]


def joined(batch: list[Signal]) -> Iterator[Signal]:
    """`batch` with neighbouring pieces as one: what arrived together costs the work of one."""
    texts: list[str] = []
    for signal in batch:
        if isinstance(signal, Piece):
            texts.append(signal.text)
            continue
        if texts:
            yield Piece("".join(texts))
            texts = []
        yield signal
    if texts:
        yield Piece("".join(texts))


def _events(reader: AnswerReader, signal: Signal, began: float) -> Iterator[Event]:
    """What `signal` is to the client; `began` is on the clock of `time.perf_counter`."""
    if isinstance(signal, Piece):
        yield from reader.read(signal.text)
    elif isinstance(signal, Began):
        reader.begin(signal)
        if signal.warnings:
            yield Warned(signal.warnings)
    elif isinstance(signal, Ended):
        yield from reader.end()
        yield Done(
            reader.reason(signal),
            signal.finished.stats,
            stop_sequence=signal.finished.stop_sequence,
            load_ms=reader.began.load_ms,
            queue_ms=reader.began.queue_ms,
            total_ms=(time.perf_counter() - began) * 1000,
            warnings=reader.warnings(signal),
        )
    else:
        yield signal


def _may_wait(signal: Signal) -> bool:
    return isinstance(signal, Piece)


def _check_keep_alive(seconds: float | None) -> None:
    if seconds is not None and math.isnan(seconds):
        raise BadRequest("`keep_alive` must be a number of seconds.", param="keep_alive")


def _nobody(_signal: Signal) -> None:
    """Hears nothing."""
