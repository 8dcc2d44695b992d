"""The bench among the other services: what it has is kept, also where the program ends in the middle of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.bench.events import BenchEvent, RunEnded
from npurun_tui.bench.history import History
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.records import Machine
from npurun_tui.bench.sides import target_of
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings
from tests.support.real_model import NAME

PLAN = Plan(prompts=("joke",), outputs=(8,), duration_s=600.0, energy=False, loads=False)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.resolve({"NPURUN_TUI_HOME": str(tmp_path)})


async def test_nothing_of_the_bench_is_built_before_it_is_asked_for(paths: Paths) -> None:
    services = Services(paths, Settings())
    await services.aclose()
    assert not services.built("bench")
    assert not services.built("bench_history")
    assert not paths.database.exists()


async def test_a_bench_that_nobody_started_leaves_no_database(paths: Paths) -> None:
    services = Services(paths, Settings())
    assert not services.bench.state.running
    await services.aclose()
    assert not paths.database.exists()


@pytest.mark.model
async def test_the_end_of_the_program_keeps_what_a_bench_has(
    paths: Paths, real_models: Path
) -> None:
    services = Services(replace(paths, models=real_models), Settings())
    ran = asyncio.Event()

    def hear(event: BenchEvent) -> None:
        if isinstance(event, RunEnded) and event.run.counts:
            ran.set()

    services.bench.subscribe(hear)
    services.bench.start(PLAN, [target_of(NAME, services, key="a")], Machine())
    try:
        await asyncio.wait_for(ran.wait(), 120)
    finally:
        await services.aclose()
    history = History(paths.database)
    (line,) = history.list()
    session = history.get("1")
    history.close()
    assert line.runs >= 1
    assert not session.complete
    assert session.reason
    assert line.decode_tps is not None
    assert line.decode_tps > 0
