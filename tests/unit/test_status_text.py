"""The status bar's words for everything that the engine and the downloads can be doing."""

from __future__ import annotations

from typing import Any

import pytest

from npurun_tui.app import AT_START
from npurun_tui.engine.engine import EngineState, EngineStatus, LoadedModel
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.jobs import JobState, PullJob
from npurun_tui.models.pull import Phase, PullProgress
from npurun_tui.widgets.status_text import SIGNS, describe, describe_pulls

CPU = LoadedModel("smollm2-135m-instruct", "llama.cpp", 2048, 500.0, "CPU (llama.cpp)")
NPU = LoadedModel("llama-3.2-3b", "genie", 4096, 500.0, "NPU (Genie 1.21.0)")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({}, "○ stopped  no model  permit: free"),
        (
            {"state": "loading", "loading": "smollm2", "holder": "chat"},
            "◐ loading smollm2  permit: chat",
        ),
        (
            {"state": "ready", "model": CPU},
            "● ready  smollm2-135m-instruct  CPU (llama.cpp)  permit: free",
        ),
        (
            {"state": "generating", "model": NPU, "holder": "chat", "waiting": ("bench", "HTTP")},
            "▶ generating  llama-3.2-3b  NPU (Genie 1.21.0)  permit: chat, 2 waiting",
        ),
        (
            {"state": "failed", "reason": "No such file."},
            "✗ failed  no model  permit: free  No such file.",
        ),
        (
            {"state": "crashed", "reason": "killed\nby \x1b[31m9"},
            "✗ crashed  no model  permit: free  killed by ␛[31m9",
        ),
        ({"holder": "chat"}, "○ stopped  no model  permit: chat"),
    ],
)
def test_describe(status: dict[str, Any], text: str) -> None:
    if "state" in status:
        status["state"] = EngineState(status["state"])
    assert describe(EngineStatus(**status)) == text


def test_the_bar_begins_with_the_words_for_an_engine_never_used() -> None:
    assert describe(EngineStatus()) == AT_START


def test_where_it_runs_gives_way_first() -> None:
    status = EngineStatus(state=EngineState.GENERATING, model=NPU, holder="chat")
    assert describe(status, short=True) == "▶ generating  llama-3.2-3b  permit: chat"
    assert describe(EngineStatus(), "NPU", short=True) == AT_START


def test_every_state_has_a_sign() -> None:
    assert set(SIGNS) == set(EngineState)


def job(progress: PullProgress | None = None, state: JobState = JobState.RUNNING) -> PullJob:
    made = PullJob(CATALOG[0], force=False)
    made.state, made.progress = state, progress
    return made


def test_pulls_in_words() -> None:
    half = PullProgress(Phase.DOWNLOADING, 50, 100)
    assert describe_pulls([]) == ""
    assert describe_pulls([job(half, JobState.DONE), job(state=JobState.FAILED)]) == ""
    assert describe_pulls([job()]) == "↓ smollm2-135m-instruct"
    assert describe_pulls([job(half)]) == "↓ smollm2-135m-instruct 50 %"
    assert describe_pulls([job(half)], short=True) == "↓ 50 %"
    assert describe_pulls([job(half), job()]) == "↓ 2 pulls"
    waits = job(state=JobState.QUEUED)
    assert describe_pulls([job(half), waits]) == "↓ smollm2-135m-instruct 50 %, 1 queued"
    assert describe_pulls([job(half), job(), waits, waits]) == "↓ 2 pulls, 2 queued"
