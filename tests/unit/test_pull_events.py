"""The pull as Ollama's clients read it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from npurun_tui.errors import PullFailed
from npurun_tui.models.pull import Phase, PullProgress, pull
from npurun_tui.models.pull.events import BEGINNING, Event, PullWords, layer_digest
from npurun_tui.models.store import ModelStore
from tests.support.index_server import Index, status
from tests.support.pulling import BLOCKS
from tests.support.tiny_bundle import NAME, TinyBundle
from tests.unit.test_pull_bundle import address


@pytest.fixture
def index(archives: Index) -> Index:
    """Here it has the bundle."""
    return archives


async def events(index: Index, bundle: TinyBundle, store: ModelStore) -> list[Event]:
    """All that is said of a pull, as the server's route puts it together."""
    entry = bundle.at(address(index))
    words = PullWords(layer_digest(entry, store.root))
    seen = [BEGINNING]
    async for progress in pull(entry, store, policy=BLOCKS):
        seen += words.take(progress)
    return [*seen, *words.closing()]


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


async def test_a_failure_is_raised(index: Index, bundle: TinyBundle, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    index.always = status(404)
    with pytest.raises(PullFailed):
        await events(index, bundle, store)
    assert store.scan() == ([], [])


# --- the layer's bar ---------------------------------------------------------------------------

DIGEST = f"sha256:{'a' * 64}"


def said(*steps: PullProgress, size: int = 0) -> list[tuple[str, int | None, int | None]]:
    """Status, total and completed of each line that `steps` make, to the good end."""
    words = PullWords(DIGEST, size)
    lines = [event for step in steps for event in words.take(step)] + list(words.closing())
    assert [line["status"] for line in lines[-3:]] == [*PullWords._CLOSING, "success"]
    assert all(("digest" in line) is line["status"].startswith("pulling ") for line in lines)
    return [(line["status"], line.get("total"), line.get("completed")) for line in lines[:-3]]


def down(done: int, total: int | None = 100) -> PullProgress:
    return PullProgress(Phase.DOWNLOADING, done, total)


@pytest.mark.parametrize(
    "after",
    [(), (PullProgress(Phase.VERIFYING, 100, 100),), (PullProgress(Phase.UNPACKING, 1, 2),)],
)
def test_the_bar_is_full_before_what_follows_is_said(after: tuple[PullProgress, ...]) -> None:
    """The last look at the download comes before its last bytes; a bar that stays at 93 % looks like a failure."""
    moved = [line[1:] for line in said(down(0), down(93), *after)]
    assert moved == [(100, None), (100, 93), (100, 100)]


def test_the_bar_does_not_go_back_where_the_download_begins_anew() -> None:
    again = PullProgress(Phase.RESOLVING)
    moved = [line[2] for line in said(down(60), again, down(0), down(30), down(80), down(100))]
    assert moved == [60, 60, 60, 80, 100]


def test_another_file_has_another_bar() -> None:
    moved = [line[1:] for line in said(down(60), down(0, 50), down(20, 50))]
    assert moved == [(100, 60), (50, None), (50, 20), (50, 50)]


def test_nothing_is_completed_of_an_unknown_total() -> None:
    """ollama-python's example makes the bar at the first total, and fails at what is completed before that."""
    end = PullProgress(Phase.VERIFYING, 70, 70)
    moved = [line[1:] for line in said(down(0, None), down(60, None), end)]
    assert moved == [(None, None), (None, None), (70, 70)]


def test_what_is_checked_before_a_download_goes_on_is_no_layer() -> None:
    resumed = said(PullProgress(Phase.VERIFYING, 10, 20), down(20))
    assert [line[1:] for line in resumed] == [(100, 20), (100, 100)]


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (PullProgress(Phase.RESOLVING), PullProgress(Phase.DONE)),
        (PullProgress(Phase.UNPACKING, 1, 2),),
    ],
)
def test_a_layer_that_nobody_saw_come_is_told_as_whole(steps: tuple[PullProgress, ...]) -> None:
    """As Ollama does of what is here already; a quick download is over before anybody looks."""
    assert [line[1:] for line in said(*steps, size=100)] == [(100, 100)]
    assert [line[1:] for line in said(*steps)] == [(None, None)]


def test_a_size_that_is_known_beforehand_is_told_from_the_start() -> None:
    moved = [line[1:] for line in said(down(0, None), down(40), size=100)]
    assert moved == [(100, None), (100, 40), (100, 100)]
