"""What a token costs on its way from C to the workbench, in CPU time of both processes.

    uv run python -m benchmarks.token_path [--runs 7] [--tokens 20000]

A Genie library in C emits tokens as fast as it can call. They go through the binding (cffi callback, UTF-8, the dialog
contract), the engine process's pipe, the parent's event loop and an `asyncio.Queue`, whose reader counts them. The
CPU time of both processes over the query is divided by the tokens. The same loop with a callback in C shows what the
library itself costs. It needs a C compiler.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks import report
from npurun_tui.engine.dialog import SentenceCode
from npurun_tui.engine.engine import Engine
from npurun_tui.engine.spec import ModelSpec
from tests.support.genie_bundle import config, write_bundle

LIMIT_US = 60.0

BARE = r"""
#include <stdio.h>
#include <stdint.h>
#include <time.h>
int32_t GenieDialog_query(void *, const char *, int32_t, void (*)(const char *, int32_t, const void *), const void *);
static volatile long heard;
static void hear(const char *t, int32_t c, const void *u) { (void)t; (void)c; (void)u; heard++; }
int main(void) {
    clock_t began = clock();
    GenieDialog_query(0, "", 0, hear, 0);
    printf("%f", (double)(clock() - began) / CLOCKS_PER_SEC * 1e6 / (double)heard);
    return 0;
}
"""


def build(folder: Path) -> Path:
    """Compile the emitting library."""
    library = folder / "libGenie.so"
    source = Path(__file__).with_name("emitting_genie.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def bare(folder: Path, library: Path) -> float:
    """Microseconds of a token where the callback is C."""
    (folder / "bare.c").write_text(BARE)
    program = folder / "bare"
    subprocess.run(
        ["cc", "-O2", "-o", program, folder / "bare.c", library, f"-Wl,-rpath,{folder}"], check=True
    )
    return float(subprocess.run([program], capture_output=True, text=True, check=True).stdout)


def cpu(process: psutil.Process) -> float:
    """CPU seconds so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(folder: Path, tokens: int, runs: int) -> tuple[list[float], list[float]]:
    """`(microseconds of CPU, tokens a second)` of each run, the first one left out."""
    document = config(context=1 << 30, vocabulary=1000, bos=-1, eos=2, model="model.bin")
    file = write_bundle(folder / "bundle", document, [], {})
    (folder / "bundle" / "model.bin").write_bytes(b"x")
    engine = Engine(log=folder / "engine.log")
    try:
        async with engine.permit("benchmark") as permit:
            await permit.load(ModelSpec("emitting", "genie", file.parent, file))
            assert engine.pid is not None
            processes = psutil.Process(), psutil.Process(engine.pid)
            costs, rates = [], []
            for _ in range(runs + 1):
                queue: asyncio.Queue[str | None] = asyncio.Queue()
                reader = asyncio.create_task(_count(queue))
                before, began = sum(map(cpu, processes)), time.perf_counter()
                await permit.dialog.query("go", SentenceCode.COMPLETE, _into(queue))
                queue.put_nowait(None)
                heard = await reader
                assert heard == tokens + 1, heard
                costs.append((sum(map(cpu, processes)) - before) * 1e6 / tokens)
                rates.append(tokens / (time.perf_counter() - began))
            return costs[1:], rates[1:]
    finally:
        await engine.aclose()


def _into(queue: asyncio.Queue[str | None]) -> Callable[[str, int], None]:
    return lambda text, _code: queue.put_nowait(text)


async def _count(queue: asyncio.Queue[str | None]) -> int:
    heard = 0
    while await queue.get() is not None:
        heard += 1
    return heard


def main() -> int:
    """Print the figures; 1 where the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=20_000)
    options = parser.parse_args()
    os.environ["EMIT"] = str(options.tokens)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = build(folder)
        os.environ["NPURUN_GENIE_LIB"] = str(library)
        print(report.machine())
        print(f"in C alone: {bare(folder, library):.4f} us of CPU a token")
        costs, rates = asyncio.run(measure(folder, options.tokens, options.runs))
    print(f"the whole path: {report.spread(costs, 'us of CPU a token', 1)}")
    print(f"it keeps up with {report.spread(rates, 'tok/s', 0)}")
    return 0 if report.verdict("CPU of a token", statistics.median(costs), LIMIT_US, " us") else 1


if __name__ == "__main__":
    sys.exit(main())
