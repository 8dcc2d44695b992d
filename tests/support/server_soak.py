"""A server under thousands of requests of every manner, whose engine process is killed now and then: nothing may leak.

The engine's process is real but for its model, which says a prepared text; the clients are processes of their own
(`server_clients`). Between two rounds the server is looked at while nobody asks.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import psutil

from npurun_tui.engine.engine import Engine, EngineState
from npurun_tui.server.config import Limits, ServerConfig
from npurun_tui.server.control import ServerControl
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings
from npurun_tui.storage.database import Database
from npurun_tui.storage.requests import RequestTable

PROCESSES: Final = 2
KILLS: Final = 2
"""In each round."""
RATE: Final = 2000
"""Tokens a second."""
QUIET: Final = 30.0
"""Seconds in which a server that nobody asks must be at rest."""


class ServerSoakFailed(AssertionError):
    """Something that must hold did not."""


@dataclass(frozen=True, slots=True)
class Look:
    """The server's process at rest."""

    requests: int
    memory: float
    """MB, of this process."""
    threads: int
    tasks: int
    """On the server's loop."""
    descriptors: int


@dataclass
class Tally:
    """What happened."""

    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    looks: list[Look] = field(default_factory=list)
    kills: int = 0
    answered: int = 0
    seconds: float = 0.0


class ScriptedServices(Services):
    """Services whose engine's process says a prepared text."""

    command: tuple[str, ...] = ()

    @cached_property
    def engine(self) -> Engine:
        """Made once."""
        return Engine(log=self.paths.engine_log, command=self.command)


async def server_soak(
    folder: Path, models: Path, model: str, *, rounds: int, each: int, kill_after: float = 1.5
) -> Tally:
    """`rounds` times `each` requests to one server; in each round the engine is killed `kill_after` seconds from its
    beginning, and from that on once more.

    Raises:
        ServerSoakFailed: an answer is missing in the log, broken, or something does not come to rest.
    """
    services = _services(folder, models)
    control, tally, began = ServerControl(services), Tally(), time.monotonic()
    ids: list[str] = []
    try:
        await control.start(_config(model))
        port = int(control.status.url.rpartition(":")[2])
        for number in range(rounds):
            killing = asyncio.create_task(_kill_now_and_then(services.engine, tally, kill_after))
            try:
                ids += await _round(port, model, each, number, tally)
            finally:
                killing.cancel()
                await asyncio.wait({killing})
            tally.looks.append(await _look(control, services.engine, (number + 1) * each))
    finally:
        await control.aclose()
        await services.aclose()
    tally.seconds = time.monotonic() - began
    tally.answered = len(ids)
    _check_log(services.paths.database, ids)
    return tally


def _services(folder: Path, models: Path) -> ScriptedServices:
    prepared = folder / "prepared.json"
    prepared.write_text(
        json.dumps({"at_once": "Well, ", "paced": "tock" * 12, "end": "."}), "utf-8"
    )
    home = {"NPURUN_TUI_HOME": str(folder / "home"), "NPURUN_MODELS_DIR": str(models)}
    services = ScriptedServices(Paths.resolve(home), Settings())
    services.command = (
        sys.executable, "-m", "benchmarks.scripted_host", str(RATE), str(prepared),
    )  # fmt: skip
    return services


def _config(model: str) -> ServerConfig:
    limits = Limits(write_stall=5.0, header_deadline=5.0, connections=256, connections_per_peer=256)
    return ServerConfig(port=0, model=model, keep_alive=-1, max_queue=64, limits=limits)


async def _round(port: int, model: str, each: int, number: int, tally: Tally) -> list[str]:
    """One round of requests; the ids of what was answered."""
    ids: list[str] = []
    arguments = [str(port), str(each // PROCESSES)]
    clients = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.server_clients",
            *arguments,
            str(number * PROCESSES + process),
            model,
            stdout=asyncio.subprocess.PIPE,
        )
        for process in range(PROCESSES)
    ]
    for client in clients:
        output, _ = await client.communicate()
        if client.returncode:
            raise ServerSoakFailed(f"the clients ended with status {client.returncode}")
        told: dict[str, Any] = json.loads(output)
        if told["broken"]:
            raise ServerSoakFailed(f"a stream broke off: {told['broken'][0]}")
        tally.kinds.update(told["kinds"])
        tally.statuses.update(told["statuses"])
        ids += told["ids"]
    return ids


async def _kill_now_and_then(engine: Engine, tally: Tally, pause: float) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(pause)
        if engine.pid is not None:
            os.kill(engine.pid, signal.SIGKILL)
            tally.kills += 1


async def _look(control: ServerControl, engine: Engine, requests: int) -> Look:
    """The server once it is at rest."""
    end = time.monotonic() + QUIET
    while True:
        status = engine.status
        busy = status.holder, status.waiting, control.status.active, status.state
        if busy[:3] == (None, (), 0) and status.state is not EngineState.LOADING:
            break
        if time.monotonic() > end:
            raise ServerSoakFailed(f"not at rest after {QUIET:.0f} s: {busy}")
        await asyncio.sleep(0.05)
    await asyncio.to_thread(control.log.flush)
    gc.collect()
    process = psutil.Process()
    return Look(
        requests=requests,
        memory=process.memory_info().rss / 1e6,
        threads=threading.active_count(),
        tasks=await _count_tasks(control),
        descriptors=process.num_fds() if hasattr(process, "num_fds") else 0,
    )


async def _count_tasks(control: ServerControl) -> int:
    async def count() -> int:
        return len(asyncio.all_tasks())

    server = control._server
    return await server.call(count) if server is not None else -1


def _check_log(database: Path, ids: list[str]) -> None:
    """Every answer is in the log, once."""
    file = Database(database)
    try:
        logged = Counter(row.request_id for row in RequestTable(file).newest(1_000_000))
    finally:
        file.close()
    missing = [found for found in ids if logged[found] != 1]
    if missing:
        raise ServerSoakFailed(f"{len(missing)} answers are not in the log, or twice")
