"""What the whole of `run` costs against llama.cpp called in a bare loop.

    uv run python -m benchmarks.overhead [--runs 7] [--tokens 200] [--model NAME]

Both generate the same number of tokens, greedy, from the same prompt, with the same number of threads, turn about.
The bare loop is xllamacpp's own `handle_completions` with a callback that does nothing, in a process of its own. `run`
is the command as a user types it, its stdout a pipe that this program reads. Rates are taken on the stream itself: from
the first token to the last as they reach the reader.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import report

SYSTEM = "You tell stories."
USER = "Tell me a long story about a lighthouse."
# What the model's template makes of the two, as `run` sends it.
PROMPT = (
    f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{USER}<|im_end|>\n"
    "<|im_start|>assistant\n"
)

BARE = """
import json, sys, time
import xllamacpp as x
model, context, threads, tokens, prompt = json.loads(sys.argv[1])
p = x.CommonParams()
p.model.path = model
p.n_ctx = context
p.n_parallel = 1
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
p.warmup = False
p.cache_ram_mib = 0
server = x.Server(p)
times, made = [], 0
def on_chunk(chunk):
    global made
    if "usage" in chunk:  # the last one carries figures, no token
        made = chunk["usage"]["completion_tokens"]
    else:
        times.append(time.perf_counter())
    return False
server.handle_completions(
    dict(prompt=prompt, stream=True, n_predict=tokens, temperature=0, ignore_eos=True), on_chunk
)
print(json.dumps([made, times[-1] - times[0]]))
"""


def bare(model: Path, threads: int, tokens: int) -> float:
    """Tokens a second of the bare loop."""
    arguments = json.dumps([str(model), 2048, threads, tokens, PROMPT])
    done = subprocess.run(
        [sys.executable, "-c", BARE, arguments], capture_output=True, text=True, check=True
    )
    count, seconds = json.loads(done.stdout.splitlines()[-1])
    return float((count - 1) / seconds)


def ours(name: str, tokens: int) -> tuple[float, float]:
    """Tokens a second of `run`: on the pipe's other end, and by its own closing line."""
    command = [
        sys.executable,
        "-m",
        "npurun_tui",
        "run",
        name,
        "--temperature",
        "0",
        "--max-tokens",
        str(tokens),
        "--system",
        SYSTEM,
        USER,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        first = last = 0.0
        while run.stdout.read(65536):
            last = time.perf_counter()
            first = first or last
        said = run.stderr.read().decode().splitlines()[-1]
    made = int(said.removeprefix("[").split()[0])
    if made != tokens:
        raise SystemExit(f"`run` made {made} tokens, not {tokens}: choose another --tokens")
    own = float(said.split(" · ")[2].split()[0])
    return (made - 1) / (last - first), own


def main() -> int:
    """Measure, print, and return 1 where the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    options = parser.parse_args()
    from npurun_tui.engine.cpu.threads import choose_threads
    from npurun_tui.models.store import ModelStore
    from npurun_tui.settings import Paths

    installed = ModelStore(Paths.resolve().models).get(options.model)
    spec = installed.manifest.spec(installed.folder)
    assert spec.model_file is not None
    threads = choose_threads(spec.threads)
    pairs: list[tuple[float, float, float]] = []
    for run in range(options.runs + 1):
        one = bare(spec.model_file, threads, options.tokens)
        two, own = ours(options.model, options.tokens)
        if run:
            pairs.append((one, two, own))
    print(report.machine(), f"\n{threads} thread(s), {options.tokens} tokens, {options.runs} runs")
    print("bare loop:       ", report.spread([p[0] for p in pairs], "tok/s", 1))
    print("run, on the pipe:", report.spread([p[1] for p in pairs], "tok/s", 1))
    print("run, its own:    ", report.spread([p[2] for p in pairs], "tok/s", 1))
    ratio = statistics.median(p[1] for p in pairs) / statistics.median(p[0] for p in pairs)
    return 0 if report.verdict("rate of run / bare loop", ratio, 0.97, least=True) else 1


if __name__ == "__main__":
    raise SystemExit(main())
