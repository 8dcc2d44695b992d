"""What a person names as a side: an installed model, an endpoint, the server of an attached workbench."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from npurun_tui.attach.there import ServerThere
from npurun_tui.bench.endpoint import EndpointTarget
from npurun_tui.bench.engine_target import EngineTarget
from npurun_tui.bench.sides import attached_target, target_of
from npurun_tui.errors import ModelNotFound, UsageError
from npurun_tui.services import Services
from npurun_tui.settings import Settings
from tests.bench.asking import ask
from tests.server.ollama_site import add_model
from tests.support.attached import server_there
from tests.support.workbench import home_paths


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Services]:
    """A machine with one GGUF model."""
    services = Services(home_paths(tmp_path), Settings())
    add_model(services.store, "small")
    yield services
    await services.aclose()


async def test_an_installed_model_is_the_engines(here: Services) -> None:
    target = target_of("small:latest", here, key="a")
    assert isinstance(target, EngineTarget)
    side = target.side
    assert (side.key, side.model, side.backend, side.quant) == ("a", "small", "llama.cpp", "Q4_1")
    assert side.device == "CPU (llama.cpp)"
    assert not target.pids


async def test_an_address_is_an_endpoint_and_is_asked_nothing(here: Services) -> None:
    target = target_of("http://127.0.0.1:9/v1#x", here, wanted="small", token="t")
    assert isinstance(target, EndpointTarget)
    side = target.side
    assert (side.key, side.model, side.device) == ("b", "x", "127.0.0.1:9")
    assert target.token == "t"
    assert not here.built("engine")


@pytest.mark.parametrize("text", ["http://", "ftp://x", "http://u:p@host"])
async def test_an_address_that_cannot_be_used(here: Services, text: str) -> None:
    with pytest.raises(UsageError):
        target_of(text, here)


async def test_a_model_that_is_not_here(here: Services) -> None:
    with pytest.raises(ModelNotFound, match="no-such") as caught:
        target_of("no-such", here)
    assert "`npurun-tui list`" in caught.value.mend
    assert "URL" in caught.value.mend


@pytest.mark.parametrize("word", ["cpu", "CPU"])
async def test_the_cpu_is_chosen_by_a_models_name(here: Services, word: str) -> None:
    with pytest.raises(ModelNotFound, match="CPU runs GGUF models") as caught:
        target_of(word, here)
    assert caught.value.mend == "Here are small."


async def test_the_cpu_without_a_model(tmp_path: Path) -> None:
    services = Services(home_paths(tmp_path / "empty"), Settings())
    with pytest.raises(ModelNotFound, match="none is installed"):
        target_of("cpu", services)


async def test_a_model_of_that_name_is_no_word_for_the_cpu(here: Services) -> None:
    add_model(here.store, "cpu")
    assert target_of("cpu", here).side.model == "cpu"


async def test_the_server_that_one_is_attached_to(tmp_path: Path) -> None:
    async with server_there(tmp_path) as there:
        target = attached_target(ServerThere(there.url, "token"), "small")
        heard = await ask(target)
    assert target.side.key == "a"
    assert target.token == "token"
    assert heard.one.text == "Hello, wörld 🎉"
    assert heard.side is not None
    assert heard.side.label == f"small · CPU (llama.cpp) at {target.address.where}"
