"""The pull as Ollama's clients read it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from npurun_tui.errors import PullFailed
from npurun_tui.models.pull.events import Event, pull_events
from npurun_tui.models.store import ModelStore
from tests.support.index_server import Index, serve, status
from tests.support.pulling import only_index
from tests.support.tiny_bundle import NAME, TinyBundle, build_tiny_bundle
from tests.support.tiny_model import build_tiny_model
from tests.unit.test_pull_bundle import BLOCKS, address


@pytest.fixture
def bundle() -> TinyBundle:
    return build_tiny_bundle()


@pytest.fixture
def index(bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with serve(build_tiny_model(tensor_bytes=1000)) as server:
        only_index(monkeypatch, server.url)
        server.data = bundle.archive
        yield server


async def events(index: Index, bundle: TinyBundle, store: ModelStore) -> list[Event]:
    return [each async for each in pull_events(bundle.at(address(index)), store, policy=BLOCKS)]


async def test_the_lines_come_in_ollamas_order(
    index: Index, bundle: TinyBundle, tmp_path: Path
) -> None:
    store = ModelStore(tmp_path)
    seen = await events(index, bundle, store)
    layers = [each for each in seen if "digest" in each]
    digest = layers[0]["digest"]
    assert digest.startswith("sha256:")
    assert {each["status"] for each in layers} == {f"pulling {digest[7:19]}"}
    assert {each["total"] for each in layers if "total" in each} == {len(bundle.archive)}
    amounts = [each.get("completed", 0) for each in layers]
    assert amounts == sorted(amounts)
    assert [each["status"] for each in seen if "digest" not in each] == [
        "pulling manifest",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    assert all("\n" not in json.dumps(each) for each in seen)
    assert store.get(NAME)


async def test_what_is_here_already_succeeds_at_once(
    index: Index, bundle: TinyBundle, tmp_path: Path
) -> None:
    store = ModelStore(tmp_path)
    await events(index, bundle, store)
    asked = len(index.requests)
    seen = await events(index, bundle, store)
    assert seen[0] == {"status": "pulling manifest"}
    assert seen[-1] == {"status": "success"}
    assert len(index.requests) == asked
    # The first pull recorded the hash; from then on it is the layer's digest.
    store.remove(NAME)
    again = await events(index, bundle, store)
    digest = f"sha256:{hashlib.sha256(bundle.archive).hexdigest()}"
    assert {each["digest"] for each in again if "digest" in each} == {digest}


async def test_a_failure_is_raised_and_closing_stops_it(
    index: Index, bundle: TinyBundle, tmp_path: Path
) -> None:
    store = ModelStore(tmp_path)
    index.always = status(404)
    with pytest.raises(PullFailed):
        await events(index, bundle, store)
    steps = pull_events(bundle.at(address(index)), store, policy=BLOCKS)
    assert (await anext(steps))["status"] == "pulling manifest"
    await steps.aclose()
    assert store.scan() == ([], [])
