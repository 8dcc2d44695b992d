"""What a server elsewhere tells, where it tells nonsense: nothing of it is believed, and nothing of it fails us."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.attach.pulls import RemotePull
from npurun_tui.attach.requests import request_of
from npurun_tui.attach.there import RemoteLoaded, RemoteModel, ServerThere
from npurun_tui.engine.engine import EngineState, EngineStatus, LoadedModel
from npurun_tui.errors import EngineError, NetworkUnavailable
from npurun_tui.screens.attached_words import bar_words, entry_of, model_rows, seen_of, until
from npurun_tui.screens.server_entry import facts_of
from npurun_tui.screens.server_words import head
from npurun_tui.server.admin import RequestEntry, Standing

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
REQUEST = RequestEntry.__struct_fields__
STANDING = Standing.__struct_fields__


@asynccontextmanager
async def answering(body: bytes, status: int = 200) -> AsyncIterator[ServerThere]:
    """A server that answers everything with `body`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\n\r\n" % status + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield ServerThere(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")


@given(st.dictionaries(st.sampled_from(REQUEST), JSON))
def test_any_object_is_a_request_or_none(entry: dict[str, Any]) -> None:
    request = request_of(entry)
    if request is None:
        assert not (isinstance(entry.get("request_id"), str) and entry["request_id"])
        return
    shown = entry_of(request, 0)
    assert len(shown.cells) > 5
    assert all("\x1b" not in cell.text for cell in shown.cells)
    assert facts_of(shown)
    assert request.row.body is None


@pytest.mark.parametrize(
    ("process", "own", "server"),
    [(7, 5, "pid 7"), (5, 5, ""), (0, 5, ""), (7, 0, ""), (None, 5, "")],
)
def test_another_servers_request_is_marked(process: int | None, own: int, server: str) -> None:
    request = request_of({"request_id": "a", "process": process})
    assert request is not None
    assert entry_of(request, own).server == server


@given(st.dictionaries(st.sampled_from(STANDING), JSON))
def test_any_standing_makes_a_head(standing: dict[str, Any]) -> None:
    seen = seen_of(standing, "http://127.0.0.1:1")
    words = head(seen.status, seen.config, seen.engine)
    assert all(isinstance(side, str) for line in (words.access, words.work) for side in line)


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"models": [{"name": "a:latest", "size": -1, "capabilities": "x"}]}, ["a"]),
        ({"models": [{"name": "a\x1b[2J\nb", "details": [], "size": True}]}, None),
        ({"models": [7, None, {}]}, [""]),
        ({"models": {"a": 1}}, []),
        ({}, []),
    ],
)
async def test_lists_of_models(document: dict[str, Any], names: list[str] | None) -> None:
    async with answering(json.dumps(document).encode()) as there:
        found = await there.models()
        loaded = await there.loaded()
    assert len(found) == len(loaded)
    assert all(model.size == 0 and "\x1b" not in model.name for model in found)
    if names is not None:
        assert [model.name for model in found] == names


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b"[" * 100_000])
async def test_what_is_no_json_object(body: bytes) -> None:
    async with answering(body) as there:
        with pytest.raises(EngineError, match="not JSON"):
            await there.models()


async def test_details_that_cannot_be_are_left_out() -> None:
    info = {"npurun.context": "many", "npurun.backend": [3], "a.vocab": 10**40, "b.context": True}
    document = {"model_info": info, "license": "L\x1b" * 9999, "capabilities": [1, "completion"]}
    async with answering(json.dumps(document).encode()) as there:
        details = await there.details("x")
    assert (details.context, details.backend) == (0, "")
    facts = dict(details.facts)
    assert facts["Can"] == "completion"
    assert set(facts) == {"Can", "Licence"}
    assert len(facts["Licence"]) <= 300
    assert "\x1b" not in facts["Licence"]


@pytest.mark.parametrize(
    ("lines", "error", "words"),
    [
        ('{"error": "pull model manifest: no such\\u001b model"}', EngineError, "no such"),
        ('{"status": "pulling"}\n', NetworkUnavailable, "Pull again: it goes on"),
        ("{]\n", EngineError, "not a pull"),
        ("3\n", EngineError, "not a pull"),
    ],
)
async def test_pulls_that_fail(lines: str, error: type[Exception], words: str) -> None:
    async with answering(lines.encode()) as there:
        with pytest.raises(error, match=words) as caught:
            async for _ in there.pull("x"):
                pass
    assert "\x1b" not in str(caught.value)


async def test_a_pull_tells_how_far_it_is() -> None:
    events = [
        {"status": "pulling manifest"},
        {"status": "pulling x", "completed": 5, "total": 10},
        {"status": "pulling x", "completed": "most", "total": -1},
        {"status": "success"},
    ]
    body = "".join(json.dumps(event) + "\n" for event in events).encode()
    async with answering(body) as there:
        found = [event async for event in there.pull("x")]
    assert found[:3] == [("pulling manifest", 0, 0), ("pulling x", 5, 10), ("pulling x", 0, 0)]


async def test_a_server_that_is_silent_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # which accepts nobody
        there = ServerThere(f"127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(NetworkUnavailable, match="does not answer"):
            await there._ask("GET", "/healthz", seconds=0.05)


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (EngineStatus(), "attached to h:1  ○ stopped  no model  permit: free"),
        (
            EngineStatus(
                EngineState.READY,
                LoadedModel("m", "llama.cpp", 0, 0.0, "CPU (llama.cpp) at h:1"),
            ),
            "attached to h:1  ● ready  m  CPU (llama.cpp)  permit: free",
        ),
        (
            EngineStatus(
                EngineState.FAILED, reason="The server at http://h:1 cannot be reached (no)."
            ),
            "attached to h:1  ✗ it cannot be reached (no).",
        ),
    ],
)
def test_the_status_bar(status: EngineStatus, words: str) -> None:
    assert bar_words(status, "h:1") == words


@pytest.mark.parametrize("expires", ["", "soon", "9999999-01-01", "0001-01-01T00:00:00+23:59"])
def test_a_stay_that_cannot_be_read(expires: str) -> None:
    assert until(RemoteLoaded("m", 0, 0, expires)).startswith("loaded")


def test_rows_of_models_and_pulls() -> None:
    loaded = {"a": RemoteLoaded("a", 2048, 1, "2999-01-01T00:00:00Z")}
    pulls = {"p": RemotePull("p", "pulling", 25, 100), "f": RemotePull("f", fault="No.")}
    rows = model_rows([RemoteModel("a", 1000), RemoteModel("b")], loaded, {}, pulls)
    assert list(rows) == ["pull:p", "pull:f", "a", "b"]
    states = {key: cells[1].text for key, cells in rows.items()}
    assert states["pull:p"].endswith("25 %")
    assert states["pull:f"] == "✗ failed"
    assert states["a"] == "● loaded for ever"
    assert (states["b"], rows["a"][4].text, rows["b"][2].text) == ("installed", "2,048", "")
