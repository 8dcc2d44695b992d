"""Fixtures of the server's tests: an engine on a loop of its own, and the inference over it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from npurun_tui.engine.engine import Engine
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import ModelNotFound
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.inference import Inference

T = TypeVar("T")

MakeInference = Callable[..., Inference]


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
