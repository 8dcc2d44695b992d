"""A short soak of the server (`benchmarks.server_soak` is the long one): requests of every manner, an engine that is
killed, and what must hold afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.models import add_cpu_model
from tests.support.server_soak import server_soak

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")


async def test_nothing_leaks_and_every_answer_is_logged(tmp_path: Path) -> None:
    add_cpu_model(tmp_path / "models", "tiny")
    tally = await server_soak(
        tmp_path, tmp_path / "models", "tiny", rounds=2, each=200, kill_after=0.4
    )
    first, last = tally.looks
    assert sum(tally.kinds.values()) == 400
    assert tally.statuses["200"] > 100
    assert tally.kills > 0
    assert tally.statuses["500"] <= tally.kills * 6  # those in the line meet the same dead engine
    assert tally.answered > 200
    assert last.tasks == first.tasks
    assert (
        last.threads <= first.threads + 4
    )  # both loops make their worker threads as they need them
    assert last.descriptors <= first.descriptors + 2
