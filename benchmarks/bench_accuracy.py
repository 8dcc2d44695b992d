"""Whether `bench` says what is true: its rates beside the engine's own and a stopwatch's, and what it costs itself.

    uv run python -m benchmarks.bench_accuracy [--runs 12] [--tokens 200] [--model NAME] [--models FOLDER]

In one process, on the CPU model. The stopwatch looks at the tokens as they come out of the pipe from the engine process
and knows nothing of the bench. What the bench costs is the engine's own rate with bench and meter at work over that of
a bare loop of the same query, turn about. Last, the same model as an endpoint: through this program's HTTP server, by
turns with the engine itself.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

from benchmarks import report
from npurun_tui.bench.endpoint import EndpointTarget
from npurun_tui.bench.energy.here import sources_here
from npurun_tui.bench.energy.meter import Meter
from npurun_tui.bench.engine_target import GREEDY
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.records import Machine, Run, Session
from npurun_tui.bench.runner import Bench
from npurun_tui.bench.sides import target_of
from npurun_tui.bench.state import BenchState
from npurun_tui.bench.target import Target
from npurun_tui.engine.dialog import SentenceCode
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.remote import QueryOutcome, RemoteDialog
from npurun_tui.engine.transcript import TurnOptions
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.control import ServerControl
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings

QUESTION = "Tell me a long story about a lighthouse."
NEAR = 0.01
"""What two clocks may differ by."""


@dataclass
class Stopwatch:
    """Rates of the answers that come out of the engine process, while it is worn."""

    rates: list[float | None] = field(default_factory=list)
    """Tokens after the first by the time after it; None below two tokens."""
    _query: Callable[..., Any] = RemoteDialog.query

    def __enter__(self) -> Self:
        watch, query = self, self._query

        async def timed(
            dialog: RemoteDialog,
            text: str,
            code: SentenceCode,
            on_token: Callable[[str, int], None],
            *rest: Any,
        ) -> QueryOutcome:
            times: list[float] = []

            def hear(piece: str, kind: int) -> None:
                if kind in (SentenceCode.BEGIN, SentenceCode.CONTINUE):
                    times.append(time.perf_counter())
                on_token(piece, kind)

            outcome: QueryOutcome = await query(dialog, text, code, hear, *rest)
            after = len(times) - 1
            watch.rates.append(after / (times[-1] - times[0]) if after > 0 else None)
            return outcome

        RemoteDialog.query = timed  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *_: object) -> None:
        RemoteDialog.query = self._query  # type: ignore[method-assign]


async def bench(plan: Plan, *targets: Target) -> Session:
    """One bench with all that goes with it in the workbench: a meter, and a state that takes its events."""
    meter = Meter(
        sources_here(), lambda: frozenset(pid for target in targets for pid in target.pids)
    )
    state = BenchState()
    session = await Bench(plan, targets, machine=Machine(), meter=meter).run(state.take)
    if not session.complete:
        raise SystemExit(f"the bench did not end: {session.reason}")
    return session


def plan_of(tokens: int, repeats: int, *, warmups: int = 0) -> Plan:
    """One prompt; nothing is waited for between the runs."""
    return Plan(
        prompts=(QUESTION,),
        outputs=(tokens,),
        repeats=repeats,
        warmups=warmups,
        energy=False,
        loads=False,
    )


def gaps(
    runs: Sequence[Run], first: Callable[[Run], float | None], second: Callable[[Run], float | None]
) -> list[float]:
    """`first` over `second`, run by run."""
    pairs = [(first(run), second(run)) for run in runs]
    return [one / two for one, two in pairs if one and two]


def off(ratios: Sequence[float]) -> float:
    """How far the median is from 1."""
    return abs(statistics.median(ratios) - 1)


# --- what is told --------------------------------------------------------------------------------


async def measure_rates(
    services: Services, model: str, tokens: int, runs: int
) -> list[tuple[str, float, float]]:
    """The bench's rate beside the engine's profile and the stopwatch's."""
    with Stopwatch() as watch:
        target = target_of(model, services, key="a")
        session = await bench(plan_of(tokens, runs, warmups=2), target)
    if len(watch.rates) != len(session.runs):
        raise SystemExit("the stopwatch saw other answers than the bench")
    counted = session.counted()
    by_watch = {id(run): rate for run, rate in zip(session.runs, watch.rates, strict=True)}
    told = [run.host.decode_tps for run in counted if run.host.decode_tps]
    profile = gaps(counted, lambda run: run.host.decode_tps, lambda run: run.engine.decode_tps)
    outside = gaps(counted, lambda run: run.host.decode_tps, lambda run: by_watch[id(run)])
    first = gaps(counted, lambda run: run.host.ttft_ms, lambda run: run.engine.ttft_ms)
    print(f"{len(counted)} runs of {tokens} tokens, bench: {report.spread(told, 'tok/s', 1)}")
    print("bench / engine's profile:   ", report.spread(profile, "", 4))
    print("bench / outside stopwatch:  ", report.spread(outside, "", 4))
    print("TTFT, bench / engine:       ", report.spread(first, "", 4))
    return [
        ("rate of bench off the engine's profile", off(profile), NEAR),
        ("rate of bench off the outside stopwatch", off(outside), NEAR),
    ]


# --- what it costs -------------------------------------------------------------------------------


@dataclass
class Cost:
    """One answer."""

    rate: float
    """By the engine's profile."""
    cpu: float
    """CPU seconds of this process, for each second of it."""
    engine: float
    """CPU seconds of the engine process."""


