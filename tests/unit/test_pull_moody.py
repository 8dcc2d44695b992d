"""A server of many moods: each answer is another fault, or none. The model arrives whole, or a sentence says why."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from npurun_tui.errors import NpurunError
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.pull import pull
from npurun_tui.models.store import ModelStore
from tests.support.index_server import (
    Fault,
    Handler,
    Index,
    chunked,
    close_after,
    compressed,
    status,
    wrong_range,
)
from tests.support.pulling import QUICK
from tests.support.tiny_bundle import NAME, build_tiny_bundle
from tests.support.tiny_model import TinyModel, build_tiny_model

POLICY = replace(QUICK, block=1 << 14, attempts=6, later_attempts=8, drip_window=5)


@pytest.fixture(scope="module")
def tiny() -> TinyModel:
    return build_tiny_model(tensor_bytes=100_000)


def _whole(handler: Handler) -> None:
    handler.answer(200, handler.index.data, ETag=handler.index.etag)


def _whole_of_another(handler: Handler) -> None:
    handler.answer(200, handler.index.data[::-1], ETag='"other"')


def _another_total(handler: Handler) -> None:
    first, end = handler.wanted or (0, len(handler.index.data))
    size = len(handler.index.data) + 1
    body = handler.index.data[first:end]
    handler.answer(206, body, Content_Range=f"bytes {first}-{end - 1}/{size}")


def _less_than_asked(handler: Handler) -> None:
    first, end = handler.wanted or (0, len(handler.index.data))
    end = first + max(1, (end - first) // 2)
    size, body = len(handler.index.data), handler.index.data[first:end]
    handler.answer(206, body, Content_Range=f"bytes {first}-{end - 1}/{size}")


def _damaged(handler: Handler) -> None:
    body = bytearray(handler.begin_file())
    body[len(body) // 2] ^= 1
    handler.send_body(bytes(body))


def _new_version(handler: Handler) -> None:
    handler.index.etag = f'"{random.random()}"'  # noqa: S311
    handler.serve_file()


FAULTS: list[Callable[[random.Random], Fault]] = [
    lambda choose: close_after(choose.randrange(20_000)),
    lambda choose: status(choose.choice([408, 416, 429, 500, 502, 503, 520])),
    lambda choose: status(429, Retry_After="0"),
    lambda choose: status(302, Location="/files/elsewhere"),
    lambda _: wrong_range,
    lambda _: chunked,
    lambda choose: partial(chunked, short=choose.randrange(1, 9_000)),
    lambda _: partial(chunked, extra=b"more"),
    lambda _: _whole,
    lambda _: _whole_of_another,
    lambda _: _another_total,
    lambda _: _less_than_asked,
    lambda _: _new_version,
    lambda _: Handler.hang_up,
    lambda _: compressed,
    lambda _: _damaged,
]
HARMLESS = 4
"""So many of the first kinds can be borne however often they come, as long as something arrives."""


def moody(choose: random.Random, kinds: int, share: float) -> Fault:
    def answer(handler: Handler) -> None:
        fault = Handler.serve_file
        if choose.random() < share:
            fault = choose.choice(FAULTS[:kinds])(choose)  # type: ignore[assignment]
        fault(handler)

    return answer


async def _try(entry: CatalogEntry, store: ModelStore) -> str:
    """The sentence that the pull ended with; empty where it ended well."""
    said = ""
    try:
        async with asyncio.timeout(30):
            async for _ in pull(entry, store, policy=POLICY):
                pass
    except NpurunError as error:
        said = str(error)
    assert "\n" not in said
    assert not said or store.scan() == ([], [])
    return said


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_the_server_does_the_pull_ends_well_or_says_why(
    index: Index, tiny: TinyModel, store: ModelStore, seed: int
) -> None:
    choose = random.Random(seed)  # noqa: S311
    index.data = tiny.gguf
    entry = build_tiny_bundle().at(f"{index.origin}/files/m.gguf")
    pinned = replace(entry.source, sha256=tiny.entry.sha256, size=len(tiny.gguf))
    entry = replace(entry, backend="llama.cpp", template=None, qnn_sdk="", source=pinned)
    index.always = moody(choose, choose.choice([HARMLESS, len(FAULTS)]), choose.choice([0.1, 0.4]))
    for _ in range(4):
        if not await _try(entry, store):
            break
    index.always = None
    assert await _try(entry, store) == ""  # once it behaves, nothing of before is in the way
    assert (store.get(NAME).folder / "model.gguf").read_bytes() == tiny.gguf
    assert store.partials() == {}
