"""The real 135M model behind real endpoints: this program's own server, and llama.cpp's."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.bench.endpoint import EndpointTarget
from npurun_tui.bench.prompts import sized
from npurun_tui.bench.target import Progress, Question
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.control import ServerControl
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings
from tests.bench.asking import Heard, ask
from tests.support.real_model import NAME

pytestmark = pytest.mark.model

STORY = (
    ChatMessage("user", "Tell me a long story about a lighthouse and the people who live in it."),
)
LONG = Question(STORY, 24)


@pytest.fixture
async def ours(tmp_path: Path, real_models: Path) -> AsyncIterator[str]:
    """This program's server with the model not yet loaded; its address."""
    environ = {"NPURUN_TUI_HOME": str(tmp_path), "NPURUN_MODELS_DIR": str(real_models)}
    services = Services(Paths.resolve(environ), Settings())
    control = ServerControl(services)
    try:
        await control.start(ServerConfig(port=0))
        yield control.status.url
    finally:
        await control.aclose()
        await services.aclose()


def of_a_machine(heard: Heard, prompt: int) -> None:
    """Both clocks tell of the same answer, each from its side of the socket."""
    for measured in heard.measured:
        host, engine = measured.host, measured.engine
        assert (measured.outcome, measured.completion_tokens) == ("length", 24)
        assert (measured.prompt_tokens, measured.cached_tokens) == (prompt, 0)
        assert measured.note == ""
        for mine, its in (
            (host.ttft_ms, engine.ttft_ms),
            (host.decode_tps, engine.decode_tps),
            (host.prefill_tps, engine.prefill_tps),
        ):
            assert mine is not None
            assert its is not None
            assert 0.3 < mine / its < 3  # on any machine, however busy; how near is a benchmark's
    assert len({measured.text for measured in heard.measured}) == 1


async def test_our_own_server(ours: str) -> None:
    heard = await ask(EndpointTarget(ours), LONG, LONG)
    prompt = heard.measured[0].prompt_tokens
    assert prompt is not None
    of_a_machine(heard, prompt)  # the second one, too, was read whole
    assert heard.load is not None
    assert heard.load.ms > 0
    side = heard.side
    assert side is not None
    assert (side.model, side.quant) == (NAME, "Q4_1")
    assert "CPU (llama.cpp) at 127.0.0.1:" in side.device
    assert side.context > 512


async def test_a_conversation_keeps_its_cache_where_it_may(ours: str) -> None:
    target = EndpointTarget(ours)
    first = (await ask(target, Question(STORY, 24))).one
    turns = (*STORY, ChatMessage("assistant", first.text), ChatMessage("user", "Go on."))
    kept, anew = (await ask(target, Question(turns, 8, keep=True), Question(turns, 8))).measured
    assert kept.cached_tokens is not None
    assert kept.cached_tokens > 20
    assert kept.prompt_tokens == anew.prompt_tokens
    assert anew.cached_tokens == 0


async def test_prompts_of_a_length_can_be_made_there(ours: str) -> None:
    target = EndpointTarget(ours)
    async with target.at_hand(0, lambda *_: None, lambda: None) as hand:
        text = await sized(hand, 120)
        measured = await hand.measure(Question((ChatMessage("user", text),), 4), Progress())
    assert measured.prompt_tokens is not None
    assert abs(measured.prompt_tokens - 120) <= 1


async def test_its_processes_are_known(ours: str) -> None:
    target = EndpointTarget(ours)
    await ask(target, Question(STORY, 2))
    assert os.getpid() in target.pids
    assert len(target.pids) > 1  # the engine's is a child of the server's


@pytest.fixture
def llama_server(model_file: Path) -> Iterator[str]:
    """llama.cpp's server loop; its address. It ends with the last reference to it."""
    xllamacpp: Any = pytest.importorskip("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model_file)
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = 512
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    # One: two that wait for each other in a loop are slower than one where other tests run.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    parameters.ui = False
    parameters.verbosity = 1
    server = xllamacpp.Server(parameters)
    yield server.listening_address
    del server


async def test_llama_servers_own_loop(llama_server: str) -> None:
    heard = await ask(EndpointTarget(llama_server), LONG, LONG)
    prompt = heard.measured[0].prompt_tokens
    assert prompt is not None
    of_a_machine(heard, prompt)
    assert heard.progress.tokens == 24
    side = heard.side
    assert side is not None
    assert side.runtime.startswith("llama-server")
    assert side.context == 512
