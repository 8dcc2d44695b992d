"""Fixtures of the server's tests: an engine on a loop of its own, and the inference over it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from npurun_tui.engine.engine import Engine
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import ModelNotFound
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.inference import Inference
from tests.support.playing_host import Script, heard

T = TypeVar("T")

MakeInference = Callable[..., Inference]
"""Takes `ServerConfig`'s settings as keywords."""


@dataclass
class Stage:
    """An inference over an engine whose model plays a part."""

    inference: Inference
    engine: Engine
    path: Path

    def heard(self) -> list[dict[str, Any]]:
        """The queries that the model has had, and how each was set up."""
        return heard(self.path)


Play = Callable[..., Awaitable[Stage]]
"""Takes a `Script`, and `ServerConfig`'s settings as keywords."""


@pytest.fixture
async def play(engine_loop: asyncio.AbstractEventLoop, tmp_path: Path) -> AsyncIterator[Play]:
    """Stages a script; the models `played` and `other` are the same part with windows of 4,096 and 1,024 tokens."""
    stages: list[Stage] = []
    specs = {
        name: ModelSpec(name, "genie", tmp_path, context=context)
        for name, context in (("played", 4096), ("other", 1024))
    }

    def spec_of(name: str) -> ModelSpec:
        if name not in specs:
            raise ModelNotFound(f"The model {name} is not installed.")
        return specs[name]

    async def start(script: Script, **settings: object) -> Stage:
        path = tmp_path / f"script{len(stages)}.json"
        command = script.command(path)

        async def make() -> Engine:
            return Engine(log=tmp_path / "engine.log", answer_timeout=60, command=command)

        made = await over_there(engine_loop, make)
        inference = Inference(
            made,
            engine_loop,
            spec_of=spec_of,
            installed=lambda: list(specs),
            config=ServerConfig(**settings),  # type: ignore[arg-type]
        )
        stages.append(Stage(inference, made, path))
        return stages[-1]

    yield start
    for stage in stages:
        await stage.inference.aclose()
        await over_there(engine_loop, stage.engine.aclose)


@pytest.fixture
def engine_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread, as the workbench's is for the server."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="engine loop")
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    left = asyncio.all_tasks(loop)
    loop.close()
    assert not left, "tasks were left on the engine's loop"


@pytest.fixture
async def engine(engine_loop: asyncio.AbstractEventLoop, tmp_path: Path) -> AsyncIterator[Engine]:
    """A real engine that lives on `engine_loop`."""

    async def make() -> Engine:
        return Engine(log=tmp_path / "engine.log", answer_timeout=60)

    made = await over_there(engine_loop, make)
    yield made
    await over_there(engine_loop, made.aclose)


@pytest.fixture
def specs(model_file: Path) -> dict[str, ModelSpec]:
    """Two models, which are the same file with two windows."""
    return {
        name: ModelSpec(name, "llama.cpp", model_file.parent, model_file, context=context)
        for name, context in (("small", 512), ("large", 1024))
    }


@pytest.fixture
async def make_inference(
    engine: Engine, engine_loop: asyncio.AbstractEventLoop, specs: dict[str, ModelSpec]
) -> AsyncIterator[MakeInference]:
    """Makes an inference over `engine`; keywords are `ServerConfig`'s."""
    made: list[Inference] = []

    def spec_of(name: str) -> ModelSpec:
        if name not in specs:
            raise ModelNotFound(f"The model {name} is not installed.")
        return specs[name]

    def make(**settings: object) -> Inference:
        config = ServerConfig(**settings)  # type: ignore[arg-type]
        inference = Inference(
            engine, engine_loop, spec_of=spec_of, installed=lambda: list(specs), config=config
        )
        made.append(inference)
        return inference

    yield make
    for inference in made:
        await inference.aclose()


async def over_there(
    loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, T]]
) -> T:
    """What `work` returns on `loop`."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), loop))
