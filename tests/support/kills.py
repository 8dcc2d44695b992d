"""Pulls that are killed at a random moment, and gone on with: nothing may be lost, left over, or fetched twice.

Each pull runs in a process of its own (forked from a clean one, POSIX only) against a server in this one, whose speed
is held so that the network is the narrow place, as it is outside. What the server sends is counted.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.pull import pull
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.store import ModelStore
from npurun_tui.models.verify import Verdict, verify
from tests.support.index_server import Handler, serve
from tests.support.tiny_bundle import NAME, build_tiny_bundle, bundle_files
from tests.support.tiny_model import build_tiny_model

BLOCK = 4 << 20
SPEED = 8 << 20
"""Bytes per second of each connection: four of them are a line of 270 Mbit/s, and the narrow place also on a machine
that has other things to do."""


FIRST_BYTE = 30.0
"""Seconds that a pull may take to ask for its archive."""


class KillFailed(Exception):
    """Something that must hold did not; the text says what."""


@dataclass
class Tally:
    """What happened. `fetched_twice` and `size` are bytes, the latter of one archive."""

    size: int
    kills: Counter[str] = field(default_factory=Counter)
    fetched_twice: int = 0
    worst: int = 0
    seconds: float = 0.0

    @property
    def share(self) -> float:
        """Of all bytes that the pulls needed, what was fetched twice."""
        total = self.size * sum(self.kills.values())
        return self.fetched_twice / total if total else 0.0


def _child(entry: CatalogEntry, root: Path) -> None:
    async def run() -> None:
        async for _ in pull(entry, ModelStore(root), policy=Policy(block=BLOCK)):
            pass

    asyncio.run(run())


def _serve_slowly(handler: Handler) -> None:
    """As `serve_file`, at `SPEED`, with little on its way at any moment."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    body = handler.begin_file()
    began = time.monotonic()
    for start in range(0, len(body), 1 << 17):
        handler.send_body(body[start : start + (1 << 17)])
        ahead = start / SPEED - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)


def kill_pulls(folder: Path, kills: int, seed: int, *, weights: int) -> Tally:
    """Kill `kills` pulls of a bundle of `weights` bytes, each once, and see each to its end.

    Raises:
        KillFailed: a model is not what it should be, something is left over, or a pull did not end well.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.kills", "httpx", "filelock"])
    choose = random.Random(seed)  # noqa: S311
    bundle = build_tiny_bundle(files=bundle_files(weights=weights))
    tally, began = Tally(len(bundle.archive)), time.monotonic()
    with serve(build_tiny_model(tensor_bytes=1000)) as index:
        first_byte = threading.Event()

        def respond(handler: Handler) -> None:
            first_byte.set()
            _serve_slowly(handler)

        index.data, index.always = bundle.archive, respond
        entry = bundle.at(f"{index.origin}/files/tiny.zip")
        whole = to_first_byte = 0.0
        for number in range(kills + 2):  # two whole ones first: how long it takes
            root = folder / str(number)
            before, started = index.sent, time.monotonic()
            first_byte.clear()
            process = context.Process(target=_child, args=(entry, root))
            process.start()
            if number < 2:
                first_byte.wait(FIRST_BYTE)
                to_first_byte = time.monotonic() - started
            elif number % 4:
                # Most moments fall where bytes move: starting Python takes as long as the download here.
                first_byte.wait(FIRST_BYTE)
                process.join(choose.uniform(0.0, (whole - to_first_byte) * 1.05))
                process.kill()
            else:
                process.join(choose.uniform(0.0, whole * 1.05))
                process.kill()
            process.join()
            if number < 2:
                whole = time.monotonic() - started
            else:
                tally.kills[_state(root, len(bundle.archive))] += 1
                process = context.Process(target=_child, args=(entry, root))
                process.start()
                process.join()
                twice = index.sent - before - len(bundle.archive)
                tally.fetched_twice += max(0, twice)
                tally.worst = max(tally.worst, twice)
            _check(root, bundle.files, process.exitcode)
            ModelStore(root).remove(NAME)
    tally.seconds = time.monotonic() - began
    return tally


def _state(root: Path, size: int) -> str:
    """In which step the kill came."""
    store = ModelStore(root)
    installed, broken = store.scan()
    if broken:
        raise KillFailed(f"a killed pull shows a broken model: {broken[0].reason}")
    if installed:
        return "installed"
    kept = store.partials().get(NAME, 0)
    if (store.layout.partial(NAME) / "unpacked").is_dir():
        return "unpacking"
    return "downloading" if 0 < kept < size else "hashing" if kept else "at the start"


def _check(root: Path, files: dict[str, bytes], exit_code: int | None) -> None:
    if exit_code != 0:
        raise KillFailed(f"the pull that went on ended with status {exit_code}")
    store = ModelStore(root)
    model = store.get(NAME)
    for path, data in files.items():
        here = (model.folder / "bundle" / path).read_bytes()
        if here != data and not path.endswith("genie_config.json"):
            raise KillFailed(f"{path} differs")
    if any(verdict is not Verdict.SAME for _, verdict in verify(model)):
        raise KillFailed("a file is not what the manifest says")
    left = [p.name for p in store.layout.partial_root.iterdir() if p.is_dir()]
    if store.partials() or left or store.layout.trash.exists():
        raise KillFailed(f"something is left over: {left}")
