"""What the HTTP server adds to the engine, beside the engine without it and beside llama-server's own loop.

    uv run python -m benchmarks.server [--runs 7] [--tokens 200] [--model NAME]

In one process, as in the workbench: the engine on one event loop, the server in its thread; the clients are processes
of their own. A scripted engine process (the real host and pipe, only no model) shows what a token and a request cost;
the real model shows rates. Each is asked without the server and through it, turn about. llama-server's loop is
`xllamacpp.Server`'s own port, with the same model, threads and batch.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import report
from npurun_tui.engine.dialog import Sampler
from npurun_tui.engine.engine import Engine
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.transcript import Piece, TurnOptions, begin_turn
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.control import ServerControl
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings

QUESTION = "Tell me a long story about a lighthouse."
RATE = 200
"""Tokens a second of the scripted engine: each is a wake-up of its own, as with a model."""

LLAMA = """
import json, sys, time
import xllamacpp as x
model, context, threads, batch = json.loads(sys.argv[1])
p = x.CommonParams()
p.model.path = model
p.hostnames = ["127.0.0.1"]
p.port = 0
p.n_ctx = context
p.n_parallel = 1
p.n_batch = p.n_ubatch = batch
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
p.warmup = False
p.cache_ram_mib = 0
p.ui = False
server = x.Server(p)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


class Client:
    """A client process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.http_client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request; its answer."""
        return await asyncio.to_thread(self._ask, request)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=30)


@dataclass
class Run:
    """One answer."""

    ttft: float
    seconds: float
    """From the first text to the last."""
    tokens: int
    """The tokenizer's count: tokens that come together may share an event."""
    cpu: float = 0.0
    """CPU seconds of this process meanwhile."""

    @property
    def rate(self) -> float:
        """Tokens after the first, by the time after the first."""
        return (self.tokens - 1) / self.seconds


@dataclass
class Pairs:
    """The same question without and with the server."""

    bare: list[Run] = field(default_factory=list)
    served: list[Run] = field(default_factory=list)


class WithCommand(Services):
    """Services whose engine starts another host, where one is given."""

    def __init__(self, paths: Paths, command: tuple[str, ...]) -> None:
        super().__init__(paths, Settings())
        self._command = command

    @cached_property
    def engine(self) -> Engine:
        """Made once."""
        return Engine(log=self.paths.engine_log, command=self._command)


async def bare(services: Services, model: str, tokens: int) -> Run:
    """The engine's own answer."""
    options = TurnOptions(Sampler(temperature=0), tokens)
    times: list[float] = []
    cpu, began = time.process_time(), time.perf_counter()
    async with services.engine.permit("benchmark") as permit:
        loaded = await permit.load(services.spec_of(model))
        turn = begin_turn(permit, loaded.context_size, [ChatMessage("user", QUESTION)], options)
        finished = await turn.run(
            lambda e: times.append(time.perf_counter()) if isinstance(e, Piece) else None
        )
    cpu = time.process_time() - cpu
    count = finished.stats.completion_tokens
    return Run(times[0] - began, times[-1] - times[0], count, cpu)


