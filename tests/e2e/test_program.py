"""The real program in a real pseudo-terminal, from an empty home: pull, chat, quit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX", allow_module_level=True)

from tests.support.terminal import Terminal

pytestmark = pytest.mark.model

PROGRAM = [sys.executable, "-m", "npurun_tui"]
NAME = "smollm2-135m-instruct"
CTRL_C, CTRL_N, CTRL_O, CTRL_Q, CTRL_S, ESCAPE = "\x03", "\x0e", "\x0f", "\x11", "\x13", "\x1b"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"NPURUN_TUI_HOME": str(tmp_path), "NPURUN_MODELS_DIR": str(tmp_path / "models")}


@pytest.fixture
def with_model(env: dict[str, str], real_models: Path) -> dict[str, str]:
    return {**env, "NPURUN_MODELS_DIR": str(real_models)}


@pytest.fixture(params=[(80, 24), (120, 40)], ids=["80x24", "120x40"])
def terminal(request: pytest.FixtureRequest, env: dict[str, str]) -> Iterator[Terminal]:
    columns, lines = request.param
    with Terminal(PROGRAM, columns=columns, lines=lines, env=env) as terminal:
        yield terminal


def test_alt_and_a_digit_open_tabs_without_the_kitty_protocol(terminal: Terminal) -> None:
    terminal.wait_for(NAME)
    terminal.send("2")
    terminal.wait_for("Ask something")
    terminal.send("\x1b1")
    terminal.wait_for("▸1 Models")
    assert "¡" not in terminal.text


def test_from_an_empty_home_to_an_answer(terminal: Terminal, env: dict[str, str]) -> None:
    terminal.wait_until(lambda text: NAME in text and "CPU" in text)
    terminal.send("p")
    terminal.wait_for("✓ installed", timeout=120)
    terminal.send("2")
    terminal.wait_for("Ask something")
    terminal.send("Please repeat this word: banana\r")
    terminal.wait_for("▶ generating", timeout=60)
    terminal.settle(quiet=1.0, timeout=2.0)
    terminal.send(ESCAPE)  # sampled, so small a model may go on for ever
    terminal.wait_until(lambda text: "TTFT" in text and "● ready" in text, timeout=60)
    assert "CPU (llama.cpp)" in terminal.text
    assert "context" in terminal.text
    children = psutil.Process(terminal.pid).children(recursive=True)
    assert children, "the engine runs in a process of its own"
    terminal.send(CTRL_Q)
    assert terminal.wait() == 0
    assert not [child for child in children if child.is_running()], "no orphan is left"
    assert "Traceback" not in terminal.text

    listed = subprocess.run(
        [*PROGRAM, "list", "--json"], env=env, capture_output=True, text=True, check=True
    )
    assert [model["name"] for model in json.loads(listed.stdout)["models"]] == [NAME]

    with Terminal(PROGRAM, columns=120, lines=40, env=env) as again:
        again.wait_for("✓ installed")
        again.send("2")
        again.wait_for("Please repeat this word")
        again.send(CTRL_O)
        again.settle(quiet=0.2)
        again.send("\r")
        again.wait_for("TTFT")
        again.send(CTRL_Q)
        assert again.wait() == 0


def test_escape_stops_an_answer(with_model: dict[str, str]) -> None:
    with Terminal(PROGRAM, columns=100, lines=30, env=with_model) as terminal:
        terminal.wait_for("✓ installed")
        terminal.send("2")
        terminal.wait_for("Ask something")
        terminal.send("Tell me a very long story about the sea.\r\r")  # a held key asks once
        terminal.wait_for("▶ generating", timeout=60)
        terminal.send(ESCAPE)
        terminal.wait_until(lambda text: "stopped" in text and "● ready" in text)
        terminal.send(CTRL_Q)
        assert terminal.wait() == 0


def test_quitting_in_the_middle_of_an_answer_leaves_no_orphan(with_model: dict[str, str]) -> None:
    with Terminal(PROGRAM, columns=100, lines=30, env=with_model) as terminal:
        terminal.wait_for("✓ installed")
        terminal.send("2")
        terminal.wait_for("Ask something")
        terminal.send("Tell me a very long story about the sea.\r")
        terminal.wait_for("▶ generating", timeout=60)
        children = psutil.Process(terminal.pid).children(recursive=True)
        terminal.send(CTRL_Q)
        assert terminal.wait() == 0
        psutil.wait_procs(children, timeout=10)
        assert not [child for child in children if child.is_running()]


def test_a_lost_connection_leaves_no_orphan_and_the_half_answer(with_model: dict[str, str]) -> None:
    terminal = Terminal(PROGRAM, columns=100, lines=30, env=with_model)
    terminal.wait_for("✓ installed")
    terminal.send("2")
    terminal.wait_for("Ask something")
    terminal.send("Tell me a very long story about the sea.\r")
    terminal.wait_for("▶ generating", timeout=60)
    terminal.settle(
        quiet=10, timeout=3
    )  # longer than the time between two saves of a growing answer
    program = psutil.Process(terminal.pid)
    family = [program, *program.children(recursive=True)]
    terminal.close()
    psutil.wait_procs(family[1:], timeout=10)
    assert not [process for process in family[1:] if process.is_running()]
    with Terminal(PROGRAM, columns=120, lines=40, env=with_model) as again:
        again.wait_for("✓ installed")
        again.send("2")
        again.wait_for("2 messages")
        again.send(CTRL_O)
        again.settle(quiet=0.2)
        again.send("\r")
        again.wait_for("interrupted")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_lost_connection_keeps_what_a_bench_has_measured(
    with_model: dict[str, str], number: signal.Signals
) -> None:
    with Terminal(PROGRAM, columns=100, lines=30, env=with_model) as terminal:
        terminal.wait_for("✓ installed")
        terminal.send("3")
        terminal.wait_for("Nothing measured yet")
        terminal.send("s")
        terminal.wait_until(lambda text: "run 3 of 12" in text, timeout=90)
        program = psutil.Process(terminal.pid)
        engine = program.children(recursive=True)
        os.kill(terminal.pid, number)
        assert terminal.wait() == -number, "it ends by the signal, as any program does"
        psutil.wait_procs(engine, timeout=10)
        assert not [process for process in engine if process.is_running()]
    listed = subprocess.run(
        [*PROGRAM, "bench", "history", "--json"],
        env=with_model,
        capture_output=True,
        text=True,
        check=True,
    )
    (kept,) = json.loads(listed.stdout)
    assert not kept["complete"]
    assert kept["runs"] >= 2


def test_a_terminal_that_is_too_small_says_so_and_comes_back(with_model: dict[str, str]) -> None:
    with Terminal(PROGRAM, columns=50, lines=10, env=with_model) as terminal:
        terminal.wait_for("needs 60")
        terminal.resize(80, 24)
        terminal.wait_for("✓ installed")
        terminal.send("q")
        assert terminal.wait() == 0


def test_ctrl_c_in_run_keeps_the_text_and_exits_130(with_model: dict[str, str]) -> None:
    command = [*PROGRAM, "run", NAME, "Tell me a very long story about the sea."]
    with Terminal(command, columns=80, lines=24, env=with_model) as terminal:
        terminal.wait_for("loaded")
        terminal.wait_until(lambda text: len(text.split("]", 1)[1].strip()) > 40, timeout=60)
        terminal.send(CTRL_C)
        assert terminal.wait() == 130
        assert "stopped" in terminal.text
        assert "Traceback" not in terminal.text
