"""One pull in a process of its own, for `benchmarks.pull`: prints its times and memory as JSON.

python -m benchmarks.pull_child ADDRESS ROOT CONNECTIONS
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil

from npurun_tui.models.pull import pull
from npurun_tui.models.pull.client import Client
from npurun_tui.models.pull.index import configured
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.store import ModelStore
from tests.support.tiny_bundle import build_tiny_bundle


def main() -> int:
    """Pull, then print."""
    address, root, connections = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    entry = replace(
        build_tiny_bundle().at(address), download_size=2 << 30
    )  # as the catalog estimates
    policy = Policy(connections=connections)
    Client(configured(), policy)  # everything is imported before the clock starts
    idle = psutil.Process().memory_info().rss
    phases: dict[str, float] = {}

    async def run() -> None:
        last = time.perf_counter()
        phase = ""
        async for progress in pull(entry, ModelStore(root), policy=policy):
            now = time.perf_counter()
            if phase:
                phases[phase] = phases.get(phase, 0.0) + now - last
            last, phase = now, progress.phase.value

    began, busy = time.perf_counter(), time.process_time()
    asyncio.run(run())
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {"seconds": seconds, "cpu": cpu, "idle": idle, "peak": peak}
    print(json.dumps({**figures, "phases": phases}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
