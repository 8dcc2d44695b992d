"""The file by which a running server is found: who may read it, when it goes, and what is believed of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from npurun_tui.server.beacon import Beacon, find_other, leave, read, remove
from npurun_tui.server.tokens import hash_token
from tests.support.server_tab import listening
from tests.support.workbench import home_paths


async def test_it_is_there_while_a_server_runs(tmp_path: Path) -> None:
    path = home_paths(tmp_path).beacon
    async with listening(tmp_path) as control:
        found = read(path)
        assert found is not None
        assert (found.url, found.pid) == (control.status.url, os.getpid())
        assert find_other(path) is None  # one's own
        if os.name == "posix":
            assert path.stat().st_mode & 0o777 == 0o600
        await control.stop()
        assert not path.exists()


async def test_it_tells_no_token(tmp_path: Path) -> None:
    path = home_paths(tmp_path).beacon
    async with listening(tmp_path) as control:
        await control.stop()
        assert control.config is not None
        await control.start(type(control.config)(port=0, infer_token=hash_token("a secret")))
        assert set(json.loads(path.read_bytes())) == {"url", "pid", "started"}


def test_a_living_process_of_another_is_found_and_a_dead_one_is_cleared_away(
    tmp_path: Path,
) -> None:
    path = tmp_path / "server.json"
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        beacon = Beacon("http://127.0.0.1:1", child.pid, 1.5)
        leave(path, beacon)
        assert find_other(path) == beacon
        remove(path)  # another's
        assert find_other(path) == beacon
    finally:
        child.kill()
        child.communicate()
    assert find_other(path) is None
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 5000,
        '{"url": "http://127.0.0.1:1"}',
        '{"url": "file:///etc/passwd", "pid": 1, "started": 0}',
        '{"url": "http://\\u001b[2J", "pid": 1, "started": 0}',
        '{"url": "http://a", "pid": true, "started": 0}',
        '{"url": "http://a", "pid": -1, "started": 0}',
        '{"url": "http://a", "pid": 99999999999999999999, "started": 0}',
        '{"url": "http://a", "pid": 1, "started": "now"}',
    ],
)
def test_what_says_something_else_is_no_server(tmp_path: Path, text: str) -> None:
    path = tmp_path / "server.json"
    path.write_text(text)
    assert read(path) is None
    assert find_other(path) is None
    remove(path)
    assert path.exists()


def test_a_file_that_cannot_be_read_is_no_server(tmp_path: Path) -> None:
    assert read(tmp_path / "nothing") is None
    assert read(tmp_path) is None
