"""The Bench tab of a workbench that is attached to a server: that server's models are measured, over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from npurun_tui import bench_tab
from npurun_tui.app import WorkbenchApp
from npurun_tui.attach.services import Attachment
from npurun_tui.bench.plan import Plan
from npurun_tui.errors import NetworkUnavailable, UsageError
from npurun_tui.screens import bench_fields
from npurun_tui.screens.bench import BenchPane
from npurun_tui.screens.bench_fields import Setup
from npurun_tui.services import Services
from npurun_tui.settings import Remembered, Settings
from tests.support.attached import server_there
from tests.support.models import add_cpu_model
from tests.support.workbench import NARROW, home_paths, status, until


async def test_its_models_are_measured_over_http_and_kept_here(tmp_path: Path) -> None:
    paths = home_paths(tmp_path / "here")
    plan = Plan(prompts=("joke",), repeats=2, energy=False)
    remembered = bench_fields.dump(Setup("small", plan=plan))
    Remembered(paths.remembered).set("bench-attached", remembered)
    async with server_there(tmp_path / "there") as there:
        app = WorkbenchApp(paths, Settings(), attached=Attachment(there.url))
        async with app.run_test(size=NARROW) as pilot:
            await pilot.press("3")
            await until(pilot, lambda: bool(app.main.query(BenchPane)))
            pane = app.main.query_one(BenchPane)
            await pilot.press("s")
            await until(pilot, lambda: pane.session is not None, 60)
            session = pane.session
            assert session is not None
            assert session.complete, session.reason
            [side] = session.sides
            assert side.model == "small"
            assert there.where in side.device
            assert [run.warmup for run in session.runs] == [True, False, False]
            assert all(run.host.ttft_ms is not None for run in session.runs)
            assert all(
                ask.messages[-1].content.startswith("Tell me a joke") for ask in there.answerer.asks
            )
            [kept] = await asyncio.to_thread(app.services.bench_history.list)
            assert kept.id == session.id
            await until(pilot, lambda: "bench" not in status(app))


async def test_of_a_machine_elsewhere_nothing_is_claimed(tmp_path: Path) -> None:
    services = Services(home_paths(tmp_path), Settings())
    far = bench_tab.there(services, Attachment("http://192.0.2.1:11435"))
    machine = await far.machine()
    assert (machine.system, machine.soc, machine.cores) == ("", "", 0)
    assert far.meter(()) is None
    near = bench_tab.there(services, Attachment("http://127.0.0.1:11435"))
    assert near.meter(()) is not None
    assert (await near.machine()).system


async def test_what_a_side_lacks_is_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    paths = home_paths(tmp_path)
    add_cpu_model(paths.models, "small")
    services = Services(paths, Settings())

    async def willing(_spec: object) -> None:
        return

    parts = bench_tab.here(services, lambda: None, willing)
    try:
        with pytest.raises(UsageError, match="8,192 is the largest"):
            await parts.targets(Setup("small", plan=Plan(contexts=(0, 999_999))))
        with pytest.raises(NetworkUnavailable, match="cannot be reached"):
            await parts.targets(Setup("small", "127.0.0.1:1"))
    finally:
        await services.aclose()
