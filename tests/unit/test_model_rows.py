"""What the Models tab says, without a terminal: from real folders, the real catalog and real job objects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from npurun_tui.errors import NetworkUnavailable
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.fit import Fit, MachineFacts
from npurun_tui.models.jobs import JobState, PullJob, PullManager
from npurun_tui.models.pull import Phase, PullProgress
from npurun_tui.models.store import ModelStore
from npurun_tui.models.verify import Verdict
from npurun_tui.screens.model_disk import Disk, disk_line, look, measure, still_needed
from npurun_tui.screens.model_local import Check
from npurun_tui.screens.model_order import Order, arranged
from npurun_tui.screens.model_row import Kind, ModelRow
from npurun_tui.screens.model_rows import Known, model_rows
from npurun_tui.screens.model_state import ModelsState
from npurun_tui.screens.model_table import MadeCells
from npurun_tui.screens.model_texts import arrived, first_model_card, removal_question
from npurun_tui.screens.model_words import bar, pace, progress_line
from tests.support.models import add_broken_model, add_cpu_model, add_npu_model

ENTRY = CATALOG[0]


def rows_of(
    store: ModelStore, jobs: dict[str, PullJob] | None = None, here: int = 0
) -> dict[str, ModelRow]:
    partials = {ENTRY.name: here} if here else {}
    installed, broken = store.scan()
    known = Known(installed, broken, partials, catalog=[ENTRY], jobs=jobs or {})
    return {row.name: row for row in model_rows(known)}


def job(
    progress: PullProgress | None = None,
    state: JobState = JobState.RUNNING,
    error: NetworkUnavailable | None = None,
) -> dict[str, PullJob]:
    made = PullJob(ENTRY, force=False)
    made.state, made.progress, made.error = state, progress, error
    return {ENTRY.name: made}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path)


def test_installed_then_broken_then_available(store: ModelStore) -> None:
    add_npu_model(store.root, "zephyr")
    add_cpu_model(store.root, "alpha")
    add_broken_model(store.root, "mid")
    rows = rows_of(store)
    assert list(rows) == ["alpha", "zephyr", "mid", ENTRY.name]
    assert [row.kind for row in rows.values()] == [
        Kind.INSTALLED,
        Kind.INSTALLED,
        Kind.BROKEN,
        Kind.AVAILABLE,
    ]


def test_an_installed_model_s_row(store: ModelStore) -> None:
    add_cpu_model(store.root, "alpha", size=5000)
    row = rows_of(store)["alpha"]
    assert (row.backend, row.quant, row.context) == ("CPU", "Q4_1", "8,192")
    assert dict(row.facts)["Backend"] == "CPU (llama.cpp)"
    assert dict(row.facts)["Integrity"] == "no sha256"
    assert row.on_disk > 5000
    assert row.removable
    assert not row.pullable


def test_an_npu_model_is_said_to_be_one(store: ModelStore) -> None:
    add_npu_model(store.root, "zephyr")
    row = rows_of(store)["zephyr"]
    assert row.backend == "NPU"
    assert dict(row.facts)["Backend"] == "NPU (Genie)"


def test_a_broken_model_says_why_and_can_go(store: ModelStore) -> None:
    add_broken_model(store.root, "odd")
    row = rows_of(store)["odd"]
    assert row.state == "✗ broken"
    assert "JSON" in row.note
    assert row.removable
    assert not row.pullable


def test_a_hostile_folder_name_is_shown_harmless_and_kept_as_key(store: ModelStore) -> None:
    add_broken_model(store.root, "[red]\x1b[2J")
    row = rows_of(store)["[red]\x1b[2J"]
    assert row.label == "[red]␛[2J"
    assert "\x1b" not in row.note + str(row.facts)


def test_an_available_model_s_row(store: ModelStore) -> None:
    row = rows_of(store)[ENTRY.name]
    assert (row.state, row.size, row.quant) == ("· available", "98.4 MB", "Q4_1")
    assert row.pullable
    assert not row.removable, "nothing of it is here"


@pytest.mark.parametrize(
    ("progress", "state", "line"),
    [
        (None, "↓ starting…", "Starting…"),
        (PullProgress(Phase.RESOLVING), "↓ looking up…", "Looking up…"),
        (
            PullProgress(Phase.DOWNLOADING, 41, 100),
            "━━────  41 %",
            "Downloading  ━━━━────── 41 %\n41 B of 100 B",
        ),
        (
            PullProgress(Phase.VERIFYING, 100, 100),
            "↓ verifying…",
            f"Verifying  {'━' * 10} 100 %\n100 B of 100 B",
        ),
        (PullProgress(Phase.UNPACKING), "↓ unpacking…", "Unpacking…"),
        (
            PullProgress(Phase.DOWNLOADING, 41, 100, note="No answer; trying again."),
            "… waiting 41 %",
            "No answer; trying again.",
        ),
    ],
)
def test_a_running_pull(
    store: ModelStore, progress: PullProgress | None, state: str, line: str
) -> None:
    row = rows_of(store, job(progress))[ENTRY.name]
    assert (row.kind, row.state, row.progress) == (Kind.PULLING, state, line)
    assert not row.pullable
    assert not row.removable


def test_speed_and_remaining_time_once_they_are_known(store: ModelStore) -> None:
    class Measured(PullJob):
        speed = 2_000_000.0
        eta = 30.4

    running = Measured(ENTRY, force=False)
    running.progress = PullProgress(Phase.DOWNLOADING, 40_000_000, 100_000_000)
    assert progress_line(running).endswith("40 MB of 100 MB\n2.0 MB/s  30 s left")
    Measured.eta = 130.0
    assert progress_line(running).endswith("2 min 10 s left")


def test_a_half_fetched_model_is_paused_and_can_go_on_or_go(store: ModelStore) -> None:
    row = rows_of(store, here=ENTRY.download_size * 41 // 100 + 1)[ENTRY.name]
    assert (row.kind, row.state) == (Kind.PAUSED, "‖ paused, 41 %")
    assert "goes on from there" in row.progress
    assert row.pullable
    assert row.removable
    assert "the part that has arrived" in removal_question(row)


def test_a_failed_pull_says_why_and_how_far_it_came(store: ModelStore) -> None:
    failed = job(state=JobState.FAILED, error=NetworkUnavailable("No answer.", mend="Try again."))
    row = rows_of(store, failed, here=ENTRY.download_size // 2)[ENTRY.name]
    assert (row.kind, row.state, row.note) == (
        Kind.FAILED,
        "✗ failed, 50 %",
        "No answer. Try again.",
    )
    assert row.pullable


def test_an_unfinished_download_of_a_forgotten_model_can_be_removed(store: ModelStore) -> None:
    rows = model_rows(Known(partials={"forgotten": 5000}, catalog=[ENTRY]))
    assert rows[-1].name == "forgotten"
    assert rows[-1].removable
    assert not rows[-1].pullable


def test_the_question_says_exactly_how_much_is_freed(store: ModelStore) -> None:
    add_cpu_model(store.root, "alpha", size=98_000)
    row = rows_of(store)["alpha"]
    assert f"({row.on_disk:,} bytes)" in removal_question(row)
    assert store.remove("alpha") == row.on_disk


@pytest.mark.parametrize(
    ("share", "full"), [(-1.0, 0), (0.0, 0), (0.5, 3), (0.99, 5), (1.0, 6), (9, 6)]
)
def test_a_bar_is_full_only_at_the_end(share: float, full: int) -> None:
    assert bar(share, 6) == "━" * full + "─" * (6 - full)


def test_the_card_for_beginners(store: ModelStore) -> None:
    available = list(rows_of(store).values())
    assert "press Enter" in first_model_card(available)
    assert "go on pulling" in first_model_card(list(rows_of(store, here=5000).values()))
    assert "on its way" in first_model_card(list(rows_of(store, job()).values()))
    [begun] = rows_of(store, here=5000).values()
    later = replace(begun, name="later")
    assert "go on pulling later" in first_model_card([*available, later])
    elsewhere = [replace(row, pull="", elsewhere=True) for row in available]
    told = first_model_card([*elsewhere, bundle_row()])
    assert told.startswith(f"Another program works on {ENTRY.name}."), "another is not recommended"
    hopeless = replace(rows_of(store, job())[ENTRY.name], name="huge", runs="✗ no")
    assert "press Enter" in first_model_card([hopeless, *available])
    installed = replace(available[0], kind=Kind.INSTALLED)
    assert first_model_card([installed]) == ""
    assert first_model_card([]) == ""


def test_what_cannot_run_here_is_not_recommended_when_it_has_come() -> None:
    assert arrived("m", None) == arrived("m", Fit(runs=True, words="It runs here."))
    assert "Press u" in arrived("m", None)
    assert arrived("m", Fit(runs=False, words="It needs an NPU.")) == (
        "m is installed. It cannot run here: It needs an NPU."
    )


# --- what runs here, what is queued, what is hashed --------------------------------------------


BUNDLE = CATALOG[4]


def bundle_row(**known: Any) -> ModelRow:
    [row] = model_rows(Known(catalog=[BUNDLE], **known))
    return row


def test_whether_it_runs_here_has_a_sign_and_a_word() -> None:
    assert bundle_row().runs == ""
    no = bundle_row(fits={BUNDLE.name: Fit(runs=False, words="It needs an NPU.")})
    assert (no.runs, no.progress) == ("✗ no", "✗ It cannot run here. It needs an NPU.")
    yes = bundle_row(fits={BUNDLE.name: Fit(runs=True, words="It runs here.")})
    assert (yes.runs, yes.progress) == ("✓ yes", "✓ It runs here.")


@pytest.mark.parametrize(
    ("npu", "machine", "runs", "words"),
    [
        (False, MachineFacts((), "", "", True, 1 << 40), "✓ yes", "on the CPU"),
        (False, MachineFacts((), "", "", False, 1 << 40), "✗ no", "no build for this machine"),
        (False, MachineFacts((), "", "", True, 900), "✗ no", "of memory"),
        (True, MachineFacts((), "None was found.", "", True, 1 << 40), "✗ no", "None was found."),
        (True, MachineFacts(("v73",), "", "", True, 1 << 40), "?", "Hexagon v73"),
    ],
)
def test_a_model_that_no_catalog_has_says_what_is_known(
    store: ModelStore, npu: bool, machine: MachineFacts, runs: str, words: str
) -> None:
    (add_npu_model if npu else add_cpu_model)(store.root, "own")
    state = ModelsState(PullManager(store))
    state.seen = look(store, lambda: [ENTRY])
    state.suit()
    assert state.make_rows()[0].runs == "", "this machine was not asked yet"
    state.machine = machine
    state.suit()
    row = state.make_rows()[0]
    assert (row.name, row.runs) == ("own", runs)
    assert words in dict(row.facts)["Runs here"]


def test_an_estimate_is_marked_and_nothing_is_called_verified() -> None:
    row = bundle_row()
    assert row.size == "≈2.53 GB"
    facts = dict(row.facts)
    assert facts["Download"].startswith("≈")
    assert facts["Integrity"] == "sha256, recorded on the first pull"
    [pinned] = model_rows(Known(catalog=[ENTRY]))
    assert dict(pinned.facts)["Integrity"] == "sha256, pinned"
    assert "≈" not in pinned.size


def test_a_queued_pull(store: ModelStore) -> None:
    row = rows_of(store, job(state=JobState.QUEUED))[ENTRY.name]
    assert (row.kind, row.state) == (Kind.QUEUED, "… queued")
    assert row.on_its_way
    assert not row.pullable


def test_the_pace_in_few_cells() -> None:
    class Measured(PullJob):
        speed = 11_200_000.0
        eta: float | None = 59.6

    running = Measured(ENTRY, force=False)
    assert pace(running) == "11.2 MB/s  1 min"
    Measured.eta = 0.2
    assert pace(running) == "11.2 MB/s  1 s"
    Measured.eta = 3601.0
    assert pace(running) == "11.2 MB/s  2 h"
    Measured.eta = None
    assert pace(running) == "11.2 MB/s"
    Measured.speed, Measured.eta = 8_000_000.0, 20.0
    assert pace(running) == " 8.0 MB/s  20 s", "the time stands where it stood"


async def test_damage_is_said_with_its_mend(store: ModelStore) -> None:
    add_cpu_model(store.root, "alpha")
    [model] = store.scan()[0]
    check = Check(model)
    check.verdicts = {"model.gguf": Verdict.DIFFERS}
    [row] = model_rows(Known(installed=[model], checks={"alpha": check}))
    assert row.state == "✗ damaged"
    assert not row.pullable
    assert "Press r to remove it" in row.note
    entry = replace(ENTRY, name="alpha")
    [row] = model_rows(Known(installed=[model], checks={"alpha": check}, catalog=[entry]))
    assert row.pullable
    assert row.command == "npurun-tui pull alpha --force"


# --- what is made once -------------------------------------------------------------------------


def many(count: int) -> tuple[CatalogEntry, ...]:
    return tuple(replace(ENTRY, name=f"m{number}") for number in range(count))


def test_only_the_row_that_moves_is_made_anew(store: ModelStore) -> None:
    add_cpu_model(store.root, "alpha")
    jobs: dict[str, PullJob] = {}
    state = ModelsState(cast("PullManager", SimpleNamespace(jobs=jobs, open_jobs=())))
    state.seen = look(store, lambda: many(20))
    state.suit()
    before = {row.name: row for row in state.make_rows()}
    running = PullJob(state.entries["m7"], force=False)
    running.state, running.progress = JobState.RUNNING, PullProgress(Phase.DOWNLOADING, 41, 100)
    jobs["m7"] = running
    made = MadeCells()
    cells = made.of(state.make_rows())
    running.progress = PullProgress(Phase.DOWNLOADING, 42, 100)
    after = {row.name: row for row in state.make_rows()}
    assert [name for name, row in after.items() if row is not before[name]] == ["m7"]
    again = made.of(after.values())
    assert [name for name in again if again[name] is not cells[name]] == ["m7"]
    assert list(again) == list(after)
    running.state = JobState.DONE
    assert state.make_rows()[8] is before["m7"]


def test_what_a_row_is_made_from_is_never_stale(store: ModelStore) -> None:
    state = ModelsState(PullManager(store))

    def rows() -> dict[str, ModelRow]:
        state.suit()
        return {row.name: row for row in state.make_rows()}

    state.seen = look(store, lambda: many(2))
    assert rows()["m1"].title == ENTRY.title
    state.machine = MachineFacts((), "", "", cpu_engine=True, memory=1 << 40)
    assert rows()["m1"].runs == "✓ yes"
    state.seen = replace(state.seen, catalog=(replace(many(2)[1], title="Another"),))
    assert list(rows()) == ["m1"]
    assert rows()["m1"].title == "Another"
    state.seen = replace(state.seen, partials={"m1": 5000})
    assert rows()["m1"].kind is Kind.PAUSED
    add_cpu_model(store.root, "alpha", size=5000)
    state.seen = look(store, lambda: many(2))
    small = rows()["alpha"].size
    store.remove("alpha")
    add_cpu_model(store.root, "alpha", size=90_000)
    state.seen = look(store, lambda: many(2))
    assert rows()["alpha"].size != small


# --- order and filter --------------------------------------------------------------------------


def test_order_and_filter(store: ModelStore) -> None:
    add_npu_model(store.root, "zephyr", size=5000)
    add_cpu_model(store.root, "alpha", size=90_000)
    rows = list(rows_of(store).values())

    def names(order: Order, wanted: str = "") -> list[str]:
        return [row.name for row in arranged(rows, order, wanted)]

    assert names(Order()) == ["alpha", "zephyr", ENTRY.name]
    assert names(Order("Size")) == ["zephyr", "alpha", ENTRY.name]
    assert names(Order("Size", reverse=True)) == [ENTRY.name, "alpha", "zephyr"]
    assert names(Order(), "NPU w4a16") == ["zephyr"]
    assert names(Order(), "smollm2 135m instruct") == [ENTRY.name]
    assert names(Order(), "installed") == ["alpha", "zephyr"]
    assert names(Order(), "nothing") == []
    order = Order()
    seen = [(order := order.next()).column for _ in range(7)]
    assert len(set(seen)) == 7
    assert order == Order()
    assert Order().clicked("Pace") == Order()


def test_what_was_begun_stands_above_what_was_not(store: ModelStore) -> None:
    add_npu_model(store.root, "zephyr")
    add_broken_model(store.root, "mid")
    installed, broken = store.scan()
    queued, failed, paused, pulled = CATALOG[2], CATALOG[4], CATALOG[5], CATALOG[6]
    jobs = {entry.name: PullJob(entry, force=False) for entry in (queued, failed)}
    jobs[failed.name].state = JobState.FAILED
    rows = model_rows(
        Known(
            installed,
            broken,
            {paused.name: 5000},
            catalog=CATALOG,
            jobs=jobs,
            elsewhere={pulled.name: "123"},
        )
    )
    begun = [entry.name for entry in (queued, failed, paused, pulled)]
    others = [entry.name for entry in CATALOG if entry.name not in begun]
    assert [row.name for row in arranged(rows, Order(), "")] == ["zephyr", "mid", *begun, *others]


# --- the disk ----------------------------------------------------------------------------------


def test_what_the_pulls_still_need(store: ModelStore) -> None:
    [running] = job(PullProgress(Phase.DOWNLOADING, 40_000_000, 92_871_040)).values()
    [queued] = job(state=JobState.QUEUED).values()
    [paused] = job(state=JobState.PAUSED).values()
    left = 52_871_040 + ENTRY.installed_size
    assert still_needed([running]) == left
    assert still_needed([running, paused]) == left
    assert still_needed([queued]) == ENTRY.download_size + ENTRY.installed_size


def test_the_line_about_the_disk_says_where_it_does_not_fit() -> None:
    disk = Disk(2_000_000_000, 8_000_000_000)
    line = disk_line(disk, 500_000_000, 0, 0, 78)
    assert line == ("models 500 MB  ━━━━━━──  2 GB free of 8 GB", False)
    line = disk_line(disk, 500_000_000, 2_500_000_000, 2_000_000, 90)
    assert line == (
        "models 500 MB  2 GB free of 8 GB  ✗ pulls need 2.5 GB, 500 MB too much  limit 2 MB/s",
        True,
    )
    assert disk_line(None, 500_000_000, 5, 0, 78) == ("models 500 MB", False)


def test_a_disk_with_little_room_is_said_before_anything_is_pulled() -> None:
    disk = Disk(400_000_000, 8_000_000_000)
    line, warns = disk_line(disk, 500_000_000, 0, 0, 78)
    assert line.endswith("400 MB free of 8 GB  ✗ little room")
    assert warns
    line, warns = disk_line(disk, 500_000_000, 1_000_000, 0, 78)
    assert line.endswith("✗ little room  pulls need 1 MB")


def test_a_folder_that_is_not_there_yet_is_measured(tmp_path: Path) -> None:
    there, above = measure(tmp_path / "a" / "b"), measure(tmp_path)
    assert there is not None and above is not None  # noqa: PT018
    assert (
        there.total == above.total > 0
    )  # what is free changes with whatever else writes to the disk