def engine_cpu(services: Services) -> float:
    """CPU seconds that the engine process has had."""
    pid = services.engine.pid
    if pid is None:
        return 0.0
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def bare(services: Services, model: str, tokens: int) -> Cost:
    """The same query in a loop that looks at nothing."""
    engine = engine_cpu(services)
    cpu, began = time.process_time(), time.perf_counter()
    async with services.engine.permit("benchmark") as permit:
        loaded = await permit.load(services.spec_of(model))
        await permit.dialog.reset()
        options = TurnOptions(GREEDY, tokens, snapshots=False)
        turn = permit.begin(loaded.context_size, [ChatMessage("user", QUESTION)], options)
        finished = await turn.run(lambda _event: None)
    seconds = time.perf_counter() - began
    cpu = (time.process_time() - cpu) / seconds
    return Cost(finished.stats.decode_tps, cpu, engine_cpu(services) - engine)


async def benched(services: Services, model: str, tokens: int) -> Cost:
    """The same in a bench."""
    engine = engine_cpu(services)
    cpu, began = time.process_time(), time.perf_counter()
    session = await bench(plan_of(tokens, 1), target_of(model, services, key="a"))
    seconds = time.perf_counter() - began
    cpu = (time.process_time() - cpu) / seconds
    rate = session.runs[0].engine.decode_tps
    assert rate is not None
    return Cost(rate, cpu, engine_cpu(services) - engine)


async def measure_cost(
    services: Services, model: str, tokens: int, pairs: int
) -> tuple[float, float]:
    """The engine's rate in a bench over that in a bare loop, and what a bench takes of a core, in percent. Who begins
    changes from pair to pair; a machine with other work to do shows the first badly, and the second all the same."""
    both: list[tuple[Cost, Cost]] = []
    for number in range(pairs + 1):
        if number % 2:
            two = await benched(services, model, tokens)
            one = await bare(services, model, tokens)
        else:
            one = await bare(services, model, tokens)
            two = await benched(services, model, tokens)
        if number:
            both.append((one, two))
    ratios = [two.rate / one.rate for one, two in both]
    added = [(two.cpu - one.cpu) * 100 for one, two in both]
    print("bare loop:                  ", report.spread([one.rate for one, _ in both], "tok/s", 1))
    print("bench and meter at work:    ", report.spread([two.rate for _, two in both], "tok/s", 1))
    print("bench / bare, pair by pair: ", report.spread(ratios, "", 4))
    error = statistics.stdev(map(math.log, ratios)) / math.sqrt(len(ratios))
    print(f"  of which the machine's own noise: +/- {2 * error:.4f}, two standard errors")
    slower = [two.engine / one.engine for one, two in both]
    print("engine's CPU, bench / bare: ", report.spread(slower, "", 4))
    print("CPU that a bench adds:      ", report.spread(added, "% of a core", 2))
    return statistics.median(ratios), statistics.median(added)


# --- an endpoint ---------------------------------------------------------------------------------


async def measure_endpoint(
    services: Services, model: str, tokens: int, runs: int
) -> list[tuple[str, float, float]]:
    """The same model through our own server, by turns with the engine."""
    control = ServerControl(services)
    try:
        await control.start(ServerConfig(port=0, keep_alive=-1, warmup=False))
        there = EndpointTarget(f"{control.status.url}#{model}", key="b")
        session = await bench(
            plan_of(tokens, runs, warmups=1), target_of(model, services, key="a"), there
        )
    finally:
        await control.aclose()
    here, elsewhere = session.counted("a"), session.counted("b")
    through = [
        two.host.decode_tps / one.host.decode_tps
        for one, two in zip(here, elsewhere, strict=True)
        if one.host.decode_tps and two.host.decode_tps
    ]
    later = [
        two.host.ttft_ms - one.host.ttft_ms
        for one, two in zip(here, elsewhere, strict=True)
        if one.host.ttft_ms and two.host.ttft_ms
    ]
    own = gaps(elsewhere, lambda run: run.host.decode_tps, lambda run: run.engine.decode_tps)
    print("through HTTP / engine:      ", report.spread(through, "", 4))
    print("TTFT that HTTP adds:        ", report.spread(later, "ms", 2))
    print("endpoint, host / its own:   ", report.spread(own, "", 4))
    if any(run.cached_tokens for run in [*here, *elsewhere]):
        raise SystemExit("a prompt was not read whole, so the sides are not the same")
    return [("rate of an endpoint off its own figures", off(own), NEAR)]


async def measure(options: argparse.Namespace) -> int:
    """Everything."""
    models = Path(options.models) if options.models else Paths.resolve().models
    print(report.machine())
    with tempfile.TemporaryDirectory() as home:
        paths = Paths.resolve({"NPURUN_TUI_HOME": home, "NPURUN_MODELS_DIR": str(models)})
        services = Services(paths, Settings())
        try:
            limits = await measure_rates(services, options.model, options.tokens, options.runs)
            rate, cpu = await measure_cost(services, options.model, options.tokens, options.runs)
            limits.append(("CPU that a bench adds, % of a core", cpu, 1))
            limits += await measure_endpoint(
                services, options.model, options.tokens, options.runs // 2
            )
        finally:
            await services.aclose()
    kept = report.verdict("rate with bench at work / bare loop", rate, 0.99, least=True)
    return 0 if report.all_kept(limits) and kept else 1


def main() -> int:
    """Print the figures; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=200)
    report.model_flags(parser)
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
