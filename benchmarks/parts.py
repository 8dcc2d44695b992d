"""Single parts whose cost must not grow with what they are given, and how soon an abort returns.

    uv run python -m benchmarks.parts [--runs 7] [--model NAME]

Each part does its work on little and on much, turn about, and what is compared is the cost of one unit (a character, a
token, a model): 1 is linear, and quadratic work would show as the factor between the two sizes. An abort is compared
with the prefill of one batch, which is what waiting for llama.cpp would cost; that needs the model, and is left out
where it is not installed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import report
from benchmarks.sample_home import SHORT_ANSWER
from npurun_tui.engine.cpu.dialog import CpuDialog
from npurun_tui.engine.cpu.gguf import read_gguf
from npurun_tui.engine.cpu.server import BATCH
from npurun_tui.engine.cpu.stops import StopFilter
from npurun_tui.engine.dialog import Action, SentenceCode
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import ModelNotFound
from npurun_tui.models.store import ModelStore
from npurun_tui.settings import Paths
from npurun_tui.widgets.transcript.blocks import Splitter
from npurun_tui.widgets.transcript.document import Document
from npurun_tui.widgets.transcript.message import Entry, Message
from npurun_tui.widgets.transcript.render import render
from tests.support.gguf import build_gguf
from tests.support.models import add_cpu_model

Limit = tuple[str, float, float]

MIXED = "".join(SHORT_ANSWER.format(number=number) for number in range(2000))
TEXTS = {
    "mixed Markdown": MIXED,
    "one line": "x" * 200_000,
    "fences": "```\n" * 50_000,
    "blank lines": "\n" * 200_000,
    "a fence without end": "```\n" + "x = 1\n" * 40_000,
}
PIECE = 24
"""Characters that arrive together: what a few tokens have."""


@dataclass(frozen=True)
class Part:
    """The same work on `little` and on `much` units."""

    name: str
    unit: str
    little: int
    much: int
    make: Callable[[int], Callable[[], object]]
    limit: float = 1.5


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def turn_about(
    one: Callable[[], object], two: Callable[[], object], runs: int
) -> tuple[list[float], list[float]]:
    """Seconds of both, measured alternately; the first run of each is left out."""
    pairs = [(timed(one), timed(two)) for _ in range(runs + 1)][1:]
    return [first for first, _ in pairs], [second for _, second in pairs]


def ratio(above: list[float], below: list[float]) -> float:
    """Of the medians."""
    return statistics.median(above) / statistics.median(below)


# --- what must be linear -----------------------------------------------------------------------


def split(text: str, length: int) -> Callable[[], None]:
    """Split `length` characters as they arrive, looking at the tail each time as a frame does."""

    def work() -> None:
        splitter = Splitter()
        for start in range(0, length, PIECE):
            splitter.feed(text[start : start + PIECE])
            splitter.tail()
        splitter.close()

    return work


def append(count: int) -> Callable[[], None]:
    """Put `count` pieces in a message that grows."""

    def work() -> None:
        message = Message(1, Entry("assistant"), live=True)
        for _ in range(count):
            message.append("four")

    return work


def open_chat(count: int) -> Callable[[], None]:
    """Lay out the last screen of a chat of `count` messages."""
    entries = [Entry("assistant", SHORT_ANSWER.format(number=number)) for number in range(count)]

    def work() -> None:
        document = Document()
        for entry in entries:
            document.add(entry)
        document.window(document.move(document.end(), -40), 40)

    return work


def stop_filter(sequence: int, text: int) -> Callable[[], None]:
    """Look for a stop sequence of `sequence` characters that `text` nearly matches all the time."""

    def work() -> None:
        stops = StopFilter(["a" * (sequence - 1) + "b"])
        for _ in range(text // PIECE):
            stops.feed("a" * PIECE)

    return work


def gguf(folder: Path, tokens: int) -> Callable[[], object]:
    """Read the header of a model with `tokens` tokens."""
    path = folder / f"{tokens}.gguf"
    path.write_bytes(build_gguf(vocabulary=tokens))
    return partial(read_gguf, path, vocabulary=True)


def scan(folder: Path, models: int) -> Callable[[], object]:
    """Look through a folder of `models` models."""
    for number in range(models):
        add_cpu_model(folder / str(models), f"model-{number:03d}")
    return ModelStore(folder / str(models)).scan


def parts(folder: Path) -> list[Part]:
    """All of them."""
    return [
        *(
            Part(f"splitter, {name}", "character", 20_000, 200_000, partial(split, text))
            for name, text in TEXTS.items()
        ),
        Part("text added to a message", "piece", 2_000, 20_000, append),
        Part("opening a chat", "message", 500, 5_000, open_chat),
        Part("stop sequences", "character", 10_000, 100_000, partial(stop_filter, 1000)),
        Part("GGUF header", "token", 15_000, 150_000, partial(gguf, folder)),
        Part("scan of the store", "model", 20, 200, partial(scan, folder)),
    ]


def measure_growth(part: Part, runs: int) -> Limit:
    """Print what a unit costs in little and in much; the ratio of the two."""
    little, much = turn_about(part.make(part.little), part.make(part.much), runs)
    one = [1e6 * seconds / part.little for seconds in little]
    other = [1e6 * seconds / part.much for seconds in much]
    print(
        f"{part.name}: {1000 * statistics.median(little):.2f} ms for {part.little:,}, "
        f"{1000 * statistics.median(much):.2f} ms for {part.much:,}; "
        f"per {part.unit} {report.spread(one, 'µs')} and {report.spread(other, 'µs')}"
    )
    name = f"{part.name}: a {part.unit} among {part.much:,} / among {part.little:,}"
    return name, ratio(other, one), part.limit


# --- against a baseline ------------------------------------------------------------------------


def measure_stop_length(runs: int) -> Limit:
    """The same text against a stop sequence of 100 and one of 10,000 characters."""
    short, long = turn_about(stop_filter(100, 100_000), stop_filter(10_000, 100_000), runs)
    name = "stop sequences: one of 10,000 characters / one of 100"
    return name, ratio(long, short), 1.5


def measure_scan(folder: Path, runs: int) -> Limit:
    """A scan of 20 models against reading their manifests and no more."""
    look = scan(folder / "scan", 20)
    files = sorted((folder / "scan" / "20").glob("*/npurun.json"))
    bare, ours = turn_about(lambda: [json.loads(f.read_bytes()) for f in files], look, runs)
    print("20 models, JSON alone:", report.spread([1000 * s for s in bare], "ms"))
    print("20 models, scan:      ", report.spread([1000 * s for s in ours], "ms"))
    return "scan of the store / its JSON alone", ratio(ours, bare), 10


def measure_worst_block(runs: int) -> Limit:
    """The block that the Markdown parser finds hardest (at the limit of noise) against a full one of prose."""

    def blocks(text: str) -> Callable[[], object]:
        splitter = Splitter()
        splitter.feed(text)
        splitter.close()
        return lambda: [render(block, 80) for block in splitter.blocks]

    prose, worst = turn_about(blocks("some *words* of prose " * 180), blocks("![" * 190), runs)
    print("a full block of prose:", report.spread([1000 * s for s in prose], "ms"))
    print("the worst block:      ", report.spread([1000 * s for s in worst], "ms"))
    return "rendering: the worst block / a full one of prose", ratio(worst, prose), 10


# --- aborting ----------------------------------------------------------------------------------


def abort(dialog: CpuDialog, prompt: str) -> float:
    """Abort the prefill of `prompt` at its first sign of progress; seconds from the signal to the return."""
    begun = threading.Event()
    signalled: list[float] = []

    def signal() -> None:
        begun.wait()
        signalled.append(time.perf_counter())
        dialog.signal(Action.ABORT)

    thread = threading.Thread(target=signal, daemon=True)
    thread.start()
    dialog.query(prompt, SentenceCode.COMPLETE, None, lambda *_: begun.set())
    returned = time.perf_counter()
    thread.join()
    return returned - signalled[0]


def measure_abort(spec: ModelSpec, runs: int) -> list[Limit]:
    """How soon an abort returns, and how long the next question waits for llama.cpp, in batches of prefill."""
    dialog = CpuDialog(spec)
    dialog.set_max_tokens(1)
    aborts: list[float] = []
    waits: list[float] = []
    batches: list[float] = []
    try:
        for run in range(runs + 1):
            # Another first word each time: nothing may be reused.
            dialog.reset()
            one = timed(partial(dialog.query, f"{run} " + "once " * (BATCH - 8)))
            dialog.reset()
            returned = abort(dialog, f"{run} " + "more " * (6 * BATCH))
            after = timed(partial(dialog.query, f"{run}?"))
            if run:
                batches.append(one)
                aborts.append(returned)
                waits.append(after)
    finally:
        dialog.close()
    print(f"a batch of {BATCH} tokens:", report.spread([1000 * s for s in batches], "ms", 1))
    print("an abort returns in:  ", report.spread([1000 * s for s in aborts], "ms", 2))
    print("a question after it:  ", report.spread([1000 * s for s in waits], "ms", 1))
    return [
        ("abort: signal to return / a batch", ratio(aborts, batches), 0.1),
        ("abort: the next question's wait / a batch", ratio(waits, batches), 3),
    ]


def installed(name: str) -> ModelSpec | None:
    """What to load, or nothing where the model is not here."""
    try:
        model = ModelStore(Paths.resolve().models).get(name)
    except ModelNotFound as error:
        print(f"No abort is measured: {error}")
        return None
    return model.manifest.spec(model.folder, context=2048)


def main() -> int:
    """Measure, print, and return 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    options = parser.parse_args()
    print(report.machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        limits = [measure_growth(part, options.runs) for part in parts(folder)]
        limits.append(measure_stop_length(options.runs))
        limits.append(measure_scan(folder, options.runs))
        limits.append(measure_worst_block(options.runs))
    spec = installed(options.model)
    if spec is not None:
        limits += measure_abort(spec, options.runs)
    return 0 if report.all_kept(limits) else 1


if __name__ == "__main__":
    raise SystemExit(main())
