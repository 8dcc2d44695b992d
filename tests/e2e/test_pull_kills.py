"""A few pulls that are killed; `python -m benchmarks.pull_kills` does two hundred."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.pulling import only_index


@pytest.mark.skipif(sys.platform == "win32", reason="forks from a clean process")
def test_killed_pulls_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a program of its own: what it forks from stays until it ends, and other tests count processes."""
    only_index(monkeypatch, "http://127.0.0.1:9/simple")
    command = [sys.executable, "-m", "benchmarks.pull_kills", "--kills", "4", "--seed", "3"]
    # What four connections have on their way weighs more in a small file; the benchmark measures a large one.
    size = ["--size-mb", "24", "--most-twice", "0.2"]
    done = subprocess.run([*command, *size], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kills" in done.stdout
    assert "models that differ: 0, leftovers: 0" in done.stdout
