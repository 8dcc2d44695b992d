"""`bench` as a script and a person use it: a real child process, the real model, a real terminal, a real baseline."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.bench.history import History
from npurun_tui.settings import Paths

pytestmark = pytest.mark.model

NAME = "smollm2-135m-instruct"
PROGRAM = [sys.executable, "-m", "npurun_tui"]
SHORT = ["--prompt", "joke", "--max-tokens", "8", "--no-energy"]
PROMISED = {
    "prompt",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "ttft_ms",
    "prefill_tps",
    "decode_tps",
    "total_ms",
    "warmup",
}


@pytest.fixture
def env(tmp_path: Path, real_models: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NPURUN_")}
    return {**kept, "NPURUN_TUI_HOME": str(tmp_path), "NPURUN_MODELS_DIR": str(real_models)}


def program(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """`npurun-tui …` to its end."""
    return subprocess.run(
        [*PROGRAM, *words], env=env, capture_output=True, text=True, timeout=180, check=False
    )


def test_rows_come_with_a_summary_and_every_file_that_was_asked_for(
    env: dict[str, str], tmp_path: Path
) -> None:
    files = {name: tmp_path / name for name in ("runs.csv", "out.md", "out.html")}
    words = ["bench", NAME, *SHORT, "--repeats", "2", "--save", "--name", "first"]
    words += ["--csv", str(files["runs.csv"]), "--markdown", str(files["out.md"])]
    done = program(env, *words, "--report", str(files["out.html"]))
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert said[0] == f"== npurun bench: {NAME} (llama.cpp, Q4_1, ctx 8192) =="
    loads = [line for line in said if line.startswith("[loaded on CPU (llama.cpp), ctx 8,192, in ")]
    assert [load.split(", ")[-1] for load in loads] == ["a new process]", "its files in memory]"]
    heads, *rows = done.stdout.split("\n\n")[0].splitlines()
    assert heads.split() == ["PROMPT", "IN", "OUT", "TTFT", "TOK/S", "ENGINE"]
    assert ["warm-up" in row for row in rows] == [True, False, False]
    assert "P50" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    with files["runs.csv"].open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["warmup"] for line in lines] == ["true", "false", "false"]
    assert {line["tokens"] for line in lines} == {"8"}
    assert "Bench of" in files["out.md"].read_text(encoding="utf-8")
    assert files["out.html"].read_text(encoding="utf-8").startswith("<!DOCTYPE html>")

    history = History(Paths.resolve(env).database)
    (line,) = history.list()
    session = history.get("1")
    history.close()
    assert (line.name, line.runs, line.complete) == ("first", 2, True)
    assert [run.total_ms for run in session.runs] == pytest.approx(
        [float(line["total_ms"]) for line in lines], abs=0.001
    )


def test_json_is_one_document_with_the_promised_keys(env: dict[str, str]) -> None:
    done = program(env, "bench", NAME, *SHORT, "--repeats", "2", "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert list(document)[:4] == ["model", "backend", "device", "runtime"]
    assert (document["model"], document["device"]) == (NAME, "CPU (llama.cpp)")
    assert document["energy"] is None
    assert [run["warmup"] for run in document["runs"]] == [True, False, False]
    for run in document["runs"]:
        assert run.keys() >= PROMISED
        assert run["completion_tokens"] == 8
        assert run["cached_tokens"] == 0
        assert run["ttft_ms"] < run["total_ms"]
        assert run["engine"]["decode_tps"] > 0
    for figure in ("ttft_ms", "decode_tps", "prefill_tps"):
        summary = document["summary"][figure]
        assert summary.keys() >= {"p50", "p90", "p99", "min", "max"}
        assert summary["n"] == 2
        assert 0 < summary["min"] <= summary["p50"] <= summary["max"]


def test_a_second_bench_is_compared_with_the_first(env: dict[str, str], tmp_path: Path) -> None:
    for _ in range(2):
        done = program(env, "bench", NAME, *SHORT, "--repeats", "2", "--save")
        assert done.returncode == 0, done.stderr
    assert "\nAgainst " in done.stdout
    compared = program(env, "bench", "compare", "--json")
    assert compared.returncode == 0, compared.stderr
    document = json.loads(compared.stdout)
    listed = json.loads(program(env, "bench", "history", "--json").stdout)
    assert [document["new"]["id"], document["old"]["id"]] == [line["id"] for line in listed]
    assert document["figures"]["decode_tps"]["low"] < document["figures"]["decode_tps"]["high"]
    words = program(env, "bench", "compare", "2", "1")
    assert words.returncode == 0
    assert words.stdout.startswith("Old: ")

    target = tmp_path / "kept.json"
    assert program(env, "bench", "export", "1", str(target)).returncode == 0
    assert json.loads(target.read_text(encoding="utf-8"))["id"] == listed[0]["id"]
    again = program(env, "bench", "export", "1", str(target))
    assert again.returncode == 2
    assert "--force" in again.stderr
    shown = program(env, "bench", "export", "1", "-")
    assert json.loads(shown.stdout)["id"] == listed[0]["id"]
    alone = program(env, "bench", "compare", "2")
    assert alone.returncode == 1
    assert "was kept before" in alone.stderr


def test_a_baseline_takes_turns_and_a_conversation_shows_its_cache(env: dict[str, str]) -> None:
    words = ["bench", NAME, "--turns", "2", "--max-tokens", "8", "--repeats", "2", "--no-energy"]
    done = program(env, *words, "--baseline", NAME, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["baseline"]["model"] == NAME
    counted = [run for run in document["runs"] if not run["warmup"]]
    by_turn = {(run["turn"], run["reuse"]): run for run in counted}
    assert by_turn[2, True]["cached_tokens"] > 0
    assert by_turn[2, False]["cached_tokens"] == 0
    assert by_turn[2, True]["prompt_tokens"] == by_turn[2, False]["prompt_tokens"]
    began = sorted(
        (r["began_s"], r["side"]) for r in document["runs"] + document["baseline"]["runs"]
    )
    sides = [side for _, side in began]
    assert [s for i, s in enumerate(sides) if i == 0 or sides[i - 1] != s] == ["a", "b", "a", "b"]


def test_a_window_that_the_model_has_not_is_refused_before_it_is_loaded(
    env: dict[str, str],
) -> None:
    done = program(env, "bench", NAME, *SHORT, "--ctx", "999999")
    assert done.returncode == 2
    assert "8,192 is the largest" in done.stderr
    assert done.stdout == ""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a child")
def test_ctrl_c_ends_with_what_there_is(env: dict[str, str]) -> None:
    words = [*PROGRAM, "bench", NAME, *SHORT, "--duration", "600", "--save"]
    child = subprocess.Popen(
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    seen = [child.stdout.readline() for _ in range(4)]  # heads, the warm-up, two runs
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "joke" in seen[-1]
    assert "P50" in out
    assert "[interrupted" in err
    (line,) = json.loads(program(env, "bench", "history", "--json").stdout)
    assert not line["complete"]
    assert line["runs"] >= 2


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_leaves_ends_a_bench_that_is_kept_all_the_same(env: dict[str, str]) -> None:
    words = [*PROGRAM, "bench", NAME, *SHORT, "--duration", "600", "--save"]
    child = subprocess.Popen(
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    began = time.monotonic()
    err = child.stderr.read()
    child.stderr.close()
    assert child.wait(timeout=120) == 1
    assert time.monotonic() - began < 120
    assert "Traceback" not in err
    (line,) = json.loads(program(env, "bench", "history", "--json").stdout)
    assert not line["complete"]


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_on_a_terminal_nothing_of_the_live_line_stays(env: dict[str, str]) -> None:
    from tests.support.terminal import Terminal

    words = [*PROGRAM, "bench", NAME, *SHORT, "--repeats", "2"]
    with Terminal(words, columns=80, lines=40, env=env) as terminal:
        terminal.wait_for("STDEV", timeout=120)
        terminal.settle(quiet=0.5, timeout=3.0)
        shown = terminal.text.splitlines()
    rows = [line for line in shown if line.startswith("joke")]
    assert len(rows) == 3
    assert not [line for line in shown if line.startswith(("run ", "loading", "waiting"))]
