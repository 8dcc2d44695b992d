"""A few pulls that are killed; `python -m benchmarks.pull_kills` does two hundred."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.kills import kill_pulls
from tests.support.pulling import only_index


@pytest.mark.skipif(sys.platform == "win32", reason="forks from a clean process")
def test_killed_pulls_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_index(monkeypatch, "http://127.0.0.1:9/simple")
    tally = kill_pulls(tmp_path, 4, seed=3, weights=24_000_000)
    assert sum(tally.kills.values()) == 4
    # What four connections have on their way weighs more in a small file; the benchmark measures a large one.
    assert tally.share < 0.2
