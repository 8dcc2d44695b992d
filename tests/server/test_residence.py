"""Who loaded a model, and when it goes: an engine whose model plays a part, on the test's own loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from npurun_tui.engine.engine import Engine, EngineState, Permit
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.server.faults import Busy
from npurun_tui.server.residence import Residence
from tests.support.playing_host import Script


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    command = Script([("", "Yes")]).command(tmp_path / "script.json")
    engine = Engine(log=tmp_path / "engine.log", command=command)
    yield engine
    await engine.aclose()


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    return ModelSpec("played", "genie", tmp_path)


@asynccontextmanager
async def residence_of(engine: Engine, keep_alive: float) -> AsyncIterator[Residence]:
    residence = Residence(engine, keep_alive)
    try:
        yield residence
    finally:
        await residence.aclose()


async def use(
    engine: Engine, residence: Residence, spec: ModelSpec, keep_alive: float | None = None
) -> None:
    """A request."""
    with residence.guest(keep_alive):
        async with engine.permit("HTTP") as permit:
            with residence.at_work():
                await residence.load(permit, spec)


async def by_hand(engine: Engine, spec: ModelSpec) -> None:
    """What the Chat tab does."""
    async with engine.permit("chat") as permit:
        await permit.load(spec)


async def until(engine: Engine, wanted: Callable[[], bool], seconds: float = 10) -> None:
    """Until the engine is as wanted."""
    changed = asyncio.Event()
    unsubscribe = engine.subscribe(lambda _status: changed.set())
    try:
        async with asyncio.timeout(seconds):
            while not wanted():
                changed.clear()
                await changed.wait()
    finally:
        unsubscribe()


async def stays(engine: Engine, seconds: float = 0.4) -> bool:
    """Whether the model is still loaded after so long."""
    try:
        await until(engine, lambda: engine.status.model is None, seconds)
    except TimeoutError:
        return True
    return False


async def test_zero_unloads_at_once_and_the_permit_is_free(engine: Engine, spec: ModelSpec) -> None:
    async with residence_of(engine, 300) as residence:
        await use(engine, residence, spec, keep_alive=0)
        await until(engine, lambda: engine.status.model is None)
        await until(engine, lambda: engine.status.holder is None)
        assert engine.status.state is EngineState.STOPPED
        assert residence.expires is None
        await use(engine, residence, spec)
        assert engine.status.model is not None


async def test_the_rule_holds_where_a_request_names_nothing(
    engine: Engine, spec: ModelSpec
) -> None:
    async with residence_of(engine, 0.3) as residence:
        await use(engine, residence, spec)
        assert residence.expires is not None
        for _ in range(3):
            assert await stays(engine, 0.15), "each request puts the end off"
            await use(engine, residence, spec)
        assert not await stays(engine, 2)


async def test_a_request_on_its_way_does_not_make_it_for_ever(
    engine: Engine, spec: ModelSpec
) -> None:
    async with residence_of(engine, 300) as residence:
        with residence.guest(None):
            unloaded = residence.expires
        assert unloaded is None, "nothing is loaded"
        await use(engine, residence, spec)
        with residence.guest(-1):
            expires = residence.expires
            assert expires is not None
            assert 290 < expires - time.time() <= 300
        assert residence.expires is None


async def test_negative_is_for_ever_and_the_last_request_decides(
    engine: Engine, spec: ModelSpec
) -> None:
    async with residence_of(engine, 0.1) as residence:
        await use(engine, residence, spec, keep_alive=-1)
        assert residence.expires is None
        assert await stays(engine)
        await use(engine, residence, spec, keep_alive=1e300)
        assert residence.expires is None
        await use(engine, residence, spec)
        assert not await stays(engine, 2)


async def test_what_was_loaded_by_hand_stays(engine: Engine, spec: ModelSpec) -> None:
    async with residence_of(engine, 0.1) as residence:
        await by_hand(engine, spec)
        await use(engine, residence, spec, keep_alive=0)
        assert residence.expires is None
        assert await stays(engine)
    async with residence_of(engine, 0.1) as residence:
        await use(engine, residence, spec, keep_alive=0)
        assert await stays(engine), "what was loaded before the server began is not the server's"


async def test_a_hand_made_load_of_another_model_makes_it_theirs(
    engine: Engine, spec: ModelSpec, tmp_path: Path
) -> None:
    other = ModelSpec("other", "genie", tmp_path)
    async with residence_of(engine, 0.2) as residence:
        await use(engine, residence, spec)
        await by_hand(engine, other)
        assert residence.expires is None
        assert await stays(engine)
        await use(engine, residence, spec)
        assert not await stays(engine, 2), "the server loaded this one itself"


async def test_a_chat_that_talks_to_the_server_s_model_keeps_it(
    engine: Engine, spec: ModelSpec
) -> None:
    async with residence_of(engine, 0.3) as residence:
        await use(engine, residence, spec)
        async with engine.permit("chat") as permit:
            await permit.load(spec)
            assert await stays(engine, 0.5), "the permit is held"
        assert not await stays(engine, 3)


async def test_who_comes_before_the_end_keeps_the_model(engine: Engine, spec: ModelSpec) -> None:
    """The timer waits for the permit; a request that arrived meanwhile finds its model where it was."""
    async with residence_of(engine, 0.1) as residence:
        await use(engine, residence, spec)
        pid = engine.pid
        async with engine.permit("somebody"):
            # The model is theirs to use for as long as they hold the permit; the timer stands in line.
            await until(engine, lambda: bool(engine.status.waiting))
            late = asyncio.create_task(use(engine, residence, spec, keep_alive=-1))
            await asyncio.sleep(0)
        await late
        assert engine.pid == pid, "it was not unloaded in between"
        assert await stays(engine)


async def test_it_is_still_the_server_s_after_a_crash(engine: Engine, spec: ModelSpec) -> None:
    async with residence_of(engine, 0.5) as residence:
        await use(engine, residence, spec)
        first = engine.status.model
        assert engine._host is not None
        engine._host.kill("the test wants it")
        await until(
            engine, lambda: engine.status.model is not None and engine.status.model is not first
        )
        assert not await stays(engine, 5), "the restarted model's stay ends as well"


async def test_who_is_refused_changes_nothing(engine: Engine, spec: ModelSpec) -> None:
    async with residence_of(engine, 60) as residence:
        await use(engine, residence, spec, keep_alive=-1)
        with pytest.raises(Busy), residence.guest(0):
            raise Busy("The waiting line is full.")
        assert residence.expires is None
        assert await stays(engine)


async def test_an_unforeseen_fault_does_not_end_the_clock(
    engine: Engine, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, faults = Permit.unload, [RuntimeError("nobody foresaw it")]

    async def unload(permit: Permit) -> None:
        if faults:
            raise faults.pop()
        await real(permit)

    monkeypatch.setattr(Permit, "unload", unload)
    async with residence_of(engine, 60) as residence:
        await use(engine, residence, spec, keep_alive=0)
        await until(engine, lambda: not faults and engine.status.holder is None)
        await use(engine, residence, spec, keep_alive=0)
        await until(engine, lambda: engine.status.model is None)
