"""First paint, memory and idle load of the workbench against an empty four-tab Textual app.

    uv run python -m benchmarks.startup [--runs 7]

Both programs run in real pseudo-terminals of 120x36, turn about, after one warm-up of each. The workbench has 20
models and 50 chats in its store. First paint is when the terminal shows a model's row (the tab's text, for the
empty app); memory and idle load are the process's own, after its output has settled.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.sample_home import make_home
from tests.support.terminal import Terminal

EMPTY_APP = """
from textual.app import App
from textual.widgets import TabbedContent, TabPane

class Empty(App):
    def compose(self):
        with TabbedContent():
            for name in ("First", "Second", "Third", "Fourth"):
                yield TabPane(name)

Empty().run()
"""

IDLE_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Start:
    """One run: seconds to the first paint, resident bytes, share of a core while idle."""

    paint: float
    memory: int
    idle: float


def measure(command: Sequence[str], words: str, env: Mapping[str, str]) -> Start:
    """Start `command`, wait until it shows `words`, let it settle, and watch it do nothing."""
    with Terminal(command, columns=120, lines=36, env=env) as terminal:
        paint = terminal.wait_for(words, timeout=60)
        terminal.settle(quiet=1.0)
        memory, before, since = terminal.memory(), terminal.cpu(), time.perf_counter()
        while time.perf_counter() - since < IDLE_SECONDS:
            terminal.show(terminal.read(0.2))
        return Start(paint, memory, (terminal.cpu() - before) / (time.perf_counter() - since))


def main() -> int:
    """Measure, print, and return 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs: int = parser.parse_args().runs
    ours: list[Start] = []
    empty: list[Start] = []
    with tempfile.TemporaryDirectory() as folder:
        env = make_home(Path(folder), models=20, chats=50)
        for run in range(runs + 1):
            one = measure([sys.executable, "-c", EMPTY_APP], "Fourth", {})
            two = measure([sys.executable, "-m", "npurun_tui"], "sample-model-00", env)
            if run:  # the first of each warms the disk cache and the byte code
                empty.append(one)
                ours.append(two)
    print(report.machine())
    for name, starts in (("empty app", empty), ("npurun-tui", ours)):
        print(
            f"{name}: first paint {report.spread([s.paint for s in starts], 's')}, "
            f"memory {report.spread([s.memory / 1e6 for s in starts], 'MB', 1)}, "
            f"idle {report.spread([s.idle * 100 for s in starts], '%', 2)}"
        )
    ratios = [
        (
            "first paint, ratio",
            statistics.median(a.paint / b.paint for a, b in zip(ours, empty, strict=True)),
            1.3,
        ),
        (
            "memory, ratio",
            statistics.median(a.memory / b.memory for a, b in zip(ours, empty, strict=True)),
            1.4,
        ),
        # A clock tick in six seconds is 0.17 %: below that the two cannot be told apart.
        (
            "idle load above the empty app, % of a core",
            100 * statistics.median(a.idle - b.idle for a, b in zip(ours, empty, strict=True)),
            0.2,
        ),
    ]
    return 0 if report.all_kept(ratios) else 1


if __name__ == "__main__":
    raise SystemExit(main())
