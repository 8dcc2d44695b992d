"""The pulls that run in the workbench: queued, watched, paused, cancelled, and ended when the program ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from npurun_tui.errors import HashMismatch, PullFailed
from npurun_tui.models.jobs import JobState, PullJob, PullManager
from npurun_tui.models.layout import Layout
from npurun_tui.models.pull import Phase, PullProgress
from npurun_tui.models.pull.install import install
from npurun_tui.models.pull.limiter import RateLimiter
from npurun_tui.models.speed import SpeedMeter
from npurun_tui.models.store import ModelStore
from tests.support.index_server import Index, pause_after, status
from tests.support.pulling import QUICK, assert_installed
from tests.support.tiny_model import NAME, TinyModel, build_tiny_model

SOME = 200_000


@pytest.fixture(scope="module")
def tiny() -> TinyModel:
    return build_tiny_model(tensor_bytes=500_000)


@pytest.fixture
async def pulls(store: ModelStore) -> AsyncIterator[PullManager]:
    manager = PullManager(store)
    yield manager
    await manager.aclose()


async def reach(pulls: PullManager, job: PullJob, count: int) -> None:
    """Return when the job has downloaded `count` bytes."""
    there = asyncio.Event()

    def look(changed: PullJob) -> None:
        progress = changed.progress
        if (
            changed is job
            and progress
            and progress.phase is Phase.DOWNLOADING
            and progress.done >= count
        ):
            there.set()

    unsubscribe = pulls.subscribe(look)
    await asyncio.wait_for(there.wait(), 20)
    unsubscribe()


async def test_a_job_runs_to_its_end_and_tells(
    index: Index, tiny: TinyModel, store: ModelStore, pulls: PullManager
) -> None:
    seen: list[tuple[JobState, Phase | None]] = []
    pulls.subscribe(
        lambda job: seen.append((job.state, job.progress.phase if job.progress else None))
    )
    job = pulls.start(tiny.entry)
    assert pulls.jobs == {NAME: job}
    await pulls.wait(NAME)
    assert job.state is JobState.DONE
    assert job.error is None
    assert seen[:2] == [(JobState.QUEUED, None), (JobState.RUNNING, None)]
    assert seen[-1] == (JobState.DONE, Phase.DONE)
    assert (job.speed, job.eta) == (0.0, None)
    assert_installed(tiny, store)


async def test_starting_twice_is_one_pull(
    index: Index, tiny: TinyModel, pulls: PullManager
) -> None:
    first = pulls.start(tiny.entry)
    assert pulls.start(tiny.entry) is first
    await pulls.wait(NAME)
    assert len(index.downloads) == 1
    assert pulls.start(tiny.entry) is not first


async def begun(index: Index, pulls: PullManager, tiny: TinyModel) -> PullJob:
    """A pull that has fetched SOME bytes and waits for more, which never come."""
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))
    job = pulls.start(tiny.entry)
    await reach(pulls, job, SOME)
    gate.set()
    return job


async def test_pause_keeps_the_part_and_start_goes_on(
    index: Index, tiny: TinyModel, store: ModelStore, pulls: PullManager
) -> None:
    job = await begun(index, pulls, tiny)
    pulls.pause(NAME)
    await pulls.wait(NAME)
    assert job.state is JobState.PAUSED
    assert pulls.open_jobs == []
    kept = store.partials()[NAME]
    assert kept > 0
    pulls.pause(NAME)  # of a pull that has ended: nothing happens
    again = pulls.start(tiny.entry)
    await pulls.wait(NAME)
    assert again.state is JobState.DONE
    assert_installed(tiny, store)


@pytest.mark.parametrize("how", [JobState.PAUSED, JobState.CANCELLED])
async def test_what_is_asked_for_while_it_is_being_stopped_goes_on(
    index: Index, tiny: TinyModel, store: ModelStore, pulls: PullManager, how: JobState
) -> None:
    job = await begun(index, pulls, tiny)
    (pulls.pause if how is JobState.PAUSED else pulls.cancel)(NAME)
    assert pulls.start(tiny.entry) is job
    await pulls.wait(NAME)
    assert job.state is JobState.DONE
    assert_installed(tiny, store)


async def test_the_last_word_counts(
    index: Index, tiny: TinyModel, store: ModelStore, pulls: PullManager
) -> None:
    job = await begun(index, pulls, tiny)
    pulls.pause(NAME)
    pulls.start(tiny.entry)
    pulls.pause(NAME)
    await pulls.wait(NAME)
    assert job.state is JobState.PAUSED
    assert store.partials() == {NAME: SOME}


@pytest.mark.parametrize("how", [JobState.PAUSED, JobState.CANCELLED])
async def test_a_stop_that_comes_too_late_is_an_end(
    index: Index,
    tiny: TinyModel,
    store: ModelStore,
    pulls: PullManager,
    monkeypatch: pytest.MonkeyPatch,
    how: JobState,
) -> None:
    """The model is put in place, and only then is the pull stopped."""
    loop = asyncio.get_running_loop()
    asked = threading.Event()

    def stop() -> None:
        (pulls.pause if how is JobState.PAUSED else pulls.cancel)(NAME)
        asked.set()

    def late(layout: Layout, name: str) -> None:
        install(layout, name)
        loop.call_soon_threadsafe(stop)
        assert asked.wait(10)

    monkeypatch.setattr("npurun_tui.models.pull.pipeline.install", late)
    job = pulls.start(tiny.entry)
    await pulls.wait(NAME)
    assert job.state is JobState.DONE
    assert_installed(tiny, store)


async def test_cancel_throws_the_part_away(
    index: Index, tiny: TinyModel, store: ModelStore, pulls: PullManager
) -> None:
    job = await begun(index, pulls, tiny)
    pulls.cancel(NAME)
    await pulls.wait(NAME)
    assert job.state is JobState.CANCELLED
    assert store.partials() == {}
    assert not store.layout.partial(NAME).exists()


@pytest.mark.parametrize("how", [JobState.PAUSED, JobState.CANCELLED])
async def test_stopping_before_anything_happened(
    index: Index, tiny: TinyModel, pulls: PullManager, how: JobState
) -> None:
    job = pulls.start(tiny.entry)
    (pulls.pause if how is JobState.PAUSED else pulls.cancel)(NAME)
    await pulls.wait(NAME)
    assert job.state is how
    assert index.requests == []


async def test_pulls_wait_for_their_turn(index: Index, tiny: TinyModel, store: ModelStore) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))
    pulls = PullManager(store, parallel=1)
    entries = [replace(tiny.entry, name=name) for name in ("a", "b", "c")]
    first, second, third = [pulls.start(entry) for entry in entries]
    await reach(pulls, first, SOME)
    assert [job.state for job in (first, second, third)] == ["running", "queued", "queued"]
    assert pulls.open_jobs == [first, second, third]
    pulls.pause("b")
    await pulls.wait("b")
    assert second.state is JobState.PAUSED
    gate.set()
    await pulls.wait("a")
    await pulls.wait("c")
    assert [first.state, third.state] == ["done", "done"]
    assert [model.name for model in store.scan()[0]] == ["a", "c"]
    await pulls.aclose()


async def test_a_failure_is_kept_with_its_sentence(
    index: Index, tiny: TinyModel, pulls: PullManager
) -> None:
    index.data = bytes(len(tiny.wheel))
    job = pulls.start(tiny.entry)
    await pulls.wait(NAME)
    assert job.state is JobState.FAILED
    assert isinstance(job.error, HashMismatch)


async def test_a_mistake_of_ours_is_a_sentence_too(
    index: Index, tiny: TinyModel, pulls: PullManager, caplog: pytest.LogCaptureFixture
) -> None:
    index.page_faults.append(lambda handler: handler.hang_up())

    def trip(job: PullJob) -> None:
        if job.progress is not None and job.state is JobState.RUNNING:
            raise ZeroDivisionError

    pulls.subscribe(trip)
    job = pulls.start(tiny.entry)
    await pulls.wait(NAME)
    assert job.state is JobState.FAILED
    assert isinstance(job.error, PullFailed)
    assert "ZeroDivisionError" in job.error.message
    assert "Traceback" in caplog.text


async def test_closing_ends_every_pull(index: Index, tiny: TinyModel, store: ModelStore) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))
    manager = PullManager(store)
    job = manager.start(tiny.entry)
    await reach(manager, job, SOME)
    await manager.aclose()
    gate.set()
    assert job.state is JobState.PAUSED
    assert store.partials()[NAME] > 0
    await manager.aclose()


async def test_speed_and_time_left(index: Index, tiny: TinyModel) -> None:
    now = 100.0
    job = PullJob(tiny.entry, force=False)
    job.state = JobState.RUNNING
    job._meter = SpeedMeter(lambda: now)
    assert (job.speed, job.eta) == (0.0, None)
    for _ in range(5):
        job.advance(PullProgress(Phase.DOWNLOADING, int((now - 100) * 1000), 10_000))
        now += 1
    now -= 1
    assert job.speed == pytest.approx(1000)
    assert job.eta == pytest.approx(6)


def test_the_speed_forgets_what_is_long_ago() -> None:
    now = 0.0
    meter = SpeedMeter(lambda: now)
    for step in range(20):
        now = float(step)
        meter.add("downloading", step * (100 if step < 10 else 1000))
    assert meter.speed == pytest.approx(1000)
    now += 5
    assert meter.speed == pytest.approx(500)  # a stall shows
    meter.add("downloading", 0)  # it started over
    assert meter.speed == 0.0
    meter.add("unpacking", 5)
    assert meter.speed == 0.0


def test_how_long_nothing_has_come() -> None:
    now = 0.0
    meter = SpeedMeter(lambda: now)
    assert meter.still == 0.0
    meter.add("downloading", 10)
    now = 4.0
    meter.add("downloading", 10)  # a report that brings nothing
    assert meter.still == 4.0
    meter.add("downloading", 11)
    assert meter.still == 0.0
    now = 9.0
    meter.add("verifying", 0)
    assert meter.still == 0.0


def test_a_limit_to_the_bandwidth_is_not_taken_for_a_silent_server(tiny: TinyModel) -> None:
    now, limiter = 0.0, RateLimiter()
    job = PullJob(tiny.entry, force=False, limiter=limiter)
    job.state = JobState.RUNNING
    job._meter = SpeedMeter(lambda: now)
    job.advance(PullProgress(Phase.DOWNLOADING, 1000, 10_000))
    said = []
    for passed, rate in ((6.0, 0), (6.0, 20_000), (51.0, 20_000)):
        now, limiter.rate = passed, rate  # at that rate a block takes some seconds
        said.append(job.silent)
    job.advance(PullProgress(Phase.VERIFYING, 0, 10_000))
    now = 200.0
    assert [*said, job.silent] == [True, False, True, False]


async def test_a_pull_that_has_ended_can_be_forgotten_and_one_that_runs_cannot(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.always = status(404)
    manager = PullManager(store, policy=QUICK)
    manager.start(tiny.entry)
    manager.forget(NAME)
    assert NAME in manager.jobs
    await manager.wait(NAME)
    assert manager.jobs[NAME].state is JobState.FAILED
    manager.forget(NAME)
    manager.forget(NAME)
    assert not manager.jobs
    await manager.aclose()


def test_the_first_moments_have_no_speed() -> None:
    now = 0.0
    meter = SpeedMeter(lambda: now)
    meter.add("downloading", 0)
    now = 0.1
    meter.add("downloading", 100_000_000)
    assert meter.speed == 0.0


def test_importing_the_jobs_imports_nothing_heavy() -> None:
    code = (
        "import sys, npurun_tui.models.jobs, npurun_tui.models.store, npurun_tui.commands.models\n"
        "heavy = {'httpx', 'pypi_simple', 'rich', 'textual', 'zipfile', 'filelock'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
