"""`ps` asks a real server whose model is written down."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from npurun_tui.commands.ps import ps
from npurun_tui.errors import NetworkUnavailable
from tests.support.attached import server_there


async def test_what_is_loaded_where_and_for_how_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with server_there(tmp_path) as there:
        assert await asyncio.to_thread(ps, there.url, "", as_json=False) == 0
        shown = capsys.readouterr().out
        assert await asyncio.to_thread(ps, there.where, "", as_json=True) == 0
        told = json.loads(capsys.readouterr().out)
        url = there.url
    head, titles, model = shown.splitlines()
    assert head.startswith(f"{url}  ready  ")
    assert titles.split() == ["NAME", "MEMORY", "CONTEXT", "RUNS", "ON", "UNTIL"]
    assert " ".join(model.split()) == "small:latest 1 kB 512 CPU (llama.cpp) for ever"
    assert told["server"]["place"] == "CPU (llama.cpp)"
    assert [each["name"] for each in told["models"]] == ["small:latest"]


def test_nobody_there() -> None:
    with pytest.raises(NetworkUnavailable, match="cannot be reached"):
        ps("127.0.0.1:9", "", as_json=False)