async def served(client: Client, port: int, model: str, tokens: int, key: str = "") -> Run:
    """The same over HTTP."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": tokens,
    }
    cpu = time.process_time()
    path = "/v1/chat/completions"
    answer = await client.ask(op="stream", port=port, path=path, body=body, key=key)
    return Run(answer["ttft"], answer["seconds"], answer["tokens"], time.process_time() - cpu)


async def turn_about(
    services: Services, client: Client, port: int, model: str, tokens: int, runs: int
) -> Pairs:
    """`runs` of each, after a warm-up of each."""
    pairs = Pairs()
    for number in range(runs + 1):
        one = await bare(services, model, tokens)
        two = await served(client, port, model, tokens)
        if number:
            pairs.bare.append(one)
            pairs.served.append(two)
    return pairs


def median(runs: list[Run], figure: Callable[[Run], float]) -> float:
    """Of all runs."""
    return statistics.median(map(figure, runs))


async def with_server(services: Services, work: Callable[[ServerControl, int], Any]) -> Any:
    """What `work` gives while a server runs."""
    control = ServerControl(services)
    try:
        await control.start(ServerConfig(port=0, keep_alive=-1, warmup=False))
        return await work(control, int(control.status.url.rpartition(":")[2]))
    finally:
        await control.aclose()
        await services.aclose()


# --- what a token and a request cost ---------------------------------------------------------


async def measure_cost(
    folder: Path, models: Path, model: str, runs: int
) -> list[tuple[str, float, float]]:
    """Added CPU for each token and added TTFT, with the scripted engine."""
    prepared = folder / "prepared.json"
    text = "word" * (RATE * 4)
    prepared.write_text(json.dumps({"at_once": "one ", "paced": text, "end": "."}), "utf-8")
    command = (sys.executable, "-m", "benchmarks.scripted_host", str(RATE), str(prepared))
    services = WithCommand(_paths(folder / "scripted", models), command)
    client = Client()

    async def work(_control: ServerControl, port: int) -> Pairs:
        return await turn_about(services, client, port, model, 0, runs)

    try:
        pairs: Pairs = await with_server(services, work)
    finally:
        client.close()
    tokens = pairs.bare[0].tokens
    added = [
        (two.cpu - one.cpu) / tokens * 1e6
        for one, two in zip(pairs.bare, pairs.served, strict=True)
    ]
    late = [(two.ttft - one.ttft) * 1e3 for one, two in zip(pairs.bare, pairs.served, strict=True)]
    print(f"added CPU for a token, {RATE} tok/s: {report.spread(added, 'us', 1)}")
    print(f"added TTFT: {report.spread(late, 'ms', 2)}")
    return [
        ("added CPU for a token, us", statistics.median(added), 50),
        ("added TTFT, ms", statistics.median(late), 2),
    ]


# --- the real model ----------------------------------------------------------------------------


async def measure_model(
    folder: Path, models: Path, model: str, tokens: int, runs: int
) -> tuple[float, list[tuple[str, float, float]]]:
    """Rate through the server over rate without it; `/healthz` while an answer is written."""
    services = WithCommand(_paths(folder / "real", models), ())
    client, watcher = Client(), Client()

    async def work(_control: ServerControl, port: int) -> tuple[Pairs, list[float]]:
        pairs = await turn_about(services, client, port, model, tokens, runs)
        answer = asyncio.create_task(served(client, port, model, tokens * 3))
        await asyncio.sleep(0.5)
        asked = await watcher.ask(op="get", port=port, path="/healthz", count=300, rate=100)
        await answer
        return pairs, asked["latencies"]

    try:
        pairs, health = await with_server(services, work)
    finally:
        client.close()
        watcher.close()
    print("without the server:", report.spread([run.rate for run in pairs.bare], "tok/s", 1))
    print("through SSE:       ", report.spread([run.rate for run in pairs.served], "tok/s", 1))
    print(
        "TTFT without / through:",
        *(f"{median(r, lambda run: run.ttft) * 1e3:.1f} ms" for r in (pairs.bare, pairs.served)),
    )
    ratios = [two.rate / one.rate for one, two in zip(pairs.bare, pairs.served, strict=True)]
    print("through SSE / without, pair by pair:", report.spread(ratios, "", 3))
    ratio = statistics.median(
        ratios
    )  # of neighbours: the machine's rate drifts more than this differs
    worst = sorted(health)[int(len(health) * 0.99)] * 1e3
    return ratio, [("/healthz while an answer is written, 99th percentile, ms", worst, 10)]


async def measure_llama(models: Path, model: str, tokens: int, runs: int) -> None:
    """The same question to llama-server's own loop; printed for comparison."""
    from npurun_tui.engine.cpu.server import BATCH
    from npurun_tui.engine.cpu.threads import choose_threads
    from npurun_tui.models.store import ModelStore

    installed = ModelStore(models).get(model)
    spec = installed.manifest.spec(installed.folder)
    arguments = json.dumps([str(spec.model_file), 8192, choose_threads(0), BATCH])
    process = _llama(arguments)
    assert process.stdout is not None
    client = Client()
    try:
        port = int(process.stdout.readline().strip().rpartition(":")[2])
        found = [await served(client, port, model, tokens) for _ in range(runs + 1)][1:]
    finally:
        client.close()
        process.communicate(timeout=30)
    print("llama-server:      ", report.spread([run.rate for run in found], "tok/s", 1))
    print(f"TTFT llama-server: {median(found, lambda run: run.ttft) * 1e3:.1f} ms")


def _llama(arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LLAMA, arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _paths(home: Path, models: Path) -> Paths:
    return Paths.resolve({"NPURUN_TUI_HOME": str(home), "NPURUN_MODELS_DIR": str(models)})


async def measure(options: argparse.Namespace) -> int:
    """Everything."""
    models = Path(options.models) if options.models else Paths.resolve().models
    print(report.machine())
    with tempfile.TemporaryDirectory() as name:
        limits = await measure_cost(Path(name), models, options.model, options.runs)
        ratio, more = await measure_model(
            Path(name), models, options.model, options.tokens, options.runs
        )
    await measure_llama(models, options.model, options.tokens, options.runs)
    kept = report.verdict("rate through SSE / without the server", ratio, 0.98, least=True)
    return 0 if report.all_kept([*limits, *more]) and kept else 1


def main() -> int:
    """Print the figures; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=200)
    report.model_flags(parser)
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
