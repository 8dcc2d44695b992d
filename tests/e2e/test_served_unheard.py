"""`serve` where nobody listens to its stderr: requests are still logged, and Ctrl+C still ends it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import httpx
import pytest

from npurun_tui.storage.database import Database
from npurun_tui.storage.requests import RequestTable
from tests.support.served import Served, serve

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")


def ask(served: Served, times: int) -> None:
    with httpx.Client(base_url=served.url, timeout=20) as client:
        for _ in range(times):
            assert client.get("/api/version").status_code == 200


def logged(home: Path) -> int:
    (path,) = home.rglob("*.db")
    database = Database(path)
    try:
        return RequestTable(database).count()
    finally:
        database.close()


def test_a_closed_stderr_ends_neither_the_log_nor_the_way_out(tmp_path: Path) -> None:
    with serve(tmp_path / "home", tmp_path / "models", listens=False) as served:
        ask(served, 2)
        assert served.process.stderr is not None
        served.process.stderr.close()
        for _ in range(3):
            ask(served, 4)
            time.sleep(
                0.3
            )  # each in a batch of its own: the first after the closing must not be the last
        assert served.stop() == 0
    assert logged(tmp_path / "home") == 14


@pytest.mark.skipif(sys.platform != "linux", reason="only there can a pipe be made small")
def test_a_full_stderr_holds_nothing_up(tmp_path: Path) -> None:
    with serve(tmp_path / "home", tmp_path / "models", pipe=4096, listens=False) as served:
        ask(served, 300)
        began = time.monotonic()
        assert served.stop() == 0
        assert time.monotonic() - began < 20
    assert logged(tmp_path / "home") == 300
