"""What the tests of pulls share: an environment in which only the test's own index exists, and a quick policy."""

from __future__ import annotations

import json
import os
import socket
import threading
import zlib
from dataclasses import replace

import pytest

from npurun_tui.errors import NpurunError
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.layout import CELL, MAP, PART
from npurun_tui.models.pull import Phase, PullProgress, pull
from npurun_tui.models.pull.part import BLOCK
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.store import ModelStore
from tests.support.index_server import Index, pause_after
from tests.support.tiny_model import TinyModel

QUICK = Policy(attempts=4, first_delay=0.01, max_delay=0.02, connect_timeout=5.0, stall_timeout=0.5)
BLOCKS = replace(QUICK, block=1 << 15)
"""Blocks so small that the little archive has ten of them."""

SOME = 400_000
"""Bytes of the first, unfinished pull in tests of resuming."""

_CONFIGURES = (
    "PIP_",
    "UV_",
    "SSL_CERT",
    "REQUESTS_CA",
    "CURL_CA",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
)


def only_index(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    """Make pip's configuration name `urls` and nothing else; child processes inherit it."""
    for name in list(os.environ):
        if name.upper().startswith(_CONFIGURES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_INDEX_URL", urls[0])
    if len(urls) > 1:
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", " ".join(urls[1:]))


def lay_part(
    store: ModelStore, model: TinyModel, data: bytes, *, address: str = "", claimed: bytes = b""
) -> None:
    """What an earlier pull would have left: `data` of the model's file (`claimed`: what it believed to be there)."""
    name, source = model.entry.name, model.entry.source
    folder = store.layout.partial(name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PART).write_bytes(data)
    believed = claimed or data
    (folder / MAP).write_bytes(CELL.pack(len(believed), zlib.crc32(believed)))
    state = {
        "key": source.sha256,
        "address": address,
        "validator": "",
        "total": source.size,
        "block": BLOCK,
    }
    (folder / "download.json").write_text(json.dumps(state))


async def pull_all(
    model: TinyModel, store: ModelStore, *, force: bool = False, policy: Policy = QUICK
) -> list[PullProgress]:
    """Pull to the end; returns everything that was said."""
    return [step async for step in pull(model.entry, store, force=force, policy=policy)]


def assert_installed(model: TinyModel, store: ModelStore) -> None:
    """The model is there byte for byte, and nothing of the pull is left."""
    installed = store.get(model.entry.name)
    assert (installed.folder / installed.manifest.files.model).read_bytes() == model.gguf
    assert store.partials() == {}
    assert not store.layout.partial(model.entry.name).exists()


def part_size(store: ModelStore, model: TinyModel) -> int:
    """Bytes that an unfinished pull has left."""
    return store.partials().get(model.entry.name, 0)


def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def fail(model: TinyModel, store: ModelStore, kind: type[NpurunError]) -> NpurunError:
    """Pull, expecting exactly `kind`; the sentence is one, and nothing of the model is shown."""
    with pytest.raises(kind) as caught:
        await pull_all(model, store)
    error = caught.value
    assert type(error) is kind
    assert "\n" not in str(error)
    assert error.message.endswith(".")
    assert store.scan() == ([], [])
    return error


async def begin(model: TinyModel, index: Index, store: ModelStore) -> int:
    """Pull the first part of the model, then stop; returns how many bytes were kept."""
    gate = threading.Event()
    index.faults.append(pause_after(SOME, gate))
    async for step in (steps := pull(model.entry, store, policy=QUICK)):
        if step.phase is Phase.DOWNLOADING and step.done >= SOME:
            break
    await steps.aclose()
    gate.set()
    assert part_size(store, model) == SOME
    return SOME


async def pull_entry(entry: CatalogEntry, store: ModelStore, *, force: bool = False) -> None:
    """Pull `entry` in small blocks. Raises what the pull raises."""
    async for _ in pull(entry, store, policy=BLOCKS, force=force):
        pass
