"""What the Chat tab costs, measured in a real pseudo-terminal of 120x36.

    uv run python -m benchmarks.ui [--runs 5] [--seconds 12]

A chat of 500 short answers: time to open, memory above an empty chat, then terminal focus, theme and resize with it.
Streaming: the share of a core that the UI process uses at 30 tokens a second (four characters a token), how late
the end is at 100, and how long a key takes to be echoed meanwhile. The text comes from a scripted engine process over
the real pipe; everything else is the program as it is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks import report
from benchmarks.sample_home import SHORT_ANSWER, make_home
from tests.support.terminal import Terminal

END = "thatwasall"
ECHO = "Ж"
ANSWERS = 500

Env = Mapping[str, str]


def mixed() -> dict[str, str]:
    """Headings, paragraphs, lists and short code, again and again."""
    return {"at_once": "", "paced": "".join(SHORT_ANSWER.format(number=n) for n in range(200))}


def long_list() -> dict[str, str]:
    """One list of many items."""
    return {
        "at_once": "",
        "paced": "".join(f"- item {n} of a list that goes on\n" for n in range(2000)),
    }


def long_code() -> dict[str, str]:
    """A code block of 2,000 lines that still grows."""
    line = "    total = add(total, {n})  # a line of code\n"
    code = "".join(line.format(n=n) for n in range(2000))
    more = "".join(line.format(n=n) for n in range(2000, 4000))
    return {"at_once": f"```python\ndef work(total):\n{code}", "paced": more}


TEXTS: dict[str, Callable[[], dict[str, str]]] = {
    "mixed": mixed,
    "list": long_list,
    "2,000 lines of code": long_code,
}


@contextmanager
def chat(command: list[str], env: Env) -> Iterator[Terminal]:
    """The program with the Chat tab open and quiet."""
    with Terminal([sys.executable, "-m", *command], columns=120, lines=36, env=env) as terminal:
        terminal.wait_for("sample-model-00", timeout=60)
        terminal.send("2")
        terminal.wait_for("Ask something", timeout=60)
        terminal.settle(quiet=0.8)
        yield terminal


# --- a long chat -------------------------------------------------------------------------------


def took(terminal: Terminal, act: Callable[[], None]) -> float:
    """Seconds from `act` to the last thing that the program writes because of it."""
    began = time.perf_counter()
    act()
    return max(0.0, terminal.settle(quiet=0.4) - began)


def measure_long_chat(env: Env) -> dict[str, float]:
    """One run over the chat of 500 answers."""
    with chat(["npurun_tui"], env) as terminal:
        before = terminal.memory()
        terminal.send("\x0f")  # ctrl+o: the list, its cursor on the first chat
        terminal.settle(quiet=0.3)
        began = time.perf_counter()
        terminal.send("\r")
        terminal.wait_for(f"Answer {2 * ANSWERS - 1}", timeout=60)
        figures = {"open, s": time.perf_counter() - began}
        terminal.settle(quiet=0.8)
        figures["memory above an empty chat, MB"] = (terminal.memory() - before) / 1e6
        cpu = terminal.cpu()
        focus = took(terminal, lambda: terminal.send("\x1b[O\x1b[I"))
        figures["focus out and in, s"] = max(focus, terminal.cpu() - cpu)
        figures["theme, s"] = took(terminal, lambda: terminal.send("\x1bOQ"))
        figures["resize, s"] = took(terminal, lambda: terminal.resize(100, 30))
    return figures


# --- streaming ---------------------------------------------------------------------------------


@contextmanager
def streaming(folder: Path, env: Env, rate: float, text: dict[str, str]) -> Iterator[Terminal]:
    """The program while an answer of `text` comes at `rate` tokens a second."""
    prepared = folder / "prepared.json"
    prepared.write_text(json.dumps({**text, "end": f"\n```\n\n{END}\n"}), "utf-8")
    with chat(["benchmarks.scripted_app", str(rate), str(prepared)], env) as terminal:
        terminal.send("go\r")
        terminal.wait_until(lambda screen: "go" in screen and "Ask something" in screen, timeout=60)
        read_for(terminal, 2.0)
        yield terminal


def read_for(terminal: Terminal, seconds: float) -> None:
    """Take what the program writes without drawing it: the terminal must not compete with it."""
    until = time.perf_counter() + seconds
    while (left := until - time.perf_counter()) > 0:
        terminal.read(left)


def measure_load(folder: Path, env: Env, text: dict[str, str], seconds: float) -> float:
    """Share of a core at 30 tokens a second."""
    with streaming(folder, env, 30, text) as terminal:
        cpu, began = terminal.cpu(), time.perf_counter()
        read_for(terminal, seconds)
        return (terminal.cpu() - cpu) / (time.perf_counter() - began)


def measure_lateness(folder: Path, env: Env, text: dict[str, str], seconds: float) -> float:
    """Seconds by which the end comes late after `seconds` of text at 100 tokens a second."""
    short = {**text, "paced": text["paced"][: int(seconds * 100) * 4]}
    with streaming(folder, env, 100, short) as terminal:
        began = time.perf_counter() - 2.0
        seen = b""
        while END.encode() not in seen and time.perf_counter() - began < 4 * seconds + 20:
            seen = seen[-4096:] + terminal.read(0.5)
        return time.perf_counter() - began - seconds


def measure_echo(folder: Path, env: Env, text: dict[str, str], keys: int) -> list[float]:
    """Seconds from a key to its echo, many times, at 30 tokens a second."""
    latencies: list[float] = []
    with streaming(folder, env, 30, text) as terminal:
        for number in range(keys):
            began = time.perf_counter()
            terminal.send(ECHO)
            seen = b""
            while ECHO.encode() not in seen and time.perf_counter() - began < 5:
                seen = seen[-8:] + terminal.read(0.5)
            latencies.append(time.perf_counter() - began)
            terminal.send("\x7f")
            read_for(terminal, 0.03 + 0.01 * (number % 7))  # not in step with the frames
    return latencies


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the values do not pass."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> int:
    """Measure, print, and return 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--keys", type=int, default=200)
    options = parser.parse_args()
    limits: list[tuple[str, float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = make_home(folder, models=1, chats=20, messages=2 * ANSWERS)
        print(report.machine())
        runs = [measure_long_chat(env) for _ in range(options.runs + 1)][1:]
        for key, limit in zip(runs[0], (0.6, 40, 0.3, 0.3, 0.3), strict=True):
            values = [run[key] for run in runs]
            print(f"{ANSWERS} answers: {key}: {report.spread(values, '')}")
            limits.append((key, statistics.median(values), limit))
        for kind, make in TEXTS.items():
            loads = [measure_load(folder, env, make(), options.seconds) * 100 for _ in range(3)]
            late = [measure_lateness(folder, env, make(), options.seconds) for _ in range(3)]
            echo = [1000 * s for s in measure_echo(folder, env, make(), options.keys)]
            print(
                f"{kind}: load {report.spread(loads, '%', 1)}, late {report.spread(late, 's', 2)}, "
                f"echo median {statistics.median(echo):.1f} ms, 99th percentile {percentile(echo, 0.99):.1f} ms"
            )
            limits.append((f"{kind}: % of a core at 30 tok/s", statistics.median(loads), 12))
            limits.append((f"{kind}: seconds late at 100 tok/s", statistics.median(late), 0.5))
            limits.append((f"{kind}: key echo, 99th percentile, ms", percentile(echo, 0.99), 15))
    return 0 if report.all_kept(limits) else 1


if __name__ == "__main__":
    raise SystemExit(main())
