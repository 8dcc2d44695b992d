"""How often the bench's comparisons are right, on simulated machines, and what they cost.

    uv run python -m benchmarks.bench_statistics [--pairs 200]

Each line is a plan on a machine that is disturbed in some way: how many of 100 pairs of equal benches are said to
differ (it should be 5 at most), and how many of 100 true changes are found. The table in docs/bench-statistics.md is
from here.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Sequence

from benchmarks import report
from npurun_tui.bench.compare import compare_runs, compare_sessions
from tests.bench.simulated import Bench, Disturbance, session

MACHINES = {
    "runs ±1 %, sessions ±0.5 %": Disturbance(run=0.01, session=0.005),
    "runs ±2 %, sessions ±0.5 %": Disturbance(run=0.02, session=0.005),
    "runs ±3 %, sessions ±0.5 %": Disturbance(run=0.03, session=0.005),
    "runs ±2 %, sessions ±1 %": Disturbance(run=0.02, session=0.01),
    "and 1 run in 25 held up": Disturbance(run=0.02, session=0.005, held_up=0.04),
    "and 2 % drift": Disturbance(run=0.02, session=0.005, drift=0.02),
}
TURNS = {
    "runs ±2 %": Disturbance(run=0.02),
    "and 5 % drift": Disturbance(run=0.02, drift=0.05),
    "and repeats ±1 %": Disturbance(run=0.02, repeat=0.01),
}
ONE = ("matmul",)


def apart(noise: Disturbance, bench: Bench, change: float, pairs: int) -> tuple[float, float]:
    """Of 100 pairs of sessions, those that are said to differ; and the median half width, percent."""
    chance = random.Random(1)  # noqa: S311
    found = [
        compare_runs(
            session(chance, noise, bench).counted(),
            session(chance, noise, bench, change=change).counted(),
            "decode_tps",
        )
        for _ in range(pairs)
    ]
    return _told([(each.verdict, each.high - each.low) for each in found if each is not None])


def in_turns(noise: Disturbance, bench: Bench, change: float, pairs: int) -> tuple[float, float]:
    """The same of a baseline that took turns."""
    chance = random.Random(1)  # noqa: S311
    sessions = [session(chance, noise, bench, baseline=change) for _ in range(pairs)]
    found = [
        compare_runs(each.counted("a"), each.counted("b"), "decode_tps", paired=True)
        for each in sessions
    ]
    return _told([(each.verdict, each.high - each.low) for each in found if each is not None])


def _told(found: Sequence[tuple[str, float]]) -> tuple[float, float]:
    differ = sum(verdict != "no difference" for verdict, _ in found)
    return 100 * differ / len(found), 50 * statistics.median(width for _, width in found)


def cost() -> float:
    """Processor seconds for two sessions of 200 runs each."""
    chance = random.Random(1)  # noqa: S311
    old, new = (session(chance, Disturbance(), Bench(repeats=50)) for _ in "ab")
    began = time.process_time()
    compare_sessions(old, new)
    return time.process_time() - began


def main() -> int:
    """Print; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    pairs = parser.parse_args().pairs
    print(report.machine())
    plans = [Bench(repeats=3), Bench(repeats=5), Bench(repeats=10), Bench(10, ONE)]
    head = f"{'':30} {'plan':>8}  {'differ: equal':>13} {'true 5 %':>8} {'true 3 %':>8}  half width"
    print(f"two sessions\n{head}")
    for name, noise in MACHINES.items():
        for bench in plans:
            lines(name, bench, [apart(noise, bench, change, pairs) for change in (0, -0.05, -0.03)])
    print(f"baseline in turns\n{head}")
    for name, noise in TURNS.items():
        for bench in plans[:3]:
            found = [in_turns(noise, bench, change, pairs) for change in (0, -0.05, -0.03)]
            lines(name, bench, found)
    usual = MACHINES["runs ±2 %, sessions ±0.5 %"]
    limits = [
        ("equal benches said to differ, of 100", apart(usual, plans[0], 0, pairs)[0], 5.0),
        ("5 % not found, of 100", 100 - apart(usual, plans[0], -0.05, pairs)[0], 20.0),
        ("seconds to compare 200 runs with 200", cost(), 0.5),
    ]
    return 0 if report.all_kept(limits) else 1


def lines(name: str, bench: Bench, found: Sequence[tuple[float, float]]) -> None:
    """One of the table."""
    plan = f"{len(bench.prompts)} x {bench.repeats}"
    told = [each for each, _ in found]
    print(
        f"{name:30} {plan:>8}  {told[0]:13.1f} {told[1]:8.1f} {told[2]:8.1f}  {found[0][1]:.1f} %",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
