"""Ten thousand requests of every manner, with an engine that is killed now and then: nothing leaks, nothing is lost.

    uv run python -m benchmarks.server_soak [--rounds 10] [--each 1000] [--model NAME] [--models FOLDER]

What is checked is in `tests/support/server_soak.py`: each answer is in the log, no stream breaks off without a word,
and after each round the server comes to rest with no permit, task, thread or descriptor more than after the first.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks import report
from npurun_tui.settings import Paths
from tests.support.server_soak import ServerSoakFailed, server_soak

MOST_MEMORY = 8.0
"""MB above the first look: the allocator's own ups and downs."""


def main() -> int:
    """Print what happened; 1 where something that must hold did not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--each", type=int, default=1000)
    report.model_flags(parser)
    options = parser.parse_args()
    models = Path(options.models) if options.models else Paths.resolve().models
    print(report.machine())
    with tempfile.TemporaryDirectory() as folder:
        soaking = server_soak(
            Path(folder), models, options.model, rounds=options.rounds, each=options.each
        )
        try:
            tally = asyncio.run(soaking)
        except ServerSoakFailed as failure:
            print(f"FAILED: {failure}")
            return 1
    print(
        f"{sum(tally.kinds.values())} requests in {tally.seconds:.0f} s, engine killed {tally.kills} times"
    )
    print("kinds:", ", ".join(f"{count} {kind}" for kind, count in tally.kinds.most_common()))
    print(
        "answers:",
        ", ".join(f"{count} x {status}" for status, count in tally.statuses.most_common()),
    )
    print(f"{tally.answered} answers, each in the log once")
    for look in tally.looks:
        print(
            f"after {look.requests}: {look.memory:.1f} MB, {look.threads} threads, {look.tasks} tasks,"
            f" {look.descriptors} descriptors"
        )
    first, last = tally.looks[0], tally.looks[-1]
    return (
        0
        if report.all_kept(
            [
                ("memory above the first look, MB", last.memory - first.memory, MOST_MEMORY),
                ("threads more", last.threads - first.threads, 0),
                ("tasks more", last.tasks - first.tasks, 0),
                ("descriptors more", last.descriptors - first.descriptors, 2),
            ]
        )
        else 1
    )


if __name__ == "__main__":
    sys.exit(main())
